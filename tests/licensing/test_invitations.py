"""Invitations to join: when somebody is invited, asked again, and what their end gives back."""

from typing import Any

import pytest

from licensing import handlers, work
from licensing.model import NewAppleUser
from shared.asks import Asks
from shared.events.invitation import InvitationBounced, InvitationCancelled, InvitationExpired
from shared.events.licensing import LicenseFailed
from shared.ids import new_id
from tests.licensing.crowd import Crowd, some
from tests.licensing.office import AppleAdmin, Office
from tests.licensing.situation import Wish, wish


@pytest.fixture
def crowd(school: Office, admin: AppleAdmin) -> Crowd:
    return Crowd(school, admin)


async def licenses(school: Office, *targets: Wish) -> list[str]:
    return [await school.state(target) for target in targets]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (InvitationExpired, {}),
        (InvitationBounced, {"hard": True}),
        (InvitationCancelled, {"cause": "by_hand"}),
    ],
)
async def test_scenario_29_an_ended_invitation_gives_the_licence_to_who_waits(
    school: Office, crowd: Crowd, kind: type[Any], said: dict[str, Any]
) -> None:
    zoe, late = new_id(), wish("LATE")
    target = wish(zoe)
    await crowd.tell(zoe)
    await school.request(*[wish(f"S{number}") for number in range(49)])
    await school.request(target)
    await school.request(late)
    await school.settle_all()
    assert await licenses(school, target, late) == ["awaiting_acceptance", "waitlisted"]
    await school.told()

    await crowd.end(kind, zoe, **said)
    (failed,) = [event for _, event in await school.told() if isinstance(event, LicenseFailed)]
    assert [(each.cause, each.user_id) for each in failed.targets] == [("invitation_ended", zoe)]
    await school.settle_all()
    assert await licenses(school, target, late) == ["failed", "assigned"]

    await crowd.accept(zoe)  # with the link in the old letter
    await crowd.read()
    assert ("AppleUserAssociated", zoe, 2) in await crowd.told_of_people(), "so that it is asked anew"
    await school.check()


async def test_who_is_wanted_again_is_invited_again_with_the_same_code(school: Office, crowd: Crowd) -> None:
    zoe = new_id()
    await crowd.tell(zoe)
    await crowd.invite(zoe)
    await school.settle_all()
    await crowd.invite(zoe)
    await school.settle_all()
    assert await crowd.told_of_people() == [("InvitationRequested", zoe, 1)], "once for a code"

    await crowd.end(InvitationExpired, zoe)
    await crowd.read()
    assert await crowd.told_of_people() == [], "nobody asked"
    await school.request(wish(zoe))
    await school.settle_all()
    assert await crowd.told_of_people() == [("InvitationRequested", zoe, 2)]


async def test_a_code_that_cannot_be_opened_holds_up_nobody_and_is_read_again(
    school: Office, crowd: Crowd
) -> None:
    zoe, ann = some(2)
    await crowd.tell(zoe, ann)
    await crowd.invite(zoe, ann)
    await school.settle_all()
    await crowd.end(InvitationExpired, zoe)
    await crowd.end(InvitationExpired, ann)
    await crowd.told_of_people()
    async with school.database.transaction() as tx:
        await tx.raw.execute(
            "UPDATE apple_user_record SET invite_code = '\\x00' WHERE client_user_id = $1", str(zoe)
        )
    await school.request(wish(zoe), wish(ann))
    await school.settle_all()
    told = await crowd.told_of_people()
    assert sorted(told) == sorted([("InvitationRequested", zoe, 2), ("InvitationRequested", ann, 2)])


async def test_an_invitation_that_nothing_is_heard_of_is_asked_for_again_with_the_same_link(
    school: Office, crowd: Crowd
) -> None:
    zoe, ann = some(2)
    await crowd.tell(zoe, ann)
    await crowd.invite(zoe, ann)
    await school.settle_all()
    first = await crowd.links()
    asks = Asks(school.database, ask_again=handlers.ask_again, make_due=handlers.make_due)
    assert await asks.sweep() == 0
    await crowd.end(InvitationExpired, ann)
    school.clock.turn(30 * 3600)
    assert await asks.sweep() == 1
    await school.settle_all()
    again = await crowd.links()
    assert again == {zoe: (2, first[zoe][1])}
    assert await asks.replay_open() == 1


async def test_an_invitation_that_ends_while_it_is_asked_for_again_is_not_told_again(
    school: Office, crowd: Crowd
) -> None:
    zoe = new_id()
    await crowd.tell(zoe)
    await crowd.invite(zoe)
    await school.settle_all()
    await school.told()
    school.clock.turn(30 * 3600)
    assert await Asks(school.database, ask_again=handlers.ask_again, make_due=handlers.make_due).sweep() == 1
    await crowd.end(InvitationExpired, zoe)
    await school.settle_all()
    assert await crowd.told_of_people() == []


async def test_who_was_made_by_another_hand_is_invited_though_their_code_was_not_kept(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    """A wish may come between the reading that shows them without a code and the full one that brings it."""
    zoe, ann = some(2)
    await crowd.joined(ann)
    await school.apple.create_users(await crowd.access(), [NewAppleUser(str(zoe))])
    await admin.settled()
    async with school.database.transaction() as tx:
        await work.want_users(tx, await school.library())
    await school.settle_all()
    await crowd.tell(zoe)
    await crowd.invite(zoe)
    while (await school.rows("SELECT state FROM apple_user WHERE user_id = $1", zoe)) != [("registered",)]:
        await school.work(work.WANT_APPLE_USERS, work.WRITE_USERS, work.INVITE_USERS)
        await admin.settled()
        school.clock.turn(30)
        await school.work_once(work.READ_USERS)
    await crowd.invite(zoe)
    await school.work(work.INVITE_USERS)
    assert await crowd.links() == {}, "there is no code yet"
    await school.settle_all()
    assert list(await crowd.links()) == [zoe]


async def test_the_end_of_a_former_invitation_ends_nothing(school: Office, crowd: Crowd) -> None:
    zoe = new_id()
    target = wish(zoe)
    before = school.clock.now()
    school.clock.turn(60)
    await crowd.tell(zoe)
    await school.request(target)
    await school.settle_all()
    await crowd.end(InvitationExpired, zoe, at=before)
    await crowd.end(InvitationBounced, zoe, hard=False)
    await crowd.end(InvitationCancelled, zoe, cause="apple_user_retired")
    assert await licenses(school, target) == ["awaiting_acceptance"]
    await crowd.accept(zoe)
    await crowd.read()
    await crowd.end(InvitationExpired, zoe)
    await school.settle_all()
    assert await licenses(school, target) == ["assigned"]
