"""A licence that comes back may be kept for its target for a grace, by library and reason (quarantine)."""

import json

from licensing.handlers.waitlist import end_quarantine
from shared.clock import TurnedClock
from shared.events.licensing import LicenseAssigned, LicenseReleased
from shared.events.words import Held, RevokeReason
from tests.licensing.office import AppleAdmin, Office
from tests.licensing.situation import Situation, Wish, wish


async def set_grace(situation: Situation, **seconds: int) -> None:
    async with situation.database.transaction() as tx:
        await tx.raw.execute("UPDATE library SET reclaim = $1::jsonb", json.dumps(seconds))


async def assigned(situation: Situation, target: Wish) -> None:
    """Let Apple confirm what was asked."""
    async with situation.database.transaction() as tx:
        await tx.raw.execute(
            "UPDATE license SET state = 'assigned', intent_id = NULL WHERE entitlement_id = $1",
            target.entitlement_id,
        )
        await tx.raw.execute("DELETE FROM intent")


async def end(situation: Situation) -> None:
    async with situation.database.transaction() as tx:
        await end_quarantine(tx, situation.pool_id)


async def test_a_licence_is_kept_for_its_grace_and_given_back_afterwards(situation: Situation) -> None:
    await situation.begin(1)
    await set_grace(situation, left_group=3600)
    clock = situation.database.clock
    assert isinstance(clock, TurnedClock)
    target, waiter = wish("A"), wish("B")
    await situation.request(target)
    await assigned(situation, target)
    await situation.request(waiter)
    await situation.revoke(target)
    assert not await situation.rows("SELECT 1 FROM intent"), "nothing is sent in the grace"
    assert await situation.state(waiter) == "waitlisted", "nobody else gets it meanwhile"
    clock.turn(3599)
    await end(situation)
    assert not await situation.rows("SELECT 1 FROM intent")
    clock.turn(1)
    await end(situation)
    [intent] = await situation.rows("SELECT kind FROM intent")
    assert intent["kind"] == "disassociate"
    await situation.check()


async def test_within_the_grace_only_a_new_request_of_the_same_target_keeps_the_licence(
    situation: Situation,
) -> None:
    await situation.begin(1)
    await set_grace(situation, wiped=3600)
    former, life = wish("A"), wish("A")
    await situation.request(former)
    await assigned(situation, former)
    await situation.told()
    await situation.revoke(former, reason=RevokeReason.WIPED)
    await situation.request(wish("B"))
    await situation.request(life)
    assert await situation.state(life) == "assigned"
    events = [event for _, event in await situation.told()]
    [released] = [event for event in events if isinstance(event, LicenseReleased)]
    assert released.targets[0].held is Held.PASSED_ON
    assert [event.targets[0].entitlement_id for event in events if isinstance(event, LicenseAssigned)] == [
        life.entitlement_id
    ]
    await situation.check()


async def test_another_reason_gives_the_licence_back_at_once(situation: Situation) -> None:
    await situation.begin(1)
    await set_grace(situation, wiped=3600)
    target = wish("A")
    await situation.request(target)
    await assigned(situation, target)
    await situation.revoke(target, reason=RevokeReason.ENDED)
    assert len(await situation.rows("SELECT 1 FROM intent")) == 1


async def test_what_apple_never_had_is_free_at_once_whatever_the_grace(situation: Situation) -> None:
    await situation.begin(1)
    await set_grace(situation, left_group=3600)
    target, waiter = wish("A"), wish("B")
    await situation.request(target)
    await situation.request(waiter)
    await situation.revoke(target)
    assert await situation.state(target) == "released"
    assert await situation.state(waiter) == "reserved"


async def test_the_grace_holds_for_a_revoke_during_the_association_too(
    school: Office, admin: AppleAdmin
) -> None:
    await set_grace(school, left_group=3600)
    target = wish("A")
    await school.request(target)
    await school.work()
    await school.revoke(target)
    await school.pass_time(30)
    assert await admin.holders() == {"A"}
    assert await school.state(target) == "releasing"
    await school.pass_time(3600)
    await end(school)
    await school.work()
    await school.pass_time(30)
    assert await school.state(target) == "released"
    assert await admin.holders() == set()
