"""People get Apple users, are invited, join and leave; Apple's list is the authority on where each stands."""

import pytest

from licensing import work
from shared.events.licensing import InvitationRequested, LicenseRefused, LicenseReserved
from shared.events.words import Awaits, Refusal
from shared.ids import new_id
from tests.licensing.conftest import Call
from tests.licensing.crowd import CREATE, Crowd, some
from tests.licensing.office import AppleAdmin, Office
from tests.licensing.situation import Wish, wish

RETIRE, STATUS = "POST users/retire", "GET status"


@pytest.fixture
def crowd(school: Office, admin: AppleAdmin) -> Crowd:
    return Crowd(school, admin)


async def licenses(school: Office, *targets: Wish) -> list[str]:
    return [await school.state(target) for target in targets]


async def test_a_person_is_registered_invited_and_licensed_once_they_joined(
    school: Office, crowd: Crowd
) -> None:
    zoe = new_id()
    target = wish(zoe)
    await crowd.tell(zoe)
    await school.request(target)
    await school.settle_all()

    told = await school.told()
    (reserved,) = [event for _, event in told if isinstance(event, LicenseReserved)]
    assert [each.awaits for each in reserved.targets] == [Awaits.ACCEPTANCE]
    ((envelope, invited),) = [each for each in told if isinstance(each[1], InvitationRequested)]
    assert isinstance(invited, InvitationRequested)
    code = (await crowd.at_apple())[str(zoe)][0]["inviteCode"]
    assert crowd.link(envelope, invited).endswith(f"inviteCode={code}&mt=8")
    assert (invited.asset_ids, invited.person_version) == ((school.asset_id,), 1)
    assert await licenses(school, target) == ["awaiting_acceptance"]

    await crowd.accept(zoe)
    await crowd.read()
    await school.settle_all()
    assert await licenses(school, target) == ["assigned"]
    assert (await crowd.user(zoe)).state == "associated"
    associated = [each for each, _ in await school.told() if each.type == "AppleUserAssociated"]
    assert [each.sequence for each in associated] == [2]
    await school.check()


async def test_a_notification_of_joining_is_not_awaited_the_clock_reads(school: Office, crowd: Crowd) -> None:
    zoe = new_id()
    await crowd.tell(zoe)
    await crowd.invite(zoe)
    await school.settle_all()
    assert await school.rows("SELECT 1 FROM work") == []
    await crowd.accept(zoe)
    await school.clockwork.want_users()
    await school.work()
    assert (await crowd.user(zoe)).state == "associated"
    await school.clockwork.want_users()
    assert await school.rows("SELECT 1 FROM work") == [], "nobody may join any more"


async def test_a_notification_of_joining_has_the_users_read_at_once(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    zoe = new_id()
    await crowd.tell(zoe)
    await crowd.invite(zoe)
    await school.settle_all()
    await crowd.accept(zoe)
    await admin.notified()
    await school.clockwork.read_notifications()
    await school.work()
    assert (await crowd.user(zoe)).state == "associated"


async def test_a_managed_apple_id_is_born_associated_with_no_invitation(school: Office, crowd: Crowd) -> None:
    zoe = new_id()
    target = wish(zoe)
    await crowd.tell(zoe, managed_apple_id="zoe@example.com")
    await school.request(target)
    await school.settle_all()

    assert await licenses(school, target) == ["assigned"]
    assert await crowd.told_of_people() == [("AppleUserAssociated", zoe, 1)]
    assert (await crowd.at_apple())[str(zoe)][0]["account"] == "zoe@example.com"


async def test_requests_are_filled_up_to_apples_limit(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    people = some(250)
    await crowd.tell(*people)
    for start in range(0, 250, 50):
        await crowd.invite(*people[start : start + 50])
    await school.settle_all()
    assert set(await crowd.states(people)) == {"registered"}
    assert admin.requests(CREATE) == 3
    assert admin.requests(STATUS) <= 3
    assert len({user for _, user, _ in await crowd.told_of_people()}) == 250


async def test_scenario_27_nobody_is_told_to_apple_before_the_newest_word_on_them(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    unheard, outdated = some(2)
    await crowd.tell(outdated, version=1)
    targets = [wish(unheard), wish(outdated)]
    event = school.requested(*targets)
    newer = event.event.model_copy(
        update={
            "targets": tuple(each.model_copy(update={"person_version": 3}) for each in event.event.targets)
        }
    )
    await school.hear([type(event)(event.envelope, newer)])
    await school.settle_all()
    assert admin.requests(CREATE) == 0
    assert await licenses(school, *targets) == ["awaiting_acceptance"] * 2

    await crowd.tell(outdated, version=2, mail_address="old@school.example")
    await school.settle_all()
    assert admin.requests(CREATE) == 0

    await crowd.tell(outdated, version=3, managed_apple_id="out@example.com")
    await crowd.tell(unheard, version=3, managed_apple_id="un@example.com")
    await school.settle_all()
    assert await licenses(school, *targets) == ["assigned"] * 2
    assert {kind for kind, _, _ in await crowd.told_of_people()} == {"AppleUserAssociated"}


async def test_a_foreign_managed_apple_id_falls_back_to_an_invitation(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    zoe = new_id()
    await crowd.tell(zoe, managed_apple_id="zoe@elsewhere.example")
    await crowd.invite(zoe)
    await school.settle_all()
    assert (await crowd.user(zoe)).state == "registered"
    assert await crowd.told_of_people() == [("InvitationRequested", zoe, 1)]
    assert admin.requests(CREATE) == 2


async def test_a_foreign_managed_apple_id_told_later_keeps_no_mail_address_from_apple(
    school: Office, crowd: Crowd
) -> None:
    zoe = new_id()
    await crowd.tell(zoe)
    await crowd.invite(zoe)
    await school.settle_all()
    await crowd.tell(
        zoe, version=2, mail_address="new@school.example", managed_apple_id="zoe@elsewhere.example"
    )
    await school.settle_all()
    assert (await crowd.at_apple())[str(zoe)][0]["email"] == "new@school.example"
    assert ((await crowd.user(zoe)).state, (await crowd.user(zoe)).wants) == ("registered", None)


async def test_a_managed_apple_id_told_later_ties_who_was_invited(school: Office, crowd: Crowd) -> None:
    zoe = new_id()
    await crowd.tell(zoe)
    await crowd.invite(zoe)
    await school.settle_all()
    await crowd.tell(zoe, version=2, managed_apple_id="zoe@example.com")
    await school.settle_all()
    assert (await crowd.user(zoe)).state == "associated"
    kinds = [kind for kind, _, _ in await crowd.told_of_people()]
    assert kinds == ["InvitationRequested", "AppleUserAssociated"]


async def test_scenario_27_a_managed_apple_id_told_while_apple_is_asked_spares_the_invitation(
    school: Office, crowd: Crowd
) -> None:
    zoe = new_id()
    await crowd.tell(zoe)
    await crowd.invite(zoe)
    await school.work()
    await crowd.tell(zoe, version=2, managed_apple_id="zoe@example.com")
    await school.settle_all()
    assert (await crowd.user(zoe)).state == "associated"
    assert [kind for kind, _, _ in await crowd.told_of_people()] == ["AppleUserAssociated"]


async def test_a_mail_address_told_while_apple_is_told_another_is_told_after_it(
    school: Office, crowd: Crowd
) -> None:
    zoe = new_id()
    await crowd.joined(zoe)
    await crowd.tell(zoe, version=2, mail_address="second@school.example")
    await school.work()
    await crowd.tell(zoe, version=3, mail_address="third@school.example")
    await school.settle_all()
    assert (await crowd.at_apple())[str(zoe)][0]["email"] == "third@school.example"
    assert (await crowd.user(zoe)).wants is None


async def test_a_new_mail_address_is_told_to_apple(school: Office, crowd: Crowd, admin: AppleAdmin) -> None:
    zoe = new_id()
    await crowd.joined(zoe)
    await crowd.tell(zoe, version=2, mail_address="new@school.example")
    await school.settle_all()
    assert (await crowd.at_apple())[str(zoe)][0]["email"] == "new@school.example"
    await crowd.tell(zoe, version=3, mail_address="new@school.example", name="Zoë")
    await school.settle_all()
    assert admin.requests("POST users/update") == 1


async def test_an_account_that_is_anothers_refuses_and_is_named(
    school: Office, crowd: Crowd, call: Call
) -> None:
    zoe, ann = some(2)
    await crowd.tell(zoe, managed_apple_id="shared@example.com")
    await crowd.invite(zoe)
    await school.settle_all()
    await school.told()
    await call(
        "POST", f"/v1/apple-users/{zoe}/reinvite", json={"library_id": await school.library()}
    )  # retired, so that the account is free for ann; zoe's record with it remains
    await crowd.tell(zoe, version=2)
    await school.settle_all()
    await crowd.tell(ann, managed_apple_id="shared@example.com")
    await crowd.invite(ann)
    await school.settle_all()
    assert await crowd.states([zoe, ann]) == ["registered", "associated"]

    target = wish(zoe)
    await school.request(target)
    await crowd.tell(zoe, version=3, managed_apple_id="shared@example.com")
    await school.settle_all()
    refused = [event for _, event in await school.told() if isinstance(event, LicenseRefused)]
    assert [(each.refusal, each.error_number) for each in refused[0].targets] == [
        (Refusal.ACCOUNT_IN_USE, 9641)
    ]
    (shown,) = (await call("GET", f"/v1/apple-users/{zoe}")).json()["items"]
    assert (shown["cause"], shown["error_number"]) == ("account_in_use", 9641)
    assert shown["shares_account_with"] == [str(ann)]


async def test_an_account_in_use_fails_who_is_new_and_names_the_other(
    school: Office, crowd: Crowd, call: Call
) -> None:
    zoe, ann = some(2)
    target = wish(ann)
    await crowd.tell(zoe, ann, managed_apple_id="shared@example.com")
    await crowd.invite(zoe)
    await school.settle_all()
    await school.request(target)
    await school.settle_all()
    user = await crowd.user(ann)
    assert (user.state, user.cause, user.error_number) == ("failed", "account_in_use", 9641)
    assert await licenses(school, target) == ["refused"]
    await school.check()
    for one, other in ((zoe, ann), (ann, zoe)):
        (shown,) = (await call("GET", f"/v1/apple-users/{one}")).json()["items"]
        assert shown["shares_account_with"] == [str(other)]


async def test_a_wrong_account_is_bound_anew(
    school: Office, crowd: Crowd, call: Call, admin: AppleAdmin
) -> None:
    zoe = new_id()
    target, again = wish(zoe), wish(zoe)
    await crowd.joined(zoe)
    await school.request(target)
    await school.settle_all()
    assert await licenses(school, target) == ["assigned"]
    library_id = await school.library()
    answer = await call("POST", f"/v1/apple-users/{zoe}/reinvite", json={"library_id": library_id})
    assert answer.status_code == 202
    (shown,) = (await call("GET", f"/v1/apple-users/{zoe}")).json()["items"]
    assert shown["state"] == "retiring"
    await school.settle_all()

    assert (await crowd.user(zoe)).state == "registered"
    assert await licenses(school, target) == ["lost"]
    kinds = [(kind, version) for kind, _, version in await crowd.told_of_people()]
    assert kinds == [("AppleUserRetired", 3), ("InvitationRequested", 4)]
    await school.request(again)
    await crowd.accept(zoe, "right@icloud.example")
    await crowd.read()
    await school.settle_all()
    assert await licenses(school, again) == ["assigned"]
    (shown,) = (await call("GET", f"/v1/apple-users/{zoe}")).json()["items"]
    assert [each["status"] for each in shown["records"]] == ["Associated", "Retired"]


async def test_a_wrong_account_that_joins_while_it_is_unbound_gets_no_licence(
    school: Office, crowd: Crowd, admin: AppleAdmin, call: Call
) -> None:
    """A book would be spent on it for good."""
    zoe = new_id()
    target = wish(zoe)
    await crowd.tell(zoe)
    await school.request(target)
    await school.settle_all()
    await school.told()
    await crowd.accept(zoe, "wrong@icloud.example")
    library_id = await school.library()
    answer = await call("POST", f"/v1/apple-users/{zoe}/reinvite", json={"library_id": library_id})
    assert answer.status_code == 202
    associations = admin.requests("POST assets/associate")
    async with school.database.transaction() as tx:
        await work.want_users(tx, library_id)
    await school.work(work.READ_USERS)
    await school.settle_all()
    assert admin.requests("POST assets/associate") == associations
    assert await licenses(school, target) == ["awaiting_acceptance"]
    kinds = [kind for kind, _, _ in await crowd.told_of_people()]
    assert kinds == ["AppleUserAssociated", "AppleUserRetired", "InvitationRequested"]
    await crowd.accept(zoe, "right@icloud.example")
    await crowd.read()
    await school.settle_all()
    assert await licenses(school, target) == ["assigned"]


async def test_who_comes_back_with_the_former_account_gets_the_former_record(
    school: Office, crowd: Crowd, call: Call
) -> None:
    zoe = new_id()
    await crowd.joined(zoe)
    await call("POST", f"/v1/apple-users/{zoe}/reinvite", json={"library_id": await school.library()})
    await school.settle_all()
    await crowd.accept(zoe)
    await crowd.read()
    assert (await crowd.user(zoe)).state == "associated"
    statuses = sorted(row["status"] for row in await crowd.records())
    assert statuses == ["Associated", "Retired"]
    kinds = [kind for kind, _, _ in await crowd.told_of_people()]
    assert kinds == ["AppleUserRetired", "InvitationRequested", "AppleUserAssociated"]


async def test_a_user_retired_by_another_hand_is_made_anew_where_a_licence_waits(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    zoe, ann = some(2)
    target = wish(zoe)
    await crowd.tell(zoe, ann)
    await crowd.invite(ann)
    await school.request(target)
    await school.settle_all()
    await school.apple.retire_users(await crowd.access(), [str(zoe), str(ann)])
    await admin.settled()
    await school.told()
    await crowd.read()
    await school.settle_all()
    assert await crowd.states([zoe, ann]) == ["registered", "retired"]
    assert await licenses(school, target) == ["awaiting_acceptance"]


async def test_who_joined_and_was_retired_unseen_is_retired(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    zoe = new_id()
    await crowd.tell(zoe)
    await crowd.invite(zoe)
    await school.settle_all()
    await crowd.accept(zoe)
    await school.apple.retire_users(await crowd.access(), [str(zoe)])
    await admin.settled()
    await crowd.read()
    assert (await crowd.user(zoe)).state == "retired"


async def test_a_user_that_apple_does_not_know_any_more_is_made_anew(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    zoe = new_id()
    target = wish(zoe)
    await crowd.joined(zoe)
    await school.apple.retire_users(await crowd.access(), [str(zoe)])
    await admin.settled()
    await school.request(target)
    await school.settle_all()
    assert (await crowd.user(zoe)).state == "registered"
    assert await licenses(school, target) == ["awaiting_acceptance"]
    kinds = [kind for kind, _, _ in await crowd.told_of_people()]
    assert kinds == ["AppleUserRetired", "InvitationRequested"]
    await crowd.accept(zoe, "zoe.other@icloud.example")
    await crowd.read()
    await school.settle_all()
    assert await licenses(school, target) == ["assigned"]


async def test_who_left_is_retired_after_the_last_revocable_licence_was_revoked(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    zoe = new_id()
    target = wish(zoe)
    await crowd.joined(zoe)
    await school.request(target)
    await school.settle_all()
    await crowd.erase(zoe)
    await school.clockwork.retire_leavers()
    await school.settle_all()
    assert (await crowd.user(zoe)).state == "associated"
    assert await licenses(school, target) == ["assigned"]

    await school.revoke(target)
    await school.settle_all()
    await school.told()
    await school.clockwork.retire_leavers()
    await school.settle_all()
    assert (await crowd.user(zoe)).state == "retired"
    assert await crowd.told_of_people() == [("AppleUserRetired", zoe, 3)]
    assert admin.requests(RETIRE) == 1
    await school.check()
