"""Several libraries hold an asset: what happens to a target in one of them minds what it has in the others."""

from uuid import UUID

from licensing.ledger import Ledger
from licensing.ledger.people import accepted
from licensing.model import Ask, Holder
from licensing.store import foreign, people, pools
from shared.clock import TurnedClock
from shared.events.licensing import LicenseAssigned
from shared.ids import new_id
from tests.licensing.situation import LIBRARY, Situation, Wish, wish


async def assigned(situation: Situation, target: Wish) -> None:
    """Let Apple confirm what was asked."""
    async with situation.database.transaction() as tx:
        await tx.raw.execute(
            "UPDATE license SET state = 'assigned', intent_id = NULL WHERE entitlement_id = $1",
            target.entitlement_id,
        )
        await tx.raw.execute("DELETE FROM intent")


async def another_hand_gives(situation: Situation, pool_id: UUID, *serial_numbers: str) -> None:
    """Let a reading of a pool's list find foreign licences."""
    clock = situation.database.clock
    assert isinstance(clock, TurnedClock)
    clock.turn(1)
    async with situation.database.transaction() as tx:
        await pools.lock(tx, [pool_id])
        await foreign.store(tx, pool_id, devices=serial_numbers, people=(), since=tx.now)
        ledger = await Ledger.of_pools(tx, [pool_id])
        await ledger.adopt_waiting(pool_id)
        await ledger.shrink()
        await ledger.close()


async def reclaim(situation: Situation, pool_id: UUID, holder: Holder) -> int:
    """Reclaim a foreign licence; return how many were."""
    async with situation.database.transaction() as tx:
        ledger = await Ledger.of_pools(tx, [pool_id])
        [pool] = [pool for pool in ledger.pools if pool.pool_id == pool_id]
        ask = Ask(new_id(), 1, holder, pool.asset_id, new_id(), new_id())
        begun = await ledger.reclaim(pool, [ask])
        await ledger.close()
    return len(begun)


async def states(situation: Situation) -> list[tuple[str, bool]]:
    """Return the living licences, and whether each is part of a request to Apple."""
    rows = await situation.rows(
        "SELECT state, intent_id IS NOT NULL FROM license WHERE state <> 'released' ORDER BY state"
    )
    return [(row[0], row[1]) for row in rows]


async def test_a_foreign_licence_is_not_reclaimed_beside_one_of_ours_which_comes_back_when_it_should(
    situation: Situation,
) -> None:
    await situation.begin(2)
    await situation.open_pool("lib-2", 2)
    ours = wish("A")
    await situation.request(ours, library_id="lib-2")
    await assigned(situation, ours)
    await another_hand_gives(situation, situation.pool_id, "A")
    assert await reclaim(situation, situation.pool_id, "A") == 0
    await situation.revoke(ours)
    assert await states(situation) == [("releasing", True)]
    assert await reclaim(situation, situation.pool_id, "A") == 0, "one after the other"
    await situation.send(ours)
    assert await reclaim(situation, situation.pool_id, "A") == 0
    await situation.check()


async def test_a_new_life_finds_its_own_licence_though_another_hand_gave_a_second_one(
    situation: Situation,
) -> None:
    await situation.begin(2)
    await situation.open_pool("lib-2", 2)
    ours, later = wish("A"), wish("A")
    await situation.request(ours, library_id="lib-2")
    await assigned(situation, ours)
    await another_hand_gives(situation, situation.pool_id, "A")
    await reclaim(situation, situation.pool_id, "A")
    await situation.request(later)
    assert await situation.state(later) == "assigned"
    await situation.check()


async def test_who_waits_is_granted_the_foreign_licence_that_is_theirs_in_whichever_library(
    situation: Situation,
) -> None:
    await situation.begin(0)
    second = await situation.open_pool("lib-2", 1)
    first, mine, insisting = wish("A"), wish("B"), wish("C")
    await situation.request(first, mine)
    await situation.request(insisting, library_id=LIBRARY)
    assert await situation.state(mine) == "waitlisted"
    await another_hand_gives(situation, second, "B")
    assert await situation.state(mine) == "assigned"
    assert await situation.state(first) == "waitlisted", "there was one, and it is another's"
    await another_hand_gives(situation, second, "B", "C")
    assert await situation.state(insisting) == "waitlisted", "not of the library it insists on"
    await situation.check()


async def test_a_foreign_licence_found_in_one_library_waits_for_the_release_in_the_other(
    situation: Situation,
) -> None:
    await situation.begin(0)
    second = await situation.open_pool("lib-2", 1)
    former, later = wish("A"), wish("A")
    await situation.request(former)
    await assigned(situation, former)
    await situation.revoke(former)
    await situation.send(former)
    await situation.request(later)
    assert await situation.state(later) == "waitlisted"
    await another_hand_gives(situation, situation.pool_id, "A")
    assert await states(situation) == [("releasing", True), ("reserved", False)]
    await situation.check()
    rows = await situation.rows("SELECT held, foreign_count FROM pool WHERE id = $1", second)
    assert [tuple(row) for row in rows] == [(1, 0)]


async def test_who_accepts_while_a_former_licence_is_being_released_waits_for_its_outcome(
    situation: Situation,
) -> None:
    await situation.begin(2)
    user_id = new_id()
    former, later = Wish(user_id, new_id()), Wish(user_id, new_id())
    await situation.associate_person(user_id)
    await situation.request(former)
    await assigned(situation, former)
    await situation.revoke(former)
    await situation.send(former)
    async with situation.database.transaction() as tx:  # the Apple user was retired, and is made anew
        await tx.raw.execute("UPDATE apple_user SET state = 'registered'")
    await situation.request(later)
    assert await situation.state(later) == "awaiting_acceptance"
    async with situation.database.transaction() as tx:
        await people.lock(tx, {user_id: None})
        await accepted(tx, LIBRARY, [user_id])
    assert await states(situation) == [("releasing", True), ("reserved", False)]
    await situation.check()


async def test_who_waited_for_a_release_and_adopts_meanwhile_is_asked_for_only_after_it(
    situation: Situation,
) -> None:
    """Else a release that is refused for good would leave the target with two living licences (promise 2)."""
    await situation.begin(2)
    second = await situation.open_pool("lib-2", 2)
    former, later = wish("A"), wish("A")
    await situation.request(former)
    await assigned(situation, former)
    await situation.revoke(former)
    await situation.send(former)
    async with situation.database.transaction() as tx:
        await pools.lock(tx, [second])
        await foreign.store(tx, second, devices=["A"], people=(), since=tx.now)
    await situation.request(later, library_id="lib-2")
    rows = await situation.rows("SELECT state, intent_id IS NULL FROM license ORDER BY state DESC")
    assert [tuple(row) for row in rows] == [("reserved", True), ("releasing", False)]
    await situation.check()


async def test_a_licence_that_is_there_stays_with_its_target_whichever_library_is_named(
    situation: Situation,
) -> None:
    await situation.begin(1)
    await situation.open_pool("lib-2", 1)
    former = wish("A")
    await situation.request(former, library_id=LIBRARY)
    await assigned(situation, former)
    await situation.told()
    heir = wish("A")
    await situation.request(heir, library_id="lib-2")
    assert await states(situation) == [("assigned", False)]
    [told] = [event for _, event in await situation.told() if isinstance(event, LicenseAssigned)]
    assert told.library_id == LIBRARY, "what is told says where it is"
    await situation.check()
