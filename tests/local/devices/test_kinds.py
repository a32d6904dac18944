"""What each kind of device says of itself, and which commands it does not have."""

from typing import Any

import httpx2
import pytest
from starlette.responses import Response

from local.simulators.apple.users import hash_account
from local.simulators.devices import Device, DeviceFleet, Enrollment, Kind, Question
from tests.local.devices.tiny_mdm import SHARED_USER, TinyMdm
from tests.local.devices.visits import ABSENT, ADAM_ID, APP, INSTALL, Fleets, Push, Visits, enrolled, outcome

LIST = "ManagedApplicationList"
INVITE = {"ProgramID": "com.apple.cloudvpp", "InvitationURL": "https://buy.example/join?inviteCode=1&mt=8"}


@pytest.mark.parametrize("kind", [Kind.BYOD_IPHONE, Kind.BYOD_MAC])
async def test_a_personal_device_tells_neither_udid_nor_serial_number(
    visits: Visits, mdm: TinyMdm, kind: Kind
) -> None:
    device = await enrolled(visits.fleet, kind)
    queries = ["UDID", "SerialNumber", "iTunesStoreAccountIsActive", "AwaitingConfiguration", "OSVersion"]
    report = await visits.does(device, "DeviceInformation", Queries=queries)
    assert report["QueryResponses"] == {"OSVersion": device.os_version}
    for message in [*mdm.checkins, *mdm.reports]:
        assert "EnrollmentID" in message
        assert not {"UDID", "SerialNumber"} & set(message)
    assert device.serial not in str(mdm.bodies)


async def test_a_personal_device_is_another_one_in_its_next_enrollment(
    fleet: DeviceFleet, mdm: TinyMdm
) -> None:
    phone = await enrolled(fleet, Kind.BYOD_IPHONE)
    await fleet.check_out([phone])
    assert await fleet.enroll([phone]) == []
    ids = [message["EnrollmentID"] for message in mdm.checkins]
    assert (len(ids), len(set(ids)), ids[0] == ids[2], ids[3] == ids[4]) == (5, 2, True, True)


async def test_the_user_of_a_mac_has_a_channel_with_a_token_of_its_own(
    visits: Visits, mdm: TinyMdm, mac: Device
) -> None:
    await visits.fleet.hands.log_in([mac], "anna")
    anna = mac.users["anna"]
    update = mdm.checkins[-1]
    assert update["MessageType"] == "TokenUpdate"
    assert (update["UDID"], update["UserID"], update["UserShortName"]) == (mac.udid, anna.user_id, "anna")
    assert (update["Token"], update["PushMagic"]) == (anna.token, anna.magic)
    assert anna.token != mac.token
    report = await visits.does(anna, "DeviceInformation", Queries=["PushToken"])
    assert report["QueryResponses"] == {"PushToken": anna.token}
    assert {one.get("UserID") for one in mdm.reports} == {anna.user_id}


async def test_a_user_who_is_not_logged_in_hears_no_push_and_the_mac_does(
    visits: Visits, mac: Device
) -> None:
    hands = visits.fleet.hands
    await hands.log_in([mac], "anna")
    await hands.log_out([mac])
    await visits.push(mac.users["anna"])
    await visits.fleet.settled()
    assert visits.mdm.reports == []
    assert (await visits.does(mac, "ProfileList"))["Status"] == "Acknowledged"
    await hands.log_in([mac], "anna")
    assert (await visits.does(mac.users["anna"], "ProfileList"))["Status"] == "Acknowledged"


@pytest.mark.parametrize(("reply", "managed"), [(Response(status_code=410), False), (Response(), True)])
async def test_a_user_of_a_directory_asks_first(
    fleet: DeviceFleet, mdm: TinyMdm, mac: Device, reply: Response, *, managed: bool
) -> None:
    mdm.replies.append(reply)
    await fleet.hands.log_in([mac], "anna", of_directory=True)
    said = [message["MessageType"] for message in mdm.checkins[2:]]
    assert said == (["UserAuthenticate", "TokenUpdate"] if managed else ["UserAuthenticate"])
    assert (mac.users["anna"].token is not None) is managed


async def test_a_shared_ipad_has_one_user_at_a_time_by_their_account(visits: Visits, mdm: TinyMdm) -> None:
    ipad = await enrolled(visits.fleet, Kind.SHARED_IPAD)
    for user in ("anna@school.example", "ben@school.example"):
        await visits.fleet.hands.log_in([ipad], user)
    anna, ben = ipad.users.values()
    assert [message["UserID"] for message in mdm.checkins[2:]] == [SHARED_USER, SHARED_USER]
    assert [message["UserShortName"] for message in mdm.checkins[2:]] == [anna.user, ben.user]
    assert (anna.awake, ben.awake) == (False, True)
    shared = await visits.does(ipad, "DeviceInformation", Queries=["IsMultiUser"])
    assert shared["QueryResponses"] == {"IsMultiUser": True}
    assert outcome(await visits.installs(ben)) == ABSENT
    invited = await visits.does(ben, "InviteToProgram", **INVITE)
    assert (invited["InvitationResult"], ben.invitations) == ("Acknowledged", (INVITE["InvitationURL"],))
    async with httpx2.AsyncClient(base_url=visits.fleet.admin_url, trust_env=False) as admin:
        [shown] = (await admin.get("/invitations")).json()
        assert (await admin.get("/invitations", params={"after": "1"})).json() == []
    assert (shown["serial"], shown["holder"], shown["link"]) == (ipad.serial, ben.user, *ben.invitations)
    reason = (await visits.installs(ipad, Options={"PurchaseMethod": 0}))["RejectionReason"]
    assert reason == "PurchaseMethodNotSupportedInMultiUser"


@pytest.mark.parametrize(
    ("kind", "os_version", "command", "expected"),
    [
        (Kind.MAC, "10.15.7", {"RequestType": LIST}, ABSENT),
        (Kind.MAC, "10.15.7", {"RequestType": "RemoveApplication", "Identifier": APP}, ABSENT),
        (Kind.MAC, "11.0", {"RequestType": LIST}, "Acknowledged"),
        (Kind.MAC, "13.6", {"RequestType": "InviteToProgram", **INVITE}, ABSENT),
        (Kind.MAC, "13.6", {"RequestType": "InstallMedia", "MediaType": "Book"}, ABSENT),
        (Kind.BYOD_MAC, "13.6", {"RequestType": "InstalledApplicationList"}, ABSENT),
        (Kind.BYOD_MAC, "13.6", {"RequestType": "InstallApplication", **INSTALL}, ("Error", 12035)),
        (Kind.BYOD_IPHONE, "17.0", {"RequestType": "InviteToProgram", **INVITE}, ABSENT),
        (Kind.ACCOUNT_IPHONE, "17.0", {"RequestType": "InviteToProgram", **INVITE}, ABSENT),
        (Kind.IPHONE, "17.0", {"RequestType": "InviteToProgram", **INVITE}, "Acknowledged"),
        (Kind.IOS, "17.0", {"RequestType": "InstallEnterpriseApplication", "Manifest": {}}, ABSENT),
        (Kind.IOS, "7.1", {"RequestType": "ManagedMediaList"}, ABSENT),
        (Kind.IOS, "17.0", {"RequestType": "ManagedMediaList"}, "Acknowledged"),
        (Kind.IOS, "17.0", {"RequestType": "ValidateApplications"}, "Acknowledged"),
    ],
)
async def test_a_device_has_the_commands_of_its_kind_and_version(
    visits: Visits, kind: Kind, os_version: str, command: dict[str, Any], expected: Any
) -> None:
    device = await enrolled(visits.fleet, kind, os_version=os_version)
    arguments = {key: value for key, value in command.items() if key != "RequestType"}
    assert outcome(await visits.does(device, command["RequestType"], **arguments)) == expected


async def test_an_old_mac_manages_nothing_and_no_mac_heeds_attributes(visits: Visits) -> None:
    old = await enrolled(visits.fleet, Kind.MAC, os_version="10.15.7")
    new = await enrolled(visits.fleet, Kind.MAC)
    for mac in (old, new):
        await visits.installs(mac, InstallAsManaged=True, Attributes={"Removable": False})
    assert [(mac.apps[APP].managed, mac.apps[APP].attributes) for mac in (old, new)] == [
        (False, {}),
        (True, {}),
    ]
    assert (old.apps[APP].management_flags, new.apps[APP].management_flags) == (0, 1)


async def test_an_ipad_heeds_the_attributes_that_its_version_knows(visits: Visits) -> None:
    ipad = await enrolled(visits.fleet, Kind.IOS, os_version="16.0")
    await visits.installs(ipad, Attributes={"Removable": False, "RelayUUID": "x", "Nonsense": 1})
    assert ipad.apps[APP].attributes == {"Removable": False}


async def test_rights_that_the_profile_has_not_are_missed(fleets: Fleets, mdm: TinyMdm, push: Push) -> None:
    async with fleets(access_rights=16) as fleet:
        visits = Visits(fleet, mdm, push)
        ipad, mine = await enrolled(fleet, Kind.IOS), await enrolled(fleet, Kind.BYOD_IPHONE)
        assert outcome(await visits.installs(ipad)) == ("Error", 12007)
        asked = await visits.does(ipad, "DeviceInformation", Queries=["UDID", "iTunesStoreAccountIsActive"])
        assert asked["QueryResponses"] == {"UDID": ipad.udid}
        assert outcome(await visits.installs(mine)) == "Acknowledged"


async def test_whose_license_counts_depends_on_the_device(fleets: Fleets, mdm: TinyMdm, push: Push) -> None:
    asked: list[Question] = []

    async def none(question: Question) -> None:
        asked.append(question)

    async with fleets(license_check=none) as fleet:
        visits = Visits(fleet, mdm, push)
        ipad, shared = await enrolled(fleet, Kind.IOS), await enrolled(fleet, Kind.SHARED_IPAD)
        mine, mac = await enrolled(fleet, Kind.BYOD_IPHONE), await enrolled(fleet, Kind.MAC)
        await fleet.hands.sign_in([ipad, shared, mac], "anna@icloud.example")
        await fleet.hands.log_in([mac], "anna", account="anna@icloud.example")
        for channel in (ipad, shared, mine, mac, mac.users["anna"]):
            await visits.installs(channel)
    assert [(question.serial, question.account) for question in asked] == [
        (ipad.serial, None),
        (None, "anna@icloud.example"),
        (shared.serial, None),
        (None, mine.channel.account),
        (mac.serial, None),
        (None, "anna@icloud.example"),
    ]
    assert {question.adam_id for question in asked} == {ADAM_ID}


async def test_an_account_is_named_as_apple_names_it(visits: Visits, ipad: Device) -> None:
    queries = ["iTunesStoreAccountIsActive", "iTunesStoreAccountHash"]
    out = await visits.does(ipad, "DeviceInformation", Queries=queries)
    assert out["QueryResponses"] == {"iTunesStoreAccountIsActive": False}
    await visits.fleet.hands.sign_in([ipad], "Anna@icloud.example")
    signed_in = await visits.does(ipad, "DeviceInformation", Queries=queries)
    assert signed_in["QueryResponses"]["iTunesStoreAccountHash"] == hash_account("anna@icloud.example")


async def test_an_account_driven_device_signs_in_again_where_others_would_leave(visits: Visits) -> None:
    phone = await enrolled(visits.fleet, Kind.ACCOUNT_IPHONE)
    assert {headers["authorization"] for headers in visits.mdm.headers} == {"Bearer simulated"}
    challenge = Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
    visits.mdm.replies.append(challenge)
    await visits.push(phone)
    await visits.fleet.settled()
    assert (phone.enrollment, phone.cause) == (Enrollment.ENROLLED, "sign-in needed")
    visits.fleet.authorize([phone], "another")
    await visits.does(phone, "ProfileList")
    assert visits.mdm.headers[-1]["authorization"] == "Bearer another"
    visits.mdm.replies.append(Response(status_code=401))
    await visits.push(phone)
    await visits.fleet.settled()
    assert phone.enrollment is Enrollment.UNENROLLED


async def test_setup_assistant_holds_invitations_until_the_device_is_configured(
    visits: Visits, mdm: TinyMdm
) -> None:
    [ipad] = visits.fleet.create(1)
    ipad.awaits_configuration = True
    await visits.fleet.enroll([ipad])
    assert mdm.checkins[-1]["AwaitingConfiguration"] is True
    invite = mdm.queue(ipad.udid, "InviteToProgram", **INVITE)
    assert outcome(await visits.installs(ipad)) == "Acknowledged"
    assert outcome(await visits.does(ipad, "DeviceConfigured")) == "Acknowledged"
    assert mdm.checkins[-1]["AwaitingConfiguration"] is False
    assert {report["Status"] for report in mdm.answers_to(invite)} == {"NotNow", "Acknowledged"}


async def test_a_bootstrap_token_is_kept_by_the_server(fleet: DeviceFleet, mac: Device) -> None:
    assert await fleet.wire.fetch_bootstrap_token(mac) is None
    await fleet.wire.keep_bootstrap_token(mac, b"escrowed")
    assert await fleet.wire.fetch_bootstrap_token(mac) == b"escrowed"
