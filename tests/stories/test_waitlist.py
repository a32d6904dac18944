"""Who comes too late waits: places are known, and whatever comes free or is bought serves them in that order."""

from functools import partial
from typing import Any

from tests.stories.stage import Stage, Title, device, group


async def waiting(stage: Stage, app: Title) -> list[tuple[str, int]]:
    """Return who waits at which place, as licensing says."""
    return [(each["serial_number"], each["position"]) for each in await stage.sights.waitlist(app.asset_id)]


async def waits(stage: Stage, serial: str, app: Title) -> Any:
    """Return state and place, as assignment says."""
    life = await stage.entitlement(serial, app)
    return life["state"], life["position"]


async def test_who_comes_too_late_waits_and_knows_the_place(stage: Stage) -> None:
    app = await stage.title(1)
    first, second, third = await stage.ipads(3)
    for number, ipad in enumerate((first, second, third)):
        await stage.assign(app, device(ipad))
        await stage.sees(partial(_lives, stage, app), number + 1)
    await stage.sees(partial(waiting, stage, app), [(second, 1), (third, 2)])
    await stage.sees(partial(waits, stage, second, app), ("waitlisted", 1))
    await stage.sees(partial(waits, stage, third, app), ("waitlisted", 2))
    why = (await stage.entitlement(third, app))["why"]
    assert why["blocking"] == "licence"
    assert "place 2" in why["explanation"]
    assert why["next_action"] == "ask_licence_again"
    assert why["next_at"] is not None


async def test_a_purchase_serves_who_waits_in_the_order_of_arrival(stage: Stage) -> None:
    app = await stage.title(1)
    ipads = await stage.ipads(4)
    for number, ipad in enumerate(ipads):
        await stage.assign(app, device(ipad))
        await stage.sees(partial(_lives, stage, app), number + 1)
    await stage.sees(partial(stage.have_it, ipads, app), 1)
    await stage.buy(app, 2)
    await stage.sees(partial(stage.have_it, ipads[:3], app), 3)
    await stage.sees(partial(waiting, stage, app), [(ipads[3], 1)])
    await stage.agrees(app, held=3, free=0)


async def test_the_more_urgent_wish_waits_before_the_older_one(stage: Stage) -> None:
    app = await stage.title(1)
    owner, patient, urgent = await stage.ipads(3)
    holding = await stage.assign(app, device(owner))
    await stage.settles(holding, installed=1)
    await stage.assign(app, device(patient))
    await stage.sees(partial(waiting, stage, app), [(patient, 1)])
    hurried = await stage.assign(app, device(urgent), priority=10)
    await stage.sees(partial(waiting, stage, app), [(urgent, 1), (patient, 2)])
    await stage.revoke(holding)
    await stage.settles(hurried, installed=1)
    await stage.sees(partial(waiting, stage, app), [(patient, 1)])


async def test_who_will_not_wait_is_refused_and_holds_no_place(stage: Stage) -> None:
    app = await stage.title(1)
    owner, other = await stage.ipads(2)
    await stage.settles(await stage.assign(app, device(owner)), installed=1)
    hasty = await stage.assign(app, device(other), no_wait=True)
    await stage.settles(hasty, refused=1)
    assert (await stage.entitlement(other, app))["cause"] == "no_licence_left"
    assert await waiting(stage, app) == []


async def test_who_stops_wishing_leaves_the_place_to_the_next(stage: Stage) -> None:
    app = await stage.title(1)
    owner, second, third = await stage.ipads(3)
    await stage.settles(await stage.assign(app, device(owner)), installed=1)
    given_up = await stage.assign(app, group(await stage.group([second])))
    await stage.sees(partial(waiting, stage, app), [(second, 1)])
    await stage.assign(app, device(third))
    await stage.sees(partial(waiting, stage, app), [(second, 1), (third, 2)])
    await stage.revoke(given_up)
    await stage.settles(given_up, revoked=1)
    await stage.sees(partial(waiting, stage, app), [(third, 1)])
    await stage.agrees(app, held=1, free=0)


async def _lives(stage: Stage, app: Title) -> int:
    """Return how many wishes licensing has answered in any way."""
    return len(await stage.doors.licensing.every("/v1/licenses", asset_id=app.asset_id))
