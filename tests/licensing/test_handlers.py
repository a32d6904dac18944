"""The use cases of the ledger on PostgreSQL: wishes come in sets, licences are held, answers are told."""

import asyncio
import json

import pytest

from shared import ids
from shared.events import Unreadable
from shared.events.licensing import (
    LicenseAssigned,
    LicenseRefused,
    LicenseReleased,
    LicenseReserved,
    LicenseWaitlisted,
)
from shared.events.registry import decode
from shared.events.words import AssetKind, Held, Refusal
from tests.licensing.situation import LIBRARY, Situation, wish, wishes


async def test_a_request_reserves_and_puts_all_targets_into_one_request_to_apple(
    situation: Situation,
) -> None:
    await situation.begin(50)
    targets = wishes(40)
    correlation_id = await situation.request(*targets)

    ((envelope, event),) = await situation.told()
    assert isinstance(event, LicenseReserved)
    assert event.library_id == LIBRARY
    assert [target.entitlement_id for target in event.targets] == [each.entitlement_id for each in targets]
    assert envelope.correlation_id == correlation_id
    assert (await situation.pool())["held"] == 40
    (intent,) = await situation.rows("SELECT kind, size, joinable, work_id FROM intent")
    assert (intent["kind"], intent["size"], intent["joinable"]) == ("associate", 40, True)
    (work,) = await situation.rows("SELECT id, kind FROM work")
    assert (work["id"], work["kind"]) == (intent["work_id"], "intent")
    await situation.check()


async def test_who_finds_no_licence_waits_with_a_place_in_the_order_of_arrival(situation: Situation) -> None:
    await situation.begin(10)
    await situation.request(*wishes(12, "A"))
    second = wishes(2, "B")
    await situation.request(*second)

    events = [event for _, event in await situation.told()]
    assert [type(event).__name__ for event in events] == [
        "LicenseReserved",
        "LicenseWaitlisted",
        "LicenseWaitlisted",
    ]
    first_waiting, second_waiting = events[1:]
    assert isinstance(first_waiting, LicenseWaitlisted)
    assert isinstance(second_waiting, LicenseWaitlisted)
    assert [target.position for target in first_waiting.targets] == [1, 2]
    assert [target.position for target in second_waiting.targets] == [3, 4]
    await situation.check()


async def test_a_higher_priority_goes_before_those_who_wait(situation: Situation) -> None:
    await situation.begin(0)
    await situation.request(*wishes(3, "A"))
    await situation.request(*wishes(2, "B"), priority=5)
    await situation.request(*wishes(1, "C"), priority=2)

    places = [
        [target.position for target in event.targets]
        for _, event in await situation.told()
        if isinstance(event, LicenseWaitlisted)
    ]
    assert places == [[1, 2, 3], [1, 2], [3]]


async def test_who_will_not_wait_is_refused_and_nothing_is_held(situation: Situation) -> None:
    await situation.begin(1)
    await situation.request(*wishes(3), no_wait=True)

    _, (_, refused) = await situation.told()
    assert isinstance(refused, LicenseRefused)
    assert {target.refusal for target in refused.targets} == {Refusal.NO_LICENCE_LEFT}
    assert len(refused.targets) == 2
    await situation.check()


async def test_an_unlimited_asset_has_no_end(situation: Situation) -> None:
    await situation.begin(None)
    await situation.request(*wishes(500))
    assert (await situation.states()) == {"reserved": 500}


async def test_two_hundred_reservations_at_once_on_ten_licences_give_exactly_ten(
    situation: Situation,
) -> None:
    await situation.begin(10)
    targets = wishes(200)
    await asyncio.gather(*(situation.request(target) for target in targets))

    assert (await situation.states()) == {"reserved": 10, "waitlisted": 190}
    told = await situation.told_of()
    assert sorted(told) == sorted(target.entitlement_id for target in targets)
    assert all(len(answers) == 1 for answers in told.values())
    await situation.check()


async def test_two_requests_of_one_batch_share_what_is_left_whatever_library_they_insist_on(
    situation: Situation,
) -> None:
    await situation.begin(5)
    await situation.hear(
        [situation.requested(*wishes(4, "A"), library_id=LIBRARY), situation.requested(*wishes(4, "B"))]
    )
    assert (await situation.states()) == {"reserved": 5, "waitlisted": 3}
    await situation.check()


async def test_small_requests_fill_one_request_to_apple(situation: Situation) -> None:
    await situation.begin(5000)
    for _ in range(3):
        await situation.request(*wishes(600, str(ids.new_id())[-8:]))
    sizes = await situation.rows("SELECT size FROM intent ORDER BY id")
    assert [row["size"] for row in sizes] == [1000, 800]
    await situation.check()


async def test_a_repeated_ask_gets_the_answer_again_and_changes_nothing(situation: Situation) -> None:
    await situation.begin(1)
    held, waiting = wish("HELD"), wish("WAITING")
    await situation.request(held, waiting)
    await situation.told()
    again = await situation.request(held, waiting)

    told = await situation.told()
    assert {envelope.type for envelope, _ in told} == {"LicenseReserved", "LicenseWaitlisted"}
    assert all(envelope.correlation_id == again for envelope, _ in told)
    assert (await situation.states()) == {"reserved": 1, "waitlisted": 1}
    await situation.check()


async def test_a_lower_version_is_ignored(situation: Situation) -> None:
    await situation.begin(1)
    target = wish("S", version=3)
    await situation.request(target)
    await situation.told()
    await situation.revoke(target, version=2)
    assert await situation.told() == []
    assert await situation.state(target) == "reserved"


async def test_an_entitlement_twice_in_one_batch_is_reserved_once(situation: Situation) -> None:
    await situation.begin(5)
    target = wish("S")
    await situation.hear([situation.requested(target), situation.requested(target)])
    assert (await situation.pool())["held"] == 1
    assert (await situation.told_of())[target.entitlement_id] == ["LicenseReserved", "LicenseReserved"]
    await situation.check()


async def test_a_stronger_cover_raises_a_waiters_place(situation: Situation) -> None:
    await situation.begin(0)
    first, second = wish("A"), wish("B")
    await situation.request(first, second)
    await situation.told()
    await situation.request(type(second)(second.serial_number, second.entitlement_id, 2), priority=9)

    ((_, event),) = await situation.told()
    assert isinstance(event, LicenseWaitlisted)
    assert event.targets[0].position == 1


async def test_a_licence_never_sent_comes_back_at_once_and_serves_the_next(situation: Situation) -> None:
    await situation.begin(1)
    held, waiting = wish("HELD"), wish("WAITING")
    await situation.request(held, waiting)
    await situation.told()
    await situation.revoke(held)

    events = [event for _, event in await situation.told()]
    assert [type(event) for event in events] == [LicenseReleased, LicenseReserved]
    assert isinstance(events[0], LicenseReleased)
    assert events[0].targets[0].held is Held.LICENSE
    assert (await situation.states()) == {"released": 1, "reserved": 1}
    await situation.check()


async def test_a_licence_that_apple_may_have_stays_held_until_its_outcome(situation: Situation) -> None:
    await situation.begin(1)
    held, waiting = wish("HELD"), wish("WAITING")
    await situation.request(held, waiting)
    await situation.send(held)
    await situation.told()
    await situation.revoke(held)

    assert await situation.told() == []
    assert (await situation.states()) == {"releasing": 1, "waitlisted": 1}
    await situation.check()


async def test_scenario_20_a_revoke_of_something_waitlisted_refused_or_unknown_finds_nothing(
    situation: Situation,
) -> None:
    await situation.begin(0)
    waiting, refused, unknown = wish("WAITING"), wish("REFUSED"), wish("UNKNOWN")
    await situation.request(waiting)
    await situation.request(refused, no_wait=True)
    await situation.told()
    await situation.revoke(waiting, refused, unknown)

    released = [event for _, event in await situation.told() if isinstance(event, LicenseReleased)]
    found = {target.entitlement_id: target.held for event in released for target in event.targets}
    assert found == {each.entitlement_id: Held.NONE for each in (waiting, refused, unknown)}
    await situation.check()


async def test_a_request_that_comes_after_its_own_revoke_holds_nothing(situation: Situation) -> None:
    await situation.begin(5)
    target = wish("S")
    await situation.revoke(target, version=2)
    await situation.told()
    await situation.request(target)
    assert (await situation.pool())["held"] == 0


async def test_scenario_02_a_new_life_keeps_the_licence_whose_release_was_not_sent(
    situation: Situation,
) -> None:
    await situation.begin(1)
    first, second = wish("S"), wish("S")
    await situation.request(first)
    await _assign(situation)
    await situation.revoke(first)
    assert (await situation.states()) == {"releasing": 1}
    await situation.told()
    await situation.request(second)

    released, assigned = [event for _, event in await situation.told()]
    assert isinstance(released, LicenseReleased)
    assert released.targets[0].held is Held.PASSED_ON
    assert isinstance(assigned, LicenseAssigned)
    assert assigned.targets[0].entitlement_id == second.entitlement_id
    assert (await situation.pool())["held"] == 1
    assert [row["size"] for row in await situation.rows("SELECT size FROM intent")] == [0]
    await situation.check()


async def test_scenario_02_a_new_life_waits_for_the_outcome_of_a_release_that_was_sent(
    situation: Situation,
) -> None:
    await situation.begin(2)
    first, second = wish("S"), wish("S")
    await situation.request(first)
    await _assign(situation)
    await situation.revoke(first)
    await situation.send(first)
    await situation.told()
    await situation.request(second)

    assert (await situation.told_of())[second.entitlement_id] == ["LicenseReserved"]
    (row,) = await situation.rows(
        "SELECT intent_id FROM license WHERE entitlement_id = $1", second.entitlement_id
    )
    assert row["intent_id"] is None
    assert (await situation.pool())["held"] == 2
    await situation.check()


async def test_a_new_life_before_the_old_ones_revoke_takes_over_silently(situation: Situation) -> None:
    await situation.begin(1)
    first, second = wish("S"), wish("S")
    await situation.request(first)
    await situation.send(first)
    await situation.told()
    await situation.request(second)
    assert (await situation.told_of()) == {second.entitlement_id: ["LicenseReserved"]}
    await situation.revoke(first)

    ((_, event),) = await situation.told()
    assert isinstance(event, LicenseReleased)
    assert event.targets[0].held is Held.PASSED_ON
    assert (await situation.pool())["held"] == 1
    await situation.check()


async def test_scenario_22_one_unreadable_serial_among_a_thousand_is_refused_alone(
    situation: Situation,
) -> None:
    await situation.begin(1000)
    targets, bad = wishes(999), ids.new_id()
    good = situation.requested(*targets)
    value = json.loads(good.event.model_dump_json())
    value["targets"].insert(500, {"entitlement_id": str(bad), "version": 1, "serial_number": "AB\x00CD"})
    heard = decode(type(good.event), good.envelope, key=b"", value=json.dumps(value).encode())
    await situation.hear([heard])

    (_, reserved), (_, refused) = await situation.told()
    assert isinstance(reserved, LicenseReserved)
    assert len(reserved.targets) == 999
    assert isinstance(refused, LicenseRefused)
    assert [(each.entitlement_id, each.refusal) for each in refused.targets] == [
        (bad, Refusal.UNREADABLE_TARGET)
    ]


async def test_a_revoke_of_an_unreadable_target_is_answered_too(situation: Situation) -> None:
    await situation.begin(1)
    bad = ids.new_id()
    await situation.hear([situation.revoked(unreadable=[Unreadable(bad, "targets.0"), Unreadable(None, "")])])
    assert (await situation.told_of()) == {bad: ["LicenseRefused"]}


async def test_an_asset_that_no_library_holds_is_refused(situation: Situation) -> None:
    await situation.begin(5)
    target = wish("S")
    await situation.request(target, asset_id=ids.asset_id("1", "STDQ"))
    await situation.request(wish("T"), library_id="another")
    told = [event for _, event in await situation.told() if isinstance(event, LicenseRefused)]
    assert [each.refusal for event in told for each in event.targets] == [Refusal.NO_POOL] * 2


@pytest.mark.parametrize("kind", [AssetKind.IN_HOUSE_APP, AssetKind.IN_HOUSE_BOOK])
async def test_in_house_assets_are_none_of_our_business(situation: Situation, kind: AssetKind) -> None:
    await situation.begin(5)
    await situation.request(wish("S"), kind=kind)
    assert await situation.told() == []


async def test_a_book_is_never_for_a_device(situation: Situation) -> None:
    await situation.begin(5, book=True)
    await situation.request(wish("S"), kind=AssetKind.VPP_BOOK)
    ((_, event),) = await situation.told()
    assert isinstance(event, LicenseRefused)
    assert event.targets[0].refusal is Refusal.NOT_DEVICE_ASSIGNABLE
    await situation.check()


async def test_an_irrevocable_licence_is_not_released(situation: Situation) -> None:
    await situation.begin(1)
    target = wish("S")
    await situation.request(target)
    await _assign(situation)
    async with situation.database.transaction() as tx:
        await tx.raw.execute("UPDATE asset SET revocable = false")
    await situation.told()
    await situation.revoke(target)

    ((_, event),) = await situation.told()
    assert isinstance(event, LicenseRefused)
    assert event.targets[0].refusal is Refusal.IRREVOCABLE
    assert await situation.state(target) == "assigned"


async def _assign(situation: Situation) -> None:
    """Let Apple have confirmed everything that was reserved."""
    async with situation.database.transaction() as tx:
        await tx.raw.execute(
            "UPDATE license SET state = 'assigned', intent_id = NULL WHERE state = 'reserved'"
        )
        await tx.raw.execute("DELETE FROM intent WHERE kind = 'associate'")
