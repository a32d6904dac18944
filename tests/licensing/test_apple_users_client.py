"""Apple users: registered, invited, associated, updated and retired at a simulated Apple; codes stay secret."""

import logging

import pytest
import structlog

from licensing.apple import Apple
from licensing.apple.answers import read_users
from licensing.model import (
    Access,
    AppleRefused,
    AppleUserRow,
    AppleUserStatus,
    AssetKey,
    EventStatus,
    HolderKind,
    IntentKind,
    NewAppleUser,
)
from shared.errors import Unavailable
from shared.vault import Secret
from tests.licensing.office import APP, BOOK, AppleAdmin
from tests.licensing.scripted import ACCESS, KEY, Scripted, answering

ANNA = NewAppleUser("anna", email="anna@school.test")


async def done(apple: Apple, admin: AppleAdmin, access: Access, event_id: str) -> None:
    """Wait for an event that must come to a good end."""
    await admin.settled()
    assert (await apple.status(access, event_id)).status is EventStatus.COMPLETE


async def active(apple: Apple, access: Access, client_user_id: str = "anna") -> AppleUserRow:
    (row,) = [row for row in await apple.user(access, client_user_id) if row.active]
    return row


async def join(admin: AppleAdmin, row: AppleUserRow, account: str) -> None:
    """Let a person accept an invitation by the code alone."""
    assert row.invite_code is not None
    code = row.invite_code.reveal().decode()
    await admin.post("/invitations/accept", {"invite_code": code, "account": account})


async def test_a_user_is_created_invited_and_associated(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    await done(apple, admin, access, await apple.create_users(access, [ANNA]))
    registered = await active(apple, access)
    assert (registered.status, registered.email) == (AppleUserStatus.REGISTERED, "anna@school.test")
    assert registered.id_hash is None
    await join(admin, registered, "anna@home.test")
    associated = await active(apple, access)
    assert associated.status is AppleUserStatus.ASSOCIATED
    assert associated.invite_code is None
    assert associated.id_hash


async def test_the_link_of_an_invitation_opens_it(
    apple: Apple, admin: AppleAdmin, access: Access, certificates: object
) -> None:
    await done(apple, admin, access, await apple.create_users(access, [ANNA]))
    row = await active(apple, access)
    assert row.invite_code is not None
    link = (await apple.invitation_link(row.invite_code)).reveal().decode()
    origin = admin.simulator.url.removesuffix("/mdm/v2")
    assert link.startswith(f"{origin}/WebObjects/MZFinance.woa/wa/associateVPPUserWithITSAccount?")
    assert f"inviteCode={row.invite_code.reveal().decode()}&" in link
    assert "%25" not in link


async def test_a_managed_account_is_associated_with_no_invitation(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    user = NewAppleUser("bert", managed_apple_id="bert@example.com")
    await done(apple, admin, access, await apple.create_users(access, [user]))
    row = await active(apple, access, "bert")
    assert row.status is AppleUserStatus.ASSOCIATED
    assert row.id_hash
    assert row.invite_code is None


async def test_a_user_is_updated_and_what_is_not_said_stays(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    await done(apple, admin, access, await apple.create_users(access, [ANNA]))
    changed = NewAppleUser("anna", email="anna@new.test")
    await done(apple, admin, access, await apple.update_users(access, [changed]))
    assert (await active(apple, access)).email == "anna@new.test"
    managed = NewAppleUser("anna", managed_apple_id="anna@example.com")
    await done(apple, admin, access, await apple.update_users(access, [managed]))
    row = await active(apple, access)
    assert (row.status, row.email) == (AppleUserStatus.ASSOCIATED, "anna@new.test")


async def test_many_records_of_a_user_are_retired_and_one_is_active(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    for account in ("one@home.test", "two@home.test", "three@home.test"):
        await done(apple, admin, access, await apple.create_users(access, [ANNA]))
        await join(admin, await active(apple, access), account)
        await done(apple, admin, access, await apple.retire_users(access, ["anna"]))
    await done(apple, admin, access, await apple.create_users(access, [ANNA]))
    await admin.knobs(page_size=1)
    rows = await apple.user(access, "anna")
    assert [row.status for row in rows] == [AppleUserStatus.RETIRED] * 3 + [AppleUserStatus.REGISTERED]
    assert [row.active for row in rows] == [False] * 3 + [True]
    assert len({row.id_hash for row in rows}) == 4


async def test_two_users_of_one_account_are_found_by_its_hash(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    for name in ("anna", "otto"):
        await done(apple, admin, access, await apple.create_users(access, [NewAppleUser(name)]))
        await join(admin, await active(apple, access, name), "shared@home.test")
        await done(apple, admin, access, await apple.retire_users(access, [name]))
    (first,), (second,) = [await apple.user(access, name) for name in ("anna", "otto")]
    assert first.id_hash == second.id_hash


async def test_nobody_is_known_by_another_name(apple: Apple, access: Access) -> None:
    assert await apple.user(access, "nobody") == []


async def test_a_server_that_ignores_the_filter_names_nobody_else() -> None:
    rows = [{"clientUserId": name, "status": "Associated"} for name in ("anna", "otto")]
    found = await Scripted(answering(users=rows)).apple.user(ACCESS, "otto")
    assert [row.client_user_id for row in found] == ["otto"]


async def test_users_are_walked_to_the_last_and_from_a_version_on(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    people = [NewAppleUser(f"u{number:02}") for number in range(40)]
    await done(apple, admin, access, await apple.create_users(access, people))
    await admin.knobs(page_size=7)
    pages = [page async for page in apple.users(access, since=None)]
    assert [len(page.users) for page in pages] == [7] * 5 + [5]
    since = pages[0].version_id
    (nothing,) = [page async for page in apple.users(access, since=since)]
    assert nothing.users == []
    await done(apple, admin, access, await apple.retire_users(access, ["u03", "u33"]))
    (delta,) = [page async for page in apple.users(access, since=since)]
    assert {(row.client_user_id, row.status) for row in delta.users} == {
        ("u03", AppleUserStatus.RETIRED),
        ("u33", AppleUserStatus.RETIRED),
    }


async def test_an_unknown_version_asks_for_the_whole_list(apple: Apple, access: Access) -> None:
    with pytest.raises(AppleRefused) as caught:
        _ = [page async for page in apple.users(access, since="never-told")]
    assert caught.value.failure.number == 9721


async def test_people_and_devices_hold_licences_and_are_never_in_one_request(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    await done(apple, admin, access, await apple.create_users(access, [ANNA]))
    people = HolderKind.CLIENT_USER_IDS
    for kind, names, holders in (
        (IntentKind.ASSOCIATE, ["anna"], people),
        (IntentKind.ASSOCIATE, ["S1"], HolderKind.SERIAL_NUMBERS),
    ):
        event_id = await apple.write(access, kind, KEY, names, holders=holders)
        await done(apple, admin, access, event_id)
    (page,) = [page async for page in apple.assignments(access, KEY)]
    assert (page.serial_numbers, page.client_user_ids, page.people) == (["S1"], ["anna"], 1)
    event_id = await apple.write(access, IntentKind.DISASSOCIATE, KEY, ["anna"], holders=people)
    await done(apple, admin, access, event_id)
    (page,) = [page async for page in apple.assignments(access, KEY)]
    assert (page.serial_numbers, page.client_user_ids) == (["S1"], [])


@pytest.mark.parametrize("holders", list(HolderKind))
async def test_a_request_names_holders_of_one_kind(holders: HolderKind) -> None:
    scripted = Scripted(answering(eventId="e"))
    await scripted.apple.write(ACCESS, IntentKind.ASSOCIATE, KEY, ["a", "b"], holders=holders)
    assert scripted.said() == {
        "assets": [{"adamId": APP, "pricingParam": "STDQ"}],
        holders.value: ["a", "b"],
    }


async def test_a_retired_user_keeps_books_and_gives_apps_back(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    await done(apple, admin, access, await apple.create_users(access, [ANNA]))
    book = AssetKey(BOOK, "STDQ")
    for key in (KEY, book):
        event_id = await apple.write(
            access, IntentKind.ASSOCIATE, key, ["anna"], holders=HolderKind.CLIENT_USER_IDS
        )
        await done(apple, admin, access, event_id)
    await done(apple, admin, access, await apple.retire_users(access, ["anna"]))
    listed = {each.facts.key: each.reading for each in (await apple.assets(access)).assets}
    assert (listed[KEY].assigned, listed[KEY].available) == (0, 50)
    assert (listed[book].retired, listed[book].available) == (1, 4)


async def test_only_what_is_known_of_a_user_is_sent() -> None:
    scripted = Scripted(answering(eventId="e"))
    await scripted.apple.create_users(ACCESS, [NewAppleUser("a"), NewAppleUser("b", "b@x.test", "b@y.test")])
    assert scripted.said() == {
        "users": [
            {"clientUserId": "a"},
            {"clientUserId": "b", "email": "b@x.test", "managedAppleId": "b@y.test"},
        ]
    }
    await scripted.apple.retire_users(ACCESS, ["a"])
    assert scripted.said() == {"users": [{"clientUserId": "a"}]}
    assert scripted.paths()[1:] == ["users/create", "users/retire"]


CODE, MAIL = "s3cret-code", "someone@private.test"
ROW = {"clientUserId": "a", "status": "Registered", "email": MAIL, "inviteCode": CODE}


async def test_codes_and_addresses_show_up_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    scripted = Scripted(answering(users=[ROW], versionId="v"))
    scripted.config = answering(urls={"invitationEmail": "https://apple.test/x?c=%25inviteCode%25"})
    with structlog.testing.capture_logs() as said:
        rows = await scripted.apple.user(ACCESS, "a")
        page = [page async for page in scripted.apple.users(ACCESS, since=None)]
        assert rows[0].invite_code is not None
        link = await scripted.apple.invitation_link(rows[0].invite_code)
    assert link.reveal().decode().endswith(CODE)
    shown = "".join(map(repr, (rows, page, link, said, NewAppleUser("a", MAIL, MAIL)))) + caplog.text
    assert CODE not in shown
    assert MAIL not in shown


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"users": None},
        {"users": [{"clientUserId": "a", "inviteCode": CODE}]},
        {"users": [{"status": "Registered", "inviteCode": CODE}]},
        {"users": [{**ROW, "status": "Invited"}]},
    ],
)
def test_half_a_row_is_no_list_and_its_error_is_silent_about_it(body: dict[str, object]) -> None:
    with pytest.raises(Unavailable) as caught:
        read_users(body)
    assert CODE not in repr(caught.value)
    assert read_users({"users": [ROW]}).users[0].invite_code == Secret(CODE.encode())
