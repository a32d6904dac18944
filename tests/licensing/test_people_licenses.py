"""Licences of people: held until they have accepted, one per person however many devices (R9)."""

import asyncio
from uuid import UUID

from licensing.ledger import Ledger
from licensing.ledger.people import accepted, invitation_ended, refused
from licensing.store import people
from shared.events.licensing import LicenseFailed, LicenseRefused, LicenseReserved
from shared.events.words import AssetKind, Awaits, Refusal
from shared.ids import new_id
from tests.licensing.situation import LIBRARY, Situation, Wish, wish


async def lock_and(situation: Situation, user_id: UUID, what: str) -> None:
    """Let something happen to a person's Apple user, as its handler does it."""
    async with situation.database.transaction() as tx:
        await people.lock(tx, {user_id: None})
        match what:
            case "accepted":
                await accepted(tx, LIBRARY, [user_id])
            case "ended":
                await invitation_ended(tx, LIBRARY, [user_id])
            case _:
                await refused(tx, LIBRARY, [user_id], Refusal.ACCOUNT_IN_USE, 9641)


async def members(situation: Situation) -> list[tuple[bool, int]]:
    """Return for each request to Apple whether it is of people, and its size."""
    rows = await situation.rows("SELECT of_people, size FROM intent ORDER BY of_people")
    return [(row["of_people"], row["size"]) for row in rows]


async def test_a_person_who_has_not_accepted_holds_a_licence_and_nothing_is_asked_of_apple(
    situation: Situation,
) -> None:
    await situation.begin(1)
    person, waiter = wish(new_id()), wish("A")
    await situation.request(person)
    await situation.request(waiter)
    assert await situation.state(person) == "awaiting_acceptance"
    assert await situation.state(waiter) == "waitlisted"
    assert await members(situation) == []
    reserved = [event for _, event in await situation.told() if isinstance(event, LicenseReserved)]
    assert [(each.user_id, each.awaits) for each in reserved[0].targets] == [
        (person.holder, Awaits.ACCEPTANCE)
    ]
    [errand] = await situation.rows(
        "SELECT payload ->> 'user_ids' AS ids FROM work WHERE kind = 'want_apple_users'"
    )
    assert str(person.holder) in errand["ids"]
    await situation.check()


async def test_acceptance_sends_what_was_held(situation: Situation) -> None:
    await situation.begin(2)
    person, device = wish(new_id()), wish("A")
    await situation.request(person)
    await situation.request(device)
    assert isinstance(person.holder, UUID)
    await situation.associate_person(person.holder)
    assert await situation.state(person) == "reserved"
    assert await members(situation) == [(False, 1), (True, 1)], "devices and people in requests of their own"
    reserved = [event for _, event in await situation.told() if isinstance(event, LicenseReserved)]
    assert reserved[-1].targets[0].awaits is Awaits.APPLE
    await situation.check()


async def test_who_is_associated_already_is_asked_for_at_once(situation: Situation) -> None:
    await situation.begin(1)
    person = wish(new_id())
    assert isinstance(person.holder, UUID)
    await situation.associate_person(person.holder)
    await situation.request(person)
    assert await situation.state(person) == "reserved"
    assert await members(situation) == [(True, 1)]


async def test_one_licence_per_person_however_often_they_are_asked_for(situation: Situation) -> None:
    await situation.begin(5)
    user_id = new_id()
    one, two = Wish(user_id, new_id()), Wish(user_id, new_id())
    await situation.request(one)
    await situation.request(two)
    assert (await situation.pool())["held"] == 1
    assert await situation.state(one) == "released"
    assert await situation.state(two) == "awaiting_acceptance"
    await situation.check()


async def test_scenario_29_the_end_of_an_unaccepted_invitation_serves_the_waitlist_and_a_new_life_asks_anew(
    situation: Situation,
) -> None:
    await situation.begin(1)
    person, waiter = wish(new_id()), wish("A")
    assert isinstance(person.holder, UUID)
    await situation.request(person)
    await situation.request(waiter)
    await situation.told()
    await lock_and(situation, person.holder, "ended")
    assert await situation.state(waiter) == "reserved"
    failed = [event for _, event in await situation.told() if isinstance(event, LicenseFailed)]
    assert [each.cause for each in failed[0].targets] == ["invitation_ended"]
    later = Wish(person.holder, new_id())
    await situation.request(later)
    assert await situation.state(later) == "waitlisted"
    await situation.check()


async def test_an_account_in_use_refuses_what_was_held_and_frees_it(situation: Situation) -> None:
    await situation.begin(1)
    person = wish(new_id())
    assert isinstance(person.holder, UUID)
    await situation.request(person)
    await situation.told()
    await lock_and(situation, person.holder, "refused")
    assert await situation.state(person) == "refused"
    assert (await situation.pool())["held"] == 0
    [(_, event)] = await situation.told()
    assert isinstance(event, LicenseRefused)
    assert (event.targets[0].refusal, event.targets[0].error_number) == (Refusal.ACCOUNT_IN_USE, 9641)


async def test_what_happens_to_a_person_a_second_time_changes_nothing(situation: Situation) -> None:
    await situation.begin(1)
    person = wish(new_id())
    assert isinstance(person.holder, UUID)
    await situation.associate_person(person.holder)
    await situation.request(person)
    await situation.told()
    for what in ("accepted", "ended", "refused"):
        await lock_and(situation, person.holder, what)
    assert await situation.state(person) == "reserved"
    assert await situation.told() == []
    await situation.check()


async def test_a_waiting_person_is_served_and_invited_then(situation: Situation) -> None:
    await situation.begin(1)
    device, person = wish("A"), wish(new_id())
    await situation.request(device)
    await situation.request(person)
    assert not await situation.rows("SELECT 1 FROM work WHERE kind = 'want_apple_users'"), (
        "not before a licence is held"
    )
    await situation.revoke(device)
    assert await situation.state(person) == "awaiting_acceptance"
    assert await situation.rows("SELECT 1 FROM work WHERE kind = 'want_apple_users'")
    await situation.check()


async def test_scenario_09_no_licence_waits_for_a_person_who_accepts_while_it_is_reserved(
    situation: Situation,
) -> None:
    await situation.begin(None)
    targets = [wish(new_id()) for _ in range(30)]
    users = [target.holder for target in targets if isinstance(target.holder, UUID)]
    await asyncio.gather(
        *(situation.request(target) for target in targets),
        *(situation.associate_person(user) for user in users),
    )
    assert await situation.states() == {"reserved": 30}
    await situation.check()


async def test_a_book_goes_to_people_only_and_is_never_released_once_apple_may_have_it(
    situation: Situation,
) -> None:
    await situation.begin(2, book=True)
    person, unaccepted = wish(new_id()), wish(new_id())
    assert isinstance(person.holder, UUID)
    await situation.associate_person(person.holder)
    await situation.request(person, kind=AssetKind.VPP_BOOK)
    await situation.request(unaccepted, kind=AssetKind.VPP_BOOK)
    await situation.send(person)
    await situation.told()
    await situation.revoke(person, unaccepted)
    assert await situation.state(unaccepted) == "released", "what was never sent comes back"
    assert await situation.state(person) == "reserved"
    assert (await situation.pool())["held"] == 1
    refusals = [event for _, event in await situation.told() if isinstance(event, LicenseRefused)]
    assert refusals[0].targets[0].refusal is Refusal.IRREVOCABLE
    await situation.check()


async def test_a_thousand_people_are_one_errand(situation: Situation) -> None:
    await situation.begin(None)
    await situation.request(*(wish(new_id()) for _ in range(1000)))
    assert len(await situation.rows("SELECT 1 FROM work WHERE kind = 'want_apple_users'")) == 1
    assert (await situation.states())["awaiting_acceptance"] == 1000


async def test_a_book_of_a_person_who_is_gone_leaves_what_is_held_once_apple_counts_it_as_retired(
    situation: Situation,
) -> None:
    await situation.begin(3, book=True)
    gone, staying = wish(new_id()), wish(new_id())
    for person in (gone, staying):
        assert isinstance(person.holder, UUID)
        await situation.associate_person(person.holder)
        await situation.request(person, kind=AssetKind.VPP_BOOK)
    async with situation.database.transaction() as tx:
        await tx.raw.execute("UPDATE license SET state = 'assigned', intent_id = NULL")
        await tx.raw.execute("DELETE FROM intent")
        await tx.raw.execute("UPDATE apple_user SET state = 'retired' WHERE user_id = $1", gone.holder)
    await spend(situation)
    assert await situation.state(gone) == "assigned", "Apple's reading does not say so yet"
    async with situation.database.transaction() as tx:
        await tx.raw.execute("UPDATE pool SET retired = 1")
    await spend(situation)
    assert await situation.state(gone) == "spent"
    assert await situation.state(staying) == "assigned"
    assert (await situation.pool())["held"] == 1, "one of two that are left"
    again = Wish(gone.holder, new_id())
    await situation.request(again, kind=AssetKind.VPP_BOOK)
    assert await situation.state(again) == "awaiting_acceptance", "who returns needs another one"
    await situation.check()


async def spend(situation: Situation) -> None:
    """Close a reading of what is owned, as its step does."""
    async with situation.database.transaction() as tx:
        ledger = await Ledger.of_pools(tx, [situation.pool_id])
        await ledger.spend()
        await ledger.close()
