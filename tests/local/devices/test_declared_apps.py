"""Apps that declarations want: their way onto a device, who may say no, and what commands have no say in.

Apple: `com.apple.configuration.app.managed`, `app.managed.list`, "Transferring management of apps to declarative
device management".
"""

import hashlib
import plistlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.simulators.devices import Kind, LicenseCheck, Mischief, Question, Script
from local.simulators.serving import Serving
from tests.local.devices.declaring import APP_LIST, DEVICE_LICENSE, NEWEST, OPTIONAL, REQUIRED, Declaring
from tests.local.devices.tiny_ddm import APP as APP_MANAGED
from tests.local.devices.tiny_ddm import SUBSCRIPTIONS
from tests.local.devices.tiny_mdm import TinyMdm
from tests.local.devices.visits import ADAM_ID, APP, Fleets, Push, Visits, enrolled, outcome

SLOW = {"queued_seconds": 10.0, "prompt_seconds": 10.0, "download_seconds": 10.0, "install_seconds": 10.0}
OF_USER = REQUIRED | {"InstallBehavior": {"Install": "Required", "License": {"Assignment": "User"}}}


@pytest.fixture
async def pad(visits: Visits) -> Declaring:
    return Declaring(visits, await enrolled(visits.fleet, Kind.IOS, **NEWEST))


def held_by(*questions: Question) -> LicenseCheck:
    """Know these licenses, and no others."""

    async def check(question: Question) -> float | None:
        return 100.0 if question in questions else None

    return check


@pytest.mark.parametrize(
    ("kind", "os_version", "states"),
    [
        (Kind.IOS, "18.4", ["queued", "downloading", "installing", "managed"]),
        (Kind.MAC, "26.0", ["queued", "downloading", "installing", "managed"]),
        (
            Kind.IPHONE,
            "18.4",
            ["queued", "prompting-for-consent", "downloading", "installing", "managed"],
        ),
    ],
)
async def test_a_required_app_is_installed_and_each_stage_is_told(
    fleets: Fleets, mdm: TinyMdm, push: Push, kind: Kind, os_version: str, states: list[str]
) -> None:
    async with fleets(**SLOW) as fleet:
        device = await enrolled(fleet, kind, os_version=os_version)
        declaring = Declaring(Visits(fleet, mdm, push), device)
        await declaring.wants_app(**REQUIRED)
        for _ in states:
            await declaring.later(10)
        assert declaring.states() == states
        assert declaring.apps()[-1] == {
            "identifier": APP,
            "declaration-identifier": "app",
            "name": "app361309726",
            "state": "managed",
            "version": "1.0",
            "short-version": "1.0",
        }


@pytest.mark.parametrize(
    ("kind", "os_version"), [(Kind.IOS, "17.1"), (Kind.MAC, "15.6"), (Kind.BYOD_MAC, "15.6")]
)
async def test_older_systems_have_no_declared_apps(visits: Visits, kind: Kind, os_version: str) -> None:
    device = await enrolled(visits.fleet, kind, os_version=os_version)
    declaring = Declaring(visits, device)
    await declaring.wants_app(**REQUIRED)
    assert declaring.judged("app") == (False, "invalid", ["Error.ConfigurationNotSupported"])
    assert device.apps == {}


async def test_the_license_must_be_there_before(fleets: Fleets, mdm: TinyMdm, push: Push) -> None:
    held: list[float] = []

    async def check(_: Question) -> float | None:
        return held[0] if held else None

    async with fleets(license_check=check, license_lag_seconds=60.0) as fleet:
        pad = Declaring(Visits(fleet, mdm, push), await enrolled(fleet, Kind.IOS, **NEWEST))
        await pad.wants_app(**REQUIRED)
        [failed] = pad.apps()
        assert (failed["state"], [why["code"] for why in failed["reasons"]]) == (
            "failed",
            ["Error.LicenseNotFound"],
        )
        held.append(59.0)
        await pad.later(100)
        assert pad.states() == ["failed"]  # it does not try again by itself
        await pad.wants_app(**REQUIRED, IncludeInBackup=False)
        assert pad.states() == ["failed"]  # the store does not know the license yet
        held[0] = 60.0
        await pad.wants_app(**REQUIRED, IncludeInBackup=True)
        assert pad.states() == ["failed", "managed"]


async def test_the_license_is_of_whom_the_declaration_names(fleets: Fleets, mdm: TinyMdm, push: Push) -> None:
    asked: list[Question] = []

    async def none(question: Question) -> None:
        asked.append(question)

    async with fleets(license_check=none) as fleet:
        visits = Visits(fleet, mdm, push)
        ipad = await enrolled(fleet, Kind.IOS, **NEWEST)
        mine = await enrolled(fleet, Kind.BYOD_IPHONE, **NEWEST)
        shared = await enrolled(fleet, Kind.SHARED_IPAD, **NEWEST)
        await fleet.hands.sign_in([ipad, shared], "anna@icloud.example")
        await Declaring(visits, ipad).wants_app(**REQUIRED)
        await Declaring(visits, ipad).wants_app(**OF_USER)
        await Declaring(visits, mine).wants_app(**OF_USER)
        personal = Declaring(visits, mine)
        await personal.wants_app(**REQUIRED)  # a personal device has no serial number to hold one
        assert personal.apps()[-1]["reasons"][0]["code"] == "Error.LicenseNotFound"
        await Declaring(visits, shared).wants_app(**OF_USER)
        [failed] = Declaring(visits, shared).apps()
        assert failed["reasons"][0]["code"] == "Error.NotSupported"
    assert [(question.serial, question.account) for question in asked] == [
        (ipad.serial, None),
        (None, "anna@icloud.example"),
        (None, mine.channel.account),
        (None, "anna@icloud.example"),
    ]


async def test_a_mac_installs_a_users_app_over_their_channel(
    fleets: Fleets, mdm: TinyMdm, push: Push
) -> None:
    anna = Question(ADAM_ID, account="anna@icloud.example")
    async with fleets(license_check=held_by(anna)) as fleet:
        mac = await enrolled(fleet, Kind.MAC, os_version="26.0")
        await fleet.hands.log_in([mac], "anna", account="anna@icloud.example")
        declaring = Declaring(Visits(fleet, mdm, push), mac.users["anna"])
        await declaring.wants_app(**OF_USER)
        assert (declaring.states(), mac.apps[APP].user) == (["managed"], "anna")


async def test_without_an_account_an_iphone_asks_for_one(fleets: Fleets, mdm: TinyMdm, push: Push) -> None:
    anna = Question(ADAM_ID, account="anna@icloud.example")
    async with fleets(license_check=held_by(anna)) as fleet:
        phone = await enrolled(fleet, Kind.IPHONE, **NEWEST)
        declaring = Declaring(Visits(fleet, mdm, push), phone)
        await declaring.wants_app(**OF_USER)
        await fleet.hands.sign_in([phone], "anna@icloud.example")
        await fleet.settled()
        assert declaring.states() == ["prompting-for-login", "managed"]


@pytest.mark.parametrize(
    ("mischief", "kind", "states", "code"),
    [
        (
            Mischief.REJECT_INSTALL,
            Kind.IPHONE,
            ["queued", "prompting-for-consent", "failed"],
            "Error.UserRejected",
        ),
        (Mischief.FAIL_INSTALL, Kind.IOS, ["queued", "downloading", "failed"], "Error.DownloadFailed"),
    ],
)
async def test_a_bad_end_is_told_with_its_reason(
    fleets: Fleets, mdm: TinyMdm, push: Push, mischief: Mischief, kind: Kind, states: list[str], code: str
) -> None:
    async with fleets(**SLOW) as fleet:
        device = await enrolled(fleet, kind, **NEWEST)
        fleet.script([device], Script(Counter({mischief: 1})))
        declaring = Declaring(Visits(fleet, mdm, push), device)
        await declaring.wants_app(**REQUIRED)
        for _ in states:
            await declaring.later(10)
        assert declaring.states() == states
        assert [why["code"] for why in declaring.apps()[-1]["reasons"]] == [code]


async def test_a_store_without_the_app_cannot_find_it(pad: Declaring) -> None:
    await pad.wants_app(BundleID="org.example.nowhere", InstallBehavior=REQUIRED["InstallBehavior"])
    assert pad.apps()[-1]["reasons"][0]["code"] == "Error.InvalidAppID"
    await pad.wants_app(BundleID=APP, InstallBehavior=REQUIRED["InstallBehavior"])
    assert pad.apps()[-2]["state"] == "managed"
    assert pad.apps()[-1] == {"identifier": "org.example.nowhere", "_removed": True}


async def test_an_optional_app_waits_until_its_user_picks_it_and_may_go_again(pad: Declaring) -> None:
    hands, device = pad.visits.fleet.hands, pad.visits.fleet.devices["BOX000000001"]
    await pad.wants_app(**OPTIONAL)
    hands.pick_app([device], APP)
    await pad.visits.fleet.settled()
    hands.delete_app([device], APP)
    await pad.visits.fleet.settled()
    assert (pad.states(), device.apps) == (["optional", "managed", "optional"], {})


async def test_a_required_app_cannot_be_deleted_by_its_user(pad: Declaring) -> None:
    device = pad.visits.fleet.devices["BOX000000001"]
    await pad.wants_app(**REQUIRED)
    pad.visits.fleet.hands.delete_app([device], APP)
    await pad.visits.fleet.settled()
    assert (pad.states(), list(device.apps)) == (["managed"], [APP])


async def test_the_app_goes_with_its_configuration(pad: Declaring) -> None:
    device = pad.visits.fleet.devices["BOX000000001"]
    await pad.wants_app(**REQUIRED)
    pad.activates("subscriptions")
    await pad.synchronizes()
    assert device.apps == {}
    assert pad.apps()[-1] == {"identifier": APP, "_removed": True}


async def test_the_app_goes_with_the_enrollment(pad: Declaring) -> None:
    device = pad.visits.fleet.devices["BOX000000001"]
    await pad.wants_app(**REQUIRED)
    await pad.visits.fleet.check_out([device])
    assert (device.apps, device.channel.declarations) == ({}, None)


async def test_commands_have_no_say_in_a_declared_app(pad: Declaring) -> None:
    visits, device = pad.visits, pad.visits.fleet.devices["BOX000000001"]
    await pad.wants_app(**REQUIRED)
    assert outcome(await visits.installs(device)) == ("Error", 12025)
    assert outcome(await visits.does(device, "RemoveApplication", Identifier=APP)) == ("Error", 12038)
    assert await visits.status(device) is None
    listed = await visits.does(device, "InstalledApplicationList", Items=["Identifier", "Source"])
    assert listed["InstalledApplicationList"] == [
        {"Identifier": APP, "Source": "Declarative Device Management"}
    ]


async def test_an_app_of_commands_moves_to_declarations_and_nothing_is_reinstalled(
    fleets: Fleets, mdm: TinyMdm, push: Push
) -> None:
    async with fleets(install_seconds=10.0) as fleet:
        visits = Visits(fleet, mdm, push)
        ipad = await enrolled(fleet, Kind.IOS, **NEWEST)
        await visits.installs(ipad)
        fleet.advance(10)
        pad = Declaring(visits, ipad)
        await pad.wants_app(AppStoreID="5", InstallBehavior=REQUIRED["InstallBehavior"])
        assert [app["state"] for app in pad.commanded()] == ["managed"]
        await pad.wants_app(**REQUIRED)
        assert [app["state"] for app in pad.apps() if app["identifier"] == APP] == ["managed"]
        assert pad.commanded()[-1] == {"identifier": APP, "_removed": True}
        assert await visits.status(ipad) is None


@pytest.mark.parametrize(
    ("kind", "mischief", "told"),
    [
        (Kind.IOS, None, [("managed", None)]),
        (Kind.IPHONE, None, [("prompting-for-management", None), ("managed", None)]),
        (
            Kind.IPHONE,
            Mischief.REJECT_MANAGEMENT,
            [("prompting-for-management", None), ("failed", "Error.UserRejected")],
        ),
        (Kind.ACCOUNT_IPHONE, None, [("failed", "Error.UnmanagedAppAlreadyInstalled")]),
    ],
)
async def test_an_app_of_the_users_own_is_taken_over_where_that_is_allowed(
    fleets: Fleets, mdm: TinyMdm, push: Push, kind: Kind, mischief: Mischief | None, told: list[Any]
) -> None:
    async with fleets(prompt_seconds=10.0) as fleet:
        device = await enrolled(fleet, kind, **NEWEST)
        fleet.hands.get_app([device], ADAM_ID)
        if mischief is not None:
            fleet.script([device], Script(Counter({mischief: 1})))
        declaring = Declaring(Visits(fleet, mdm, push), device)
        await declaring.wants_app(**REQUIRED)
        await declaring.later(10)
        seen = [(app["state"], app.get("reasons", [{}])[0].get("code")) for app in declaring.apps()]
        assert seen == told
        assert device.apps[APP].managed is (told[-1][0] == "managed")


@pytest.mark.parametrize("second", [REQUIRED, OPTIONAL])
async def test_an_app_is_managed_by_one_configuration_and_by_the_next_when_that_goes(
    pad: Declaring, second: dict[str, Any]
) -> None:
    pad.declares(SUBSCRIPTIONS, "subscriptions", StatusItems=[{"Name": APP_LIST}])
    pad.declares(APP_MANAGED, "first", **REQUIRED)
    pad.declares(APP_MANAGED, "second", **second)
    pad.activates("subscriptions", "first", "second")
    await pad.synchronizes()
    pad.activates("subscriptions", "second")
    await pad.synchronizes()
    [told, then] = pad.apps()
    assert (told["declaration-identifier"], told["state"]) == ("first", "managed")
    [why] = told["reasons"]
    assert (why["code"], why["details"]) == ("Error.DuplicateConfiguredApp", {"Identifier": "second"})
    assert then["declaration-identifier"] == "second"
    assert then["state"] == ("managed" if second is REQUIRED else "optional")


async def test_a_changed_server_token_alone_asks_for_an_update(
    fleets: Fleets, mdm: TinyMdm, push: Push
) -> None:
    async with fleets(update_seconds=10.0) as fleet:
        ipad = await enrolled(fleet, Kind.IOS, **NEWEST)
        pad = Declaring(Visits(fleet, mdm, push), ipad)
        await pad.wants_app(**REQUIRED)
        pad.ddm.sets[pad.channel]["app"]["ServerToken"] = "another"
        await pad.synchronizes()
        await pad.later(10)
        fleet.script([ipad], Script(Counter({Mischief.REJECT_UPDATE: 1})))
        pad.ddm.sets[pad.channel]["app"]["ServerToken"] = "a third"
        await pad.synchronizes()
    assert [(app["state"], app.get("update-state")) for app in pad.apps()] == [
        ("managed", None),
        ("managed", "updating"),
        ("managed", None),
        ("managed", "failed"),
    ]
    assert pad.apps()[-1]["reasons"][0]["code"] == "Error.UpdateFailed"


async def test_a_mac_manages_an_app_that_came_some_other_way_and_leaves_it_there(visits: Visits) -> None:
    mac = await enrolled(visits.fleet, Kind.MAC, os_version="26.0")
    declaring = Declaring(visits, mac)
    await declaring.wants_app(
        AppComposedIdentifier=f"{APP} (ABCD1234)", InstallBehavior={"Install": "Required"}
    )
    visits.fleet.hands.get_app([mac], ADAM_ID)
    await visits.fleet.settled()
    assert declaring.states() == ["not-present", "managed"]
    declaring.activates("subscriptions")
    await declaring.synchronizes()
    assert (mac.apps[APP].managed, declaring.states()[-1]) == (False, "_removed")


async def test_a_pinned_version_is_told_from_26_on(visits: Visits) -> None:
    pad = Declaring(visits, await enrolled(visits.fleet, Kind.IOS, os_version="26.0"))
    behavior = {"Install": "Required", "Version": 874, **DEVICE_LICENSE}
    await pad.wants_app(AppStoreID=str(ADAM_ID), InstallBehavior=behavior)
    assert pad.apps()[-1]["external-version-id"] == 874


@pytest.mark.parametrize(
    ("promised", "state"), [(b"package", "managed"), (b"another", "failed"), (None, "failed")]
)
async def test_an_in_house_app_comes_by_its_manifest(
    pad: Declaring, folder: Path, promised: bytes | None, state: str
) -> None:
    async def manifest(request: Request) -> Response:
        package = {
            "kind": "software-package",
            "url": str(request.url_for("package")),
            "sha256": hashlib.sha256(promised or b"").hexdigest(),
        }
        metadata = {"bundle-identifier": "example.inhouse", "kind": "software", "title": "In-house"}
        items = [{"assets": [package], "metadata": metadata}]
        return Response(plistlib.dumps({"items": items}), 404 if promised is None else 200)

    async def package(_: Request) -> Response:
        return Response(b"package")

    routes = [Route("/manifest", manifest), Route("/package", package, name="package")]
    serving = await Serving.start(
        Starlette(routes=routes), certificate_file=folder / "server.pem", key_file=folder / "server.key"
    )
    url = f"https://localhost:{serving.port}/manifest"
    await pad.wants_app(ManifestURL=url, InstallBehavior={"Install": "Required"})
    await serving.stop()
    [app] = pad.apps()
    assert (app["state"], app["identifier"]) == (state, "app" if promised is None else "example.inhouse")
    if state == "failed":
        assert app["reasons"][0]["code"] == "Error.DownloadFailed"
