"""Who waits, for how long, and who is served by which library."""

from datetime import timedelta
from uuid import UUID

from licensing.handlers.waitlist import end_waiting, serve_pool
from shared.clock import TurnedClock
from shared.events.licensing import LicenseFailed, LicenseReserved, LicenseWaitlisted
from shared.events.words import Refusal
from shared.ids import new_id
from tests.licensing.situation import LIBRARY, NOON, Situation, Wish, wish, wishes


async def pool_of(situation: Situation, target: Wish) -> UUID:
    [row] = await situation.rows(
        "SELECT pool_id FROM license WHERE entitlement_id = $1", target.entitlement_id
    )
    pool_id: UUID = row["pool_id"]
    return pool_id


async def order(situation: Situation) -> list[object]:
    """Return who waits, in the order in which they are served."""
    rows = await situation.rows(
        "SELECT serial_number FROM license WHERE state = 'waitlisted' ORDER BY priority DESC, arrival"
    )
    return [row[0] for row in rows]


async def test_scenario_16_a_request_overflows_to_the_second_library_and_nobody_holds_two(
    situation: Situation,
) -> None:
    await situation.begin(3)
    second = await situation.open_pool("lib-2", 3)
    targets = wishes(8)
    await situation.request(*targets)
    assert [await pool_of(situation, each) for each in targets[:6]] == [situation.pool_id] * 3 + [second] * 3
    assert await order(situation) == [each.serial_number for each in targets[6:]]
    await situation.check()
    told = [event for _, event in await situation.told() if isinstance(event, LicenseReserved)]
    assert [(event.library_id, len(event.targets)) for event in told] == [(LIBRARY, 3), ("lib-2", 3)]
    await situation.request(Wish(targets[3].holder, new_id()))  # a new life of a device that lib-2 serves
    held = await situation.rows(
        "SELECT count(*) FROM license WHERE serial_number = $1 AND state = 'reserved'",
        targets[3].serial_number,
    )
    assert held[0][0] == 1
    await situation.check()


async def test_who_waits_for_any_library_is_served_by_whichever_has_a_licence(situation: Situation) -> None:
    await situation.begin(1)
    second = await situation.open_pool("lib-2", 1)
    first, other, late = wish("A"), wish("B"), wish("C")
    await situation.request(first, other, late)
    await situation.revoke(other)
    assert await situation.state(late) == "reserved"
    assert await pool_of(situation, late) == second
    await situation.check()


async def test_who_insists_on_a_library_waits_for_that_one(situation: Situation) -> None:
    await situation.begin(1)
    await situation.open_pool("lib-2", 1)
    mine, insisting, easy = wish("A"), wish("B"), wish("C")
    await situation.request(mine)
    await situation.request(insisting, library_id=LIBRARY)
    assert await situation.state(insisting) == "waitlisted"
    await situation.request(easy)
    assert await situation.state(easy) == "reserved", "who waits for another library holds up nobody"
    await situation.revoke(easy)
    assert await situation.state(insisting) == "waitlisted"
    await situation.revoke(mine)
    assert await situation.state(insisting) == "reserved"


async def test_newcomers_do_not_overtake_those_who_wait_for_any_library(situation: Situation) -> None:
    """Even while more is free than one transaction serves."""
    await situation.begin(0)
    second = await situation.open_pool("lib-2", 0)
    await situation.request(wish("A"))
    async with situation.database.transaction() as tx:  # what a reading stores whose waiters are served later
        await tx.raw.execute("UPDATE pool SET total = 1 WHERE id = $1", second)
    newcomer = wish("B")
    await situation.request(newcomer)
    assert await situation.state(newcomer) == "waitlisted"
    await situation.check()


async def test_scenario_17_a_second_stronger_cover_raises_place_and_expiry(situation: Situation) -> None:
    await situation.begin(0)
    clock = situation.database.clock
    assert isinstance(clock, TurnedClock)
    first, weak = wish("A"), wish("B")
    await situation.request(first)
    await situation.request(weak, expires_at=NOON + timedelta(hours=1))
    assert await order(situation) == ["A", "B"]
    stronger = Wish(weak.holder, weak.entitlement_id, version=2)
    await situation.request(stronger, priority=5, expires_at=NOON + timedelta(days=2))
    assert await order(situation) == ["B", "A"]
    clock.turn(7200)
    async with situation.database.transaction() as tx:
        await end_waiting(tx, situation.pool_id)
    assert await situation.state(weak) == "waitlisted"


async def test_who_wanted_to_wait_no_longer_gets_a_final_answer_and_no_licence(situation: Situation) -> None:
    await situation.begin(0)
    clock = situation.database.clock
    assert isinstance(clock, TurnedClock)
    patient, hasty = wish("A"), wish("B")
    await situation.request(hasty, priority=9, expires_at=NOON + timedelta(seconds=60))
    await situation.request(patient)
    clock.turn(60)
    await situation.own(1)
    assert await situation.state(patient) == "reserved", "an expired place is served no more"
    assert await situation.state(hasty) == "waitlisted"
    await situation.told()
    async with situation.database.transaction() as tx:
        await end_waiting(tx, situation.pool_id)
    [(_, event)] = await situation.told()
    assert isinstance(event, LicenseFailed)
    assert [(each.entitlement_id, each.cause) for each in event.targets] == [
        (hasty.entitlement_id, "expired")
    ]
    await situation.request(hasty)  # asked once more: the same answer
    [(_, event)] = await situation.told()
    assert isinstance(event, LicenseFailed)
    await situation.check()


async def test_scenario_13_a_refund_sends_back_the_latest_reservations_that_were_not_sent(
    situation: Situation,
) -> None:
    await situation.begin(5)
    sent, unsent = wishes(3, "SENT"), [wish(f"WAIT{number}") for number in range(2)]
    await situation.request(*sent)
    await situation.send(*sent)
    await situation.request(*unsent)
    waiter = wish("LAST")
    await situation.request(waiter)
    await situation.told()
    await situation.own(4)
    assert [await situation.state(each) for each in unsent] == ["reserved", "waitlisted"]
    assert await order(situation) == ["WAIT1", "LAST"], "back in the order of arrival"
    [(_, event)] = await situation.told()
    assert isinstance(event, LicenseWaitlisted)
    assert event.targets[0].position == 1
    await situation.own(1)
    assert await order(situation) == ["WAIT0", "WAIT1", "LAST"]
    assert (await situation.pool())["held"] == 3, (
        "what Apple may have waits for its outcome: over-allocated by 2"
    )
    await situation.check()


async def test_a_refund_refuses_who_would_not_wait(situation: Situation) -> None:
    await situation.begin(1)
    unwilling = wish("A")
    await situation.request(unwilling, no_wait=True)
    await situation.told()
    await situation.own(0)
    assert await situation.state(unwilling) == "refused"
    [(_, event)] = await situation.told()
    assert event.model_dump()["targets"][0]["refusal"] == Refusal.NO_LICENCE_LEFT


async def test_a_refund_in_one_library_is_served_by_the_other(situation: Situation) -> None:
    await situation.begin(1)
    await situation.open_pool("lib-2", 1)
    target = wish("A")
    await situation.request(target)
    await situation.own(0)
    assert await situation.state(target) == "reserved"
    assert await pool_of(situation, target) != situation.pool_id
    await situation.check()


async def test_a_library_that_cannot_be_written_to_is_asked_last(situation: Situation) -> None:
    await situation.begin(1)
    second = await situation.open_pool("lib-2", 1)
    async with situation.database.transaction() as tx:
        await tx.raw.execute("UPDATE library SET state = 'suspended' WHERE id = $1", LIBRARY)
    one, two = wish("A"), wish("B")
    await situation.request(one, two)
    assert await pool_of(situation, one) == second
    assert await pool_of(situation, two) == situation.pool_id, "reserved against the last reading"
    async with situation.database.transaction() as tx:
        await serve_pool(tx, situation.pool_id)
    await situation.check()
