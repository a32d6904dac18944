"""Declarative management: how a channel synchronizes, and how it judges what it fetched.

Apple: "Integrating declarative management", `DeclarativeManagement`, `DeclarationItemsResponse`, `DeclarationBase`.
"""

from typing import Any

import httpx2
import pytest
from starlette.responses import JSONResponse, Response

from local.simulators.devices import Device, Enrollment, Kind
from tests.local.devices.declaring import NEWEST, OPTIONAL, REQUIRED, Declaring
from tests.local.devices.tiny_ddm import APP, SIMPLE, SUBSCRIPTIONS
from tests.local.devices.tiny_mdm import TinyMdm
from tests.local.devices.visits import ABSENT, Visits, enrolled, outcome

CAPABILITIES = "management.client-capabilities"
NOTHING: dict[str, list[Any]] = {"Activations": [], "Assets": [], "Configurations": [], "Management": []}


@pytest.fixture
async def pad(visits: Visits) -> Declaring:
    return Declaring(visits, await enrolled(visits.fleet, Kind.IOS, **NEWEST))


@pytest.mark.parametrize(
    ("kind", "os_version", "expected"),
    [
        (Kind.IOS, "14.8", ABSENT),
        (Kind.IOS, "15.0", "Acknowledged"),
        (Kind.BYOD_IPHONE, "15.0", "Acknowledged"),
        (Kind.MAC, "12.6", ABSENT),
        (Kind.MAC, "13.0", "Acknowledged"),
    ],
)
async def test_it_can_be_turned_on_from_ios_15_and_macos_13(
    visits: Visits, kind: Kind, os_version: str, expected: Any
) -> None:
    device = await enrolled(visits.fleet, kind, os_version=os_version)
    assert outcome(await visits.does(device, "DeclarativeManagement")) == expected
    assert (device.channel.declarations is not None) is (expected == "Acknowledged")


async def test_it_is_turned_on_per_channel_each_with_its_own_set(visits: Visits) -> None:
    mac = await enrolled(visits.fleet, Kind.MAC)
    await visits.fleet.hands.log_in([mac], "anna")
    anna = Declaring(visits, mac.users["anna"])
    anna.activates()
    endpoints = await anna.synchronizes()
    assert endpoints == ["tokens", "declaration-items", "declaration/activation/activation", "status"]
    assert mac.channel.declarations is None
    sent = [one for one in visits.mdm.checkins if one["MessageType"] == "DeclarativeManagement"]
    assert {one.get("UserID") for one in sent} == {mac.users["anna"].user_id}
    assert await Declaring(visits, mac).synchronizes() == ["tokens", "declaration-items", "status"]


async def test_a_shared_ipad_has_it_for_whoever_is_signed_in(visits: Visits) -> None:
    ipad = await enrolled(visits.fleet, Kind.SHARED_IPAD, **NEWEST)
    await visits.fleet.hands.log_in([ipad], "anna@school.example")
    anna = Declaring(visits, ipad.users["anna@school.example"])
    anna.declares(APP, "app", **REQUIRED)
    anna.activates("app")
    await anna.synchronizes()
    # Apps are declared in the system scope alone on iOS.
    assert anna.judged("app") == (False, "invalid", ["Error.ConfigurationNotSupported"])


async def test_without_data_the_device_asks_for_the_tokens_first(pad: Declaring) -> None:
    assert await pad.synchronizes() == ["tokens", "declaration-items", "status"]
    assert await pad.synchronizes() == ["tokens"]


async def test_with_the_last_token_seen_the_device_does_nothing(pad: Declaring) -> None:
    await pad.synchronizes()
    data = JSONResponse(pad.ddm.sync_tokens(pad.channel)).body
    assert await pad.synchronizes(Data=data) == []


async def test_with_another_token_the_device_fetches_without_asking_for_it(pad: Declaring) -> None:
    await pad.synchronizes()
    pad.activates()
    data = JSONResponse(pad.ddm.sync_tokens(pad.channel)).body
    endpoints = await pad.synchronizes(Data=data)
    assert endpoints == ["declaration-items", "declaration/activation/activation", "status"]


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b'{"DeclarationsToken": "a", "Timestamp": "2026-11-22T08:00:00Z"}',
        b'{"SyncTokens": {"DeclarationsToken": "a", "Timestamp": "yesterday"}}',
        b'{"SyncTokens": {"DeclarationsToken": "%s", "Timestamp": "2026-11-22T08:00:00Z"}}' % (b"a" * 257),
    ],
)
async def test_data_that_holds_no_sync_tokens_is_a_format_error(
    visits: Visits, ipad: Device, data: bytes
) -> None:
    report = await visits.does(ipad, "DeclarativeManagement", Data=data)
    assert (report["Status"], ipad.channel.declarations) == ("CommandFormatError", None)


async def test_only_declarations_with_another_server_token_are_fetched(pad: Declaring) -> None:
    pad.declares(SUBSCRIPTIONS, "subscriptions", StatusItems=[])
    pad.activates("subscriptions")
    await pad.synchronizes()
    pad.declares(SUBSCRIPTIONS, "subscriptions", StatusItems=[{"Name": "mdm.app"}])
    assert await pad.synchronizes() == [
        "tokens",
        "declaration-items",
        "declaration/configuration/subscriptions",
        "status",
    ]


async def test_a_declaration_that_is_gone_is_dropped(pad: Declaring) -> None:
    pad.declares(SUBSCRIPTIONS, "subscriptions", StatusItems=[])
    pad.activates("subscriptions")
    pad.ddm.replies["declaration/configuration/subscriptions"].append(Response(status_code=404))
    await pad.synchronizes()
    told = pad.reports[-1]["StatusItems"]["management"]["declarations"]
    assert told["configurations"] == []
    assert pad.judged("activation") == (False, "valid", ["Error.MissingConfigurations"])


async def test_a_server_in_trouble_is_asked_again_until_the_set_is_whole(pad: Declaring) -> None:
    pad.activates()
    pad.ddm.replies["declaration/activation/activation"].append(Response(status_code=503))
    pad.ddm.replies["status"].append(Response(status_code=500))
    await pad.synchronizes()
    assert pad.judged("activation") == (True, "valid", [])
    assert len(pad.reports) == 1
    assert pad.visits.fleet.counts["sessions"] == 1  # declarations are fetched apart from commands


@pytest.mark.parametrize(
    ("endpoint", "answer"),
    [
        ("tokens", {"SyncTokens": {}}),
        ("declaration-items", {"Declarations": NOTHING}),
        ("declaration-items", {"Declarations": {"Activations": []}, "DeclarationsToken": "a"}),
        ("declaration-items", {"Declarations": NOTHING, "DeclarationsToken": "a" * 257}),
        (
            "declaration-items",
            {
                "Declarations": NOTHING | {"Assets": [{"Identifier": "é" * 33, "ServerToken": "a"}]},
                "DeclarationsToken": "a",
            },
        ),
        (
            "declaration-items",
            {
                "Declarations": NOTHING | {"Assets": [{"Identifier": "a", "ServerToken": "a" * 65}]},
                "DeclarationsToken": "a",
            },
        ),
    ],
)
async def test_what_breaks_apples_limits_changes_nothing_until_it_is_asked_again(
    pad: Declaring, endpoint: str, answer: dict[str, Any]
) -> None:
    pad.activates()
    pad.ddm.replies[endpoint].append(JSONResponse(answer))
    await pad.synchronizes()
    assert pad.reports[-1]["StatusItems"]["management"]["declarations"]["activations"] == []
    assert pad.visits.fleet.counts["declarative_unreadable"] == 1
    await pad.synchronizes()
    assert pad.judged("activation") == (True, "valid", [])


@pytest.mark.parametrize("status", [401, 403])
async def test_a_device_that_is_sent_away_forgets_its_declarations(pad: Declaring, status: int) -> None:
    reply = JSONResponse({"code": "com.apple.unrecognized.device"}, status)
    pad.ddm.replies["tokens"].append(reply)
    await pad.synchronizes()
    assert isinstance(pad.device, Device)
    assert pad.device.enrollment is Enrollment.UNENROLLED
    assert pad.device.channel.declarations is None


@pytest.mark.parametrize(
    ("declaration_type", "payload", "code"),
    [
        ("com.apple.configuration.chess", {}, "Error.ConfigurationNotSupported"),
        (SUBSCRIPTIONS, {}, "Error.ConfigurationIsInvalid"),
        (SUBSCRIPTIONS, {"StatusItems": ["mdm.app"]}, "Error.ConfigurationIsInvalid"),
        (SUBSCRIPTIONS, {"StatusItems": [], "Chess": 1}, "Error.UnknownPayloadKeys"),
        (APP, {}, "Error.ConfigurationIsInvalid"),
        (APP, REQUIRED | {"BundleID": "example.app"}, "Error.ConfigurationIsInvalid"),
        (APP, {"AppStoreID": "361309726"}, "Error.ConfigurationIsInvalid"),
        (APP, REQUIRED | {"AppStoreID": 361309726}, "Error.ConfigurationIsInvalid"),
        (APP, OPTIONAL | {"InstallBehavior": {"Install": "Perhaps"}}, "Error.ConfigurationIsInvalid"),
        (APP, OPTIONAL | {"InstallBehavior": []}, "Error.ConfigurationIsInvalid"),
        (APP, {"AppComposedIdentifier": "example.app"}, "Error.UnknownPayloadKeys"),  # macOS alone
        (APP, REQUIRED | {"UpdateBehavior": {}}, "Error.UnknownPayloadKeys"),  # from 26
        (
            APP,
            {"BundleID": "a", "InstallBehavior": {"License": {"VPPType": "User"}}},
            "Error.UnknownPayloadKeys",
        ),
    ],
)
async def test_a_configuration_that_is_not_right_is_told_and_not_applied(
    pad: Declaring, declaration_type: str, payload: dict[str, Any], code: str
) -> None:
    pad.declares(declaration_type, "configuration", **payload)
    pad.activates("configuration")
    await pad.synchronizes()
    assert pad.judged("configuration") == (False, "invalid", [code])
    assert pad.judged("activation")[0] is False


@pytest.mark.parametrize(
    ("os_version", "key", "valid"),
    [
        ("17.1", "VPPType", "Error.ConfigurationNotSupported"),
        ("17.2", "VPPType", None),
        ("17.2", "Assignment", "Error.UnknownPayloadKeys"),
        ("18.0", "Assignment", None),
        ("18.0", "VPPType", "Error.UnknownPayloadKeys"),
    ],
)
async def test_whose_license_it_is_has_another_key_from_ios_18(
    visits: Visits, os_version: str, key: str, valid: str | None
) -> None:
    pad = Declaring(visits, await enrolled(visits.fleet, Kind.IOS, os_version=os_version))
    pad.declares(APP, "app", AppStoreID="1", InstallBehavior={"License": {key: "Device"}})
    pad.activates("app")
    await pad.synchronizes()
    assert pad.judged("app")[2] == ([] if valid is None else [valid])


@pytest.mark.parametrize(
    "answer",
    [
        Response(b"{"),
        JSONResponse({"Type": SIMPLE, "Identifier": "another", "ServerToken": "a", "Payload": {}}),
        JSONResponse({"Type": SIMPLE, "Identifier": "activation", "ServerToken": "a"}),
    ],
)
async def test_a_declaration_that_cannot_be_read_is_invalid(pad: Declaring, answer: Response) -> None:
    pad.activates()
    pad.ddm.replies["declaration/activation/activation"].append(answer)
    await pad.synchronizes()
    assert pad.judged("activation") == (False, "invalid", ["Error.ConfigurationIsInvalid"])


async def test_nothing_is_applied_without_an_activation(pad: Declaring) -> None:
    pad.declares(APP, "app", **REQUIRED)
    await pad.synchronizes()
    assert pad.judged("app") == (False, "valid", ["Info.NotReferencedByActivation"])
    assert isinstance(pad.device, Device)
    assert pad.device.apps == {}


async def test_an_activation_applies_its_configurations_together_or_not_at_all(pad: Declaring) -> None:
    pad.declares(APP, "app", **REQUIRED)
    pad.declares("com.apple.configuration.chess", "chess")
    pad.activates("app", "chess")
    await pad.synchronizes()
    assert pad.judged("app") == (False, "valid", ["Error.ActivationFailed"])
    pad.activates("app", "nowhere")
    await pad.synchronizes()
    assert pad.judged("activation") == (False, "valid", ["Error.MissingConfigurations"])
    assert isinstance(pad.device, Device)
    assert pad.device.apps == {}


@pytest.mark.parametrize(
    ("predicate", "judged"),
    [
        ("TRUEPREDICATE", (True, "valid", [])),
        ("FALSEPREDICATE", (False, "valid", ["Info.Predicate"])),
        ("@status(battery) == 'full'", (False, "invalid", ["Error.UnableToParsePredicate"])),
    ],
)
async def test_a_predicate_decides_whether_an_activation_is_active(
    pad: Declaring, predicate: str, judged: tuple[bool, str, list[str]]
) -> None:
    pad.activates(Predicate=predicate)
    await pad.synchronizes()
    assert pad.judged("activation") == judged


async def test_the_admin_door_shows_what_a_channel_holds(pad: Declaring) -> None:
    await pad.wants_app(**REQUIRED)
    async with httpx2.AsyncClient(base_url=pad.visits.fleet.admin_url, trust_env=False) as admin:
        [seen] = (await admin.get("/devices")).json()
    shown = seen["declarative"]
    assert shown["declarations_token"] == pad.ddm.token(pad.channel)
    assert shown["subscriptions"] == ["app.managed.list", "mdm.app"]
    assert [(each["identifier"], each["active"]) for each in shown["declarations"]] == [
        ("activation", True),
        ("subscriptions", True),
        ("app", True),
    ]
    [app] = shown["apps"]
    assert (app["declaration"], app["status"], app["failure"]) == ("app", "Managed", None)


async def test_a_device_that_was_offline_goes_on_by_itself(pad: Declaring, mdm: TinyMdm) -> None:
    fleet = pad.visits.fleet
    assert isinstance(pad.device, Device)
    await pad.wants_app(**REQUIRED)
    await fleet.go_offline([pad.device])
    fleet.hands.get_app([pad.device], 5)
    await pad.later(2 * 86_400)
    told = len(pad.reports)
    await fleet.go_online([pad.device])
    await fleet.settled()
    assert len(pad.reports) == told + 1
    assert len([one for one in mdm.reports if one["Status"] == "Idle"]) == 1
