"""What the ledger once got wrong, each as small as it can be told."""

from datetime import timedelta

import pytest

from shared.clock import TurnedClock
from shared.events.licensing import LicenseRefused
from shared.events.words import Refusal
from tests.licensing.situation import LIBRARY, NOON, Situation, Wish, wish


async def refusals(situation: Situation) -> dict[object, Refusal]:
    """Take what was told, and return who was refused and why."""
    return {
        target.entitlement_id: target.refusal
        for _, event in await situation.told()
        if isinstance(event, LicenseRefused)
        for target in event.targets
    }


@pytest.mark.parametrize("no_wait", [True, False])
async def test_who_waits_no_more_keeps_no_newcomer_from_a_free_licence(
    situation: Situation, *, no_wait: bool
) -> None:
    await situation.begin(0)
    hasty, newcomer = wish("A"), wish("B")
    await situation.request(hasty, expires_at=NOON + timedelta(seconds=60))
    clock = situation.database.clock
    assert isinstance(clock, TurnedClock)
    clock.turn(60)
    await situation.own(1)  # before the clock has ended the waiting
    await situation.told()
    await situation.request(newcomer, no_wait=no_wait)
    assert await situation.told_of() == {newcomer.entitlement_id: ["LicenseReserved"]}
    await situation.check()


async def test_who_came_to_insist_on_another_library_keeps_no_newcomer_from_this_ones(
    situation: Situation,
) -> None:
    await situation.begin(0)
    await situation.open_pool("lib-2", 0)
    waiter, newcomer = wish("A"), wish("B")
    await situation.request(waiter)
    await situation.request(Wish(waiter.holder, waiter.entitlement_id, version=2), library_id="lib-2")
    await situation.own(1)
    assert await situation.state(waiter) == "waitlisted"
    await situation.request(newcomer, no_wait=True)
    assert await situation.state(newcomer) == "reserved"
    await situation.check()


async def test_who_came_to_insist_on_a_library_is_not_overtaken_there(situation: Situation) -> None:
    await situation.begin(0)
    second = await situation.open_pool("lib-2", 0)
    waiter, newcomer = wish("A"), wish("B")
    await situation.request(waiter)
    await situation.request(Wish(waiter.holder, waiter.entitlement_id, version=2), library_id="lib-2")
    async with situation.database.transaction() as tx:  # what a reading stores whose waiters are served later
        await tx.raw.execute("UPDATE pool SET total = 1 WHERE id = $1", second)
    await situation.request(newcomer)
    assert await situation.state(waiter) == "reserved"
    assert await situation.state(newcomer) == "waitlisted"
    await situation.check()


async def test_who_will_not_wait_is_not_left_to_a_suspended_library_by_overflow(situation: Situation) -> None:
    await situation.begin(1)
    await situation.open_pool("lib-2", 2)
    async with situation.database.transaction() as tx:
        await tx.raw.execute("UPDATE library SET state = 'suspended' WHERE id <> $1", LIBRARY)
    served, unwilling, patient = wish("A"), wish("B"), wish("C")
    await situation.request(served, unwilling, no_wait=True)
    await situation.request(patient)
    assert await situation.state(served) == "reserved"
    assert await refusals(situation) == {unwilling.entitlement_id: Refusal.LIBRARY_SUSPENDED}
    assert await situation.state(patient) == "reserved", "reserved against the last reading"
    await situation.check()


async def test_what_is_told_again_of_a_reserved_life_counts_when_a_refund_sends_it_back(
    situation: Situation,
) -> None:
    await situation.begin(2)
    await situation.open_pool("lib-2", 0)
    weak, later, waiter = wish("A"), wish("B"), wish("C")
    await situation.request(weak, later, expires_at=NOON + timedelta(hours=1))
    await situation.request(waiter, priority=5)
    until = NOON + timedelta(days=1)
    again = Wish(later.holder, later.entitlement_id, version=2)
    await situation.request(again, priority=9, expires_at=until, library_id=LIBRARY)
    assert await situation.state(later) == "reserved", "it stays what it is"
    await situation.own(1)
    rows = await situation.rows(
        "SELECT serial_number, version, library_id, expires_at FROM license WHERE state = 'waitlisted'"
        " ORDER BY priority DESC, arrival"
    )
    assert [tuple(row) for row in rows] == [("B", 2, LIBRARY, until), ("C", 1, None, None)]
    await situation.own(2)
    assert (await situation.state(later), await situation.state(waiter)) == ("reserved", "waitlisted")
    await situation.check()


async def test_who_waits_and_insists_on_no_library_any_more_is_served_at_once(situation: Situation) -> None:
    await situation.begin(1)
    await situation.open_pool("lib-2", 0)
    waiter = wish("A")
    await situation.request(waiter, library_id="lib-2", priority=3)
    assert await situation.state(waiter) == "waitlisted"
    await situation.request(Wish(waiter.holder, waiter.entitlement_id, version=2))
    assert await situation.state(waiter) == "reserved"
    await situation.check()


async def test_a_late_weaker_cover_under_a_lower_version_changes_no_place(situation: Situation) -> None:
    await situation.begin(0)
    waiter = wish("A", version=3)
    await situation.request(waiter, priority=9)
    await situation.told()
    await situation.request(Wish(waiter.holder, waiter.entitlement_id, version=2), priority=1, no_wait=True)
    assert await situation.told() == []
    [row] = await situation.rows("SELECT state, priority, no_wait FROM license")
    assert tuple(row) == ("waitlisted", 9, False)
