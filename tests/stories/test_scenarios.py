"""The scenarios that break designs like this one, as they are seen from outside: through HTTP, at Apple, on devices."""

import asyncio
import random
import signal
from functools import partial
from uuid import UUID

import pytest

from local.system import System
from local.waiting import until
from shared.events import Principal
from shared.events.assignment import (
    AssignmentRequested,
    AssignmentRevoked,
    DeliveryTarget,
    RemovalRequested,
)
from shared.events.licensing import LicenseRefused, LicenseReleased, LicenseReserved
from shared.events.mdm_push import RemovalCompleted
from shared.events.registry import encode
from shared.events.words import (
    AssetKind,
    AssignmentMode,
    Held,
    InstallMode,
    NothingRemoved,
    Refusal,
    RevokeReason,
)
from shared.ids import new_id
from shared.topics import ASSIGNMENT_EVENTS, LICENSING_EVENTS, MDM_PUSH_EVENTS
from tests.stories.probe import Probe, envelope_of
from tests.stories.stage import Stage, Title, device, group

GOOD_ENDS = (["installed"], ["revoked", "installed"])
ASSOCIATE, DISASSOCIATE = "assets/associate", "assets/disassociate"


async def test_scenario_01_who_returns_while_the_revoke_is_answered_late_ends_with_the_app(
    stage: Stage,
) -> None:
    app = await stage.title(1)
    [ipad] = await stage.ipads(1)
    school = await stage.group([ipad])
    await stage.settles(await stage.assign(app, group(school)), installed=1)
    await stage.doors.apple.patch("/knobs", {"disassociate_delay_seconds": 3})
    sent = await stage.asked_of_apple(DISASSOCIATE)
    await stage.leave(school, [ipad])
    await stage.sees(partial(stage.asked_of_apple, DISASSOCIATE), sent + 1)
    assert await stage.lives(ipad, app) == [("revoking", "left_group")]
    await stage.join(school, [ipad])
    await stage.sees(partial(stage.lives, ipad, app), [("revoked", "left_group"), ("installed", None)])
    assert await stage.have_it([ipad], app) == 1
    await stage.agrees(app, held=1, free=0)


async def test_scenario_02_the_new_life_asks_apple_only_after_the_end_of_the_former_ones_release(
    stage: Stage,
) -> None:
    app = await stage.title(5)
    [ipad] = await stage.ipads(1)
    school = await stage.group([ipad])
    await stage.settles(await stage.assign(app, group(school)), installed=1)
    await stage.doors.apple.patch("/knobs", {"hold_events": True})
    associated, released = await _asked(stage)
    await stage.leave(school, [ipad])
    await stage.sees(partial(_asked, stage), (associated, released + 1))
    await stage.join(school, [ipad])
    await stage.sees(partial(_licenses, stage, app), ["disassociating", "reserved"])
    await asyncio.sleep(0.5)
    assert await _asked(stage) == (associated, released + 1)
    await stage.doors.apple.patch("/knobs", {"hold_events": False})
    await stage.sees(partial(stage.lives, ipad, app), [("revoked", "left_group"), ("installed", None)])
    assert await _asked(stage) == (associated + 1, released + 1)
    await stage.agrees(app, held=1, free=4)


async def test_scenario_02_a_release_that_was_not_sent_is_cancelled_and_the_licence_kept(
    stage: Stage, probe: Probe
) -> None:
    app = await stage.title(1)
    [ipad] = await stage.ipads(1)
    school = await stage.group([ipad])
    associated, released = await _asked(stage)
    await stage.doors.apple.patch("/knobs", {"hold_events": True})
    await stage.assign(app, group(school))
    await stage.sees(partial(_asked, stage), (associated + 1, released))
    await stage.leave(school, [ipad])
    await stage.sees(partial(_licenses, stage, app), ["withdrawing"])
    await stage.join(school, [ipad])
    await stage.sees(partial(stage.lives, ipad, app), [("revoked", "left_group"), ("reserved", None)])
    await stage.doors.apple.patch("/knobs", {"hold_events": False})
    await stage.sees(partial(stage.lives, ipad, app), [("revoked", "left_group"), ("installed", None)])
    assert await _asked(stage) == (associated + 1, released)
    told = [each.event for each in await probe.heard(LicenseReleased)]
    held = [target.held for event in told if event.asset_id == UUID(app.asset_id) for target in event.targets]
    assert held == [Held.PASSED_ON]
    await stage.agrees(app, held=1, free=0)


async def test_scenario_03_a_unit_whose_fate_is_unknown_stays_held_until_it_is_proved(stage: Stage) -> None:
    app = await stage.title(1)
    first, second = await stage.ipads(2)
    await stage.doors.apple.patch("/knobs", {"event_delay_seconds": 2})
    await stage.script_apple({"path": ASSOCIATE, "answer": "nothing", "accepted": True})
    lost = await stage.assign(app, device(first))
    await stage.sees(partial(_held, stage, app), 1)
    await stage.revoke(lost)
    next_in_line = await stage.assign(app, device(second))
    await stage.settles(next_in_line, waitlisted=1)
    await stage.sees(partial(_holders_at_apple, stage, app), [first])
    assert await _held(stage, app) == 1
    assert (await stage.entitlement(second, app))["state"] == "waitlisted"
    await stage.settles(next_in_line, installed=1)
    await stage.settles(lost, revoked=1)
    await stage.sees(partial(stage.have_it, [first], app), 0)
    await stage.agrees(app, held=1, free=0)


async def test_scenario_04_a_wiped_device_gets_the_app_again_though_licensing_lags_behind(
    stage: Stage, system: System
) -> None:
    app = await stage.title(1)
    [ipad] = await stage.ipads(1)
    await stage.settles(await stage.assign(app, device(ipad)), installed=1)
    licensing = system.processes["licensing"]
    licensing.send(signal.SIGSTOP)
    try:
        await stage.doors.devices.post("/devices/wipe", {"serials": [ipad]})
        await stage.doors.enroll([ipad])
        await stage.sees(partial(stage.lives, ipad, app), [("revoking", "wiped"), ("requested", None)])
        await asyncio.sleep(1)
        assert await stage.have_it([ipad], app) == 0
    finally:
        licensing.send(signal.SIGCONT)
    await stage.sees(partial(stage.lives, ipad, app), [("revoked", "wiped"), ("installed", None)])
    assert await stage.have_it([ipad], app) == 1
    await stage.agrees(app, held=1, free=0)


async def test_scenario_05_everything_told_again_in_any_order_changes_nothing(
    stage: Stage, probe: Probe
) -> None:
    app = await stage.title(2)
    stayer, leaver, waiter = await stage.ipads(3)
    school = await stage.group([stayer, leaver])
    assignment = await stage.assign(app, group(school))
    await stage.settles(assignment, installed=2)
    waiting = await stage.assign(app, device(waiter))
    await stage.settles(waiting, waitlisted=1)
    await stage.leave(school, [leaver])
    await stage.settles(waiting, installed=1)
    await stage.settles(assignment, installed=1, revoked=1)
    await stage.sees(partial(stage.have_it, [leaver], app), 0)
    before = [await stage.lives(ipad, app) for ipad in (stayer, leaver, waiter)]
    await _tell_all_again(stage, probe, app, of_devices=[stayer, leaver, waiter])
    last = await stage.assign(app, device(leaver))  # told after all that, under the same key
    await stage.settles(last, waitlisted=1)
    await asyncio.sleep(1)
    after = [await stage.lives(ipad, app) for ipad in (stayer, leaver, waiter)]
    assert after == [before[0], [*before[1], ("waitlisted", None)], before[2]]
    assert await stage.have_it([stayer, leaver, waiter], app) == 2
    await stage.agrees(app, held=2, free=0)


async def test_scenario_06_a_removal_that_the_device_puts_off_never_overtakes_the_next_install(
    stage: Stage,
) -> None:
    app = await stage.title(2)
    [ipad] = await stage.ipads(1)
    school = await stage.group([ipad])
    await stage.settles(await stage.assign(app, group(school)), installed=1)
    script = {"serials": [ipad], "not_now": {"RemoveApplication": 2}}
    await stage.doors.devices.post("/devices/script", script)
    await stage.leave(school, [ipad])
    await stage.join(school, [ipad])
    await stage.sees(partial(stage.lives, ipad, app), [("revoked", "left_group"), ("installed", None)])
    await asyncio.sleep(2)
    assert await stage.have_it([ipad], app) == 1
    await stage.agrees(app, held=1, free=1)


async def test_scenario_07_who_joins_while_the_group_is_asked_for_is_not_forgotten(stage: Stage) -> None:
    app = await stage.title(20)
    ipads = await stage.ipads(10)
    for first, second in zip(ipads[::2], ipads[1::2], strict=True):
        school = await stage.group([first])
        await asyncio.gather(stage.assign(app, group(school)), stage.join(school, [second]))
    await stage.sees(partial(stage.have_it, ipads, app), 10)
    await stage.agrees(app, held=10, free=10)


async def test_scenario_08_no_right_ends_while_another_assignment_begins_to_cover_it(stage: Stage) -> None:
    app = await stage.title(10)
    ipads = await stage.ipads(5)
    for ipad in ipads:
        former = await stage.assign(app, device(ipad))
        school = await stage.group([ipad])
        await asyncio.gather(stage.revoke(former), stage.assign(app, group(school)))
    for ipad in ipads:

        async def states(ipad: str = ipad) -> list[str]:
            return [state for state, _ in await stage.lives(ipad, app)]

        await until(states, lambda found: found in GOOD_ENDS)
        assert await states() in GOOD_ENDS
    await stage.agrees(app, held=5, free=5)
    assert await stage.have_it(ipads, app) == 5


async def test_scenario_20_a_revoke_of_what_was_never_asked_is_answered(stage: Stage, probe: Probe) -> None:
    app = await stage.title(1)
    target = Principal(entitlement_id=new_id(), version=2, serial_number="NEVER0000001")
    revoked = AssignmentRevoked(
        asset_id=UUID(app.asset_id), kind=AssetKind.VPP_APP, reason=RevokeReason.ENDED, targets=(target,)
    )
    await probe.tell(revoked, envelope_of(revoked))

    async def answers() -> list[Held]:
        told = [each.event for each in await probe.heard(LicenseReleased)]
        return [
            each.held for one in told for each in one.targets if each.entitlement_id == target.entitlement_id
        ]

    await stage.sees(answers, [Held.NONE])
    await stage.agrees(app, held=0, free=1)


async def test_scenario_20_a_removal_of_what_was_never_installed_is_answered(
    stage: Stage, probe: Probe
) -> None:
    app = await stage.title(1)
    [ipad] = await stage.ipads(1)
    enrollment_id = UUID((await stage.sights.devices(serial_number=ipad))[0]["id"])
    here = DeliveryTarget(entitlement_id=new_id(), delivery_id=new_id(), enrollment_id=enrollment_id)
    nowhere = DeliveryTarget(entitlement_id=new_id(), delivery_id=new_id(), enrollment_id=new_id())
    removal = RemovalRequested(
        asset_id=UUID(app.asset_id), kind=AssetKind.VPP_APP, adam_id=app.adam_id, targets=(here, nowhere)
    )
    await probe.tell(removal, envelope_of(removal))

    async def answers() -> dict[UUID, NothingRemoved | None]:
        told = [each.event for each in await probe.heard(RemovalCompleted)]
        wanted = {here.delivery_id, nowhere.delivery_id}
        return {each.delivery_id: each.was for each in told if each.delivery_id in wanted}

    expected: dict[UUID, NothingRemoved | None] = {
        here.delivery_id: NothingRemoved.NOT_INSTALLED,
        nowhere.delivery_id: NothingRemoved.NOT_ENROLLED,
    }
    await stage.sees(answers, expected)


async def test_scenario_22_of_a_thousand_targets_the_one_that_cannot_be_read_is_refused_alone(
    stage: Stage, probe: Probe
) -> None:
    app = await stage.title(2000)
    targets = tuple(
        Principal(entitlement_id=new_id(), version=1, serial_number=f"SET{number:09}")
        for number in range(1000)
    )
    request = AssignmentRequested(
        asset_id=UUID(app.asset_id),
        kind=AssetKind.VPP_APP,
        assignment_mode=AssignmentMode.DEVICE,
        install_mode=InstallMode.AUTOMATIC,
        targets=targets,
    )
    value = encode(request)
    assert value is not None
    spoiled = value.replace(b'"SET000000500"', b'"SET\\u0000000500"')
    assert spoiled != value
    headers = envelope_of(request).headers()
    await probe.put(ASSIGNMENT_EVENTS, request.key().encode(), spoiled, headers)

    async def refused() -> list[tuple[UUID, Refusal]]:
        told = [each.event for each in await probe.heard(LicenseRefused)]
        mine = [target for one in told if one.key() == app.asset_id for target in one.targets]
        return [(target.entitlement_id, target.refusal) for target in mine]

    async def reserved() -> int:
        told = [each.event for each in await probe.heard(LicenseReserved)]
        return sum(len(one.targets) for one in told if one.key() == app.asset_id)

    await stage.sees(refused, [(targets[500].entitlement_id, Refusal.UNREADABLE_TARGET)])
    await stage.sees(reserved, 999)
    await stage.agrees(app, held=999, free=1001)


@pytest.mark.parametrize("serial", ["NUL\x00000001", "", "SPACE AND Ü", "X" * 200])
async def test_scenario_22_a_serial_number_that_cannot_be_any_devices_is_refused_alone_over_http(
    stage: Stage, serial: str
) -> None:
    app = await stage.title(1)
    [ipad] = await stage.ipads(1)
    answer = await stage.ask(
        {"asset_id": app.asset_id, "target": device(serial)},
        {"asset_id": app.asset_id, "target": device(ipad)},
    )
    assert [each["refusal"] for each in answer["assignments"]] == ["unknown_target", None]
    await stage.settles(answer["assignments"][1], installed=1)
    joined = await stage.join(await stage.group([]), [serial, ipad])
    assert (joined["added"], joined["refused"]) == (1, {"unknown_target": 1})


async def _asked(stage: Stage) -> tuple[int, int]:
    """Return how often Apple was asked to associate, and to disassociate, so far."""
    return await stage.asked_of_apple(ASSOCIATE), await stage.asked_of_apple(DISASSOCIATE)


async def _held(stage: Stage, app: Title) -> int:
    return int((await stage.sights.pool(app.asset_id))["held"])


async def _holders_at_apple(stage: Stage, app: Title) -> list[str]:
    return list((await stage.sights.at_apple(app.adam_id))["serialNumbers"])


async def _licenses(stage: Stage, app: Title) -> list[str]:
    """Return the states of all lives of licences, oldest first."""
    found = await stage.doors.licensing.every("/v1/licenses", asset_id=app.asset_id)
    return [each["state"] for each in sorted(found, key=lambda each: str(each["entitlement_id"]))]


async def _tell_all_again(stage: Stage, probe: Probe, app: Title, *, of_devices: list[str]) -> None:
    """Put every record about the app and these devices on the bus again, shuffled: as it was, and under a new id."""
    enrollments = [(await stage.sights.devices(serial_number=each))[0]["id"] for each in of_devices]
    keys = {app.asset_id.encode(), *(each.encode() for each in enrollments)}
    dice = random.Random(5)
    for topic in (MDM_PUSH_EVENTS, LICENSING_EVENTS, ASSIGNMENT_EVENTS):
        records = [record for record in await probe.records(topic) if record.key in keys]
        assert records
        for record in dice.sample(records, len(records)):
            await probe.put(topic, record.key, record.value, record.headers)
            anew = [
                (name, value if name != "ce_id" else str(new_id()).encode()) for name, value in record.headers
            ]
            await probe.put(topic, record.key, record.value, anew)
