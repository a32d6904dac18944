"""Status reports of declarative management: full and incremental, what is subscribed to, and what comes unasked.

Apple: `StatusReport`, `com.apple.configuration.management.status-subscriptions`, `StatusManagementClientCapabilities`.
"""

import asyncio
import base64
from typing import Any

import pytest

from local.simulators.devices import Device, DeviceFleet, Kind
from tests.local.devices.declaring import APP_LIST, NEWEST, REQUIRED, Declaring
from tests.local.devices.tiny_ddm import APP as APP_MANAGED
from tests.local.devices.tiny_ddm import SIMPLE, SUBSCRIPTIONS
from tests.local.devices.tiny_mdm import TinyMdm
from tests.local.devices.visits import APP, Fleets, Push, Visits, enrolled

DAY = 86_400.0


@pytest.fixture
async def pad(visits: Visits) -> Declaring:
    return Declaring(visits, await enrolled(visits.fleet, Kind.IOS, **NEWEST))


async def subscribe(declaring: Declaring, *names: str) -> None:
    declaring.declares(SUBSCRIPTIONS, "subscriptions", StatusItems=[{"Name": name} for name in names])
    declaring.activates("subscriptions")
    await declaring.synchronizes()


@pytest.mark.parametrize(
    ("kind", "os_version", "configurations", "status_items"),
    [
        (Kind.IOS, "15.0", [SUBSCRIPTIONS], []),
        (Kind.IOS, "17.1", [SUBSCRIPTIONS], ["mdm.app"]),
        (Kind.IPHONE, "17.2", [APP_MANAGED, SUBSCRIPTIONS], [APP_LIST, "mdm.app"]),
        (Kind.BYOD_IPHONE, "17.2", [APP_MANAGED, SUBSCRIPTIONS], [APP_LIST, "mdm.app"]),
        (Kind.MAC, "15.6", [SUBSCRIPTIONS], []),
        (Kind.MAC, "26.0", [APP_MANAGED, SUBSCRIPTIONS], [APP_LIST]),
        (
            Kind.MAC,
            "27.0",
            [APP_MANAGED, SUBSCRIPTIONS],
            [
                APP_LIST,
                "mdm.enrollment-type",
                "mdm.is-awaiting-configuration",
                "mdm.push-magic",
                "mdm.push-token",
            ],
        ),
    ],
)
async def test_what_a_device_can_do_comes_unasked_and_depends_on_its_system(
    visits: Visits, kind: Kind, os_version: str, configurations: list[str], status_items: list[str]
) -> None:
    declaring = Declaring(visits, await enrolled(visits.fleet, kind, os_version=os_version))
    await declaring.synchronizes()
    said = declaring.reports[0]["StatusItems"]["management"]["client-capabilities"]["supported-payloads"]
    assert said["declarations"]["activations"] == [SIMPLE]
    assert said["declarations"]["configurations"] == configurations
    unasked = ["management.client-capabilities", "management.declarations"]
    assert said["status-items"] == [*unasked, *status_items]


async def test_the_first_report_is_full_and_the_next_tells_only_what_changed(pad: Declaring) -> None:
    await subscribe(pad, APP_LIST)
    [first] = pad.reports
    assert first["FullReport"] is True
    assert first["StatusItems"].keys() == {"management", "app"}
    assert (first["StatusItems"]["app"], first["Errors"]) == ({"managed": {"list": []}}, [])
    pad.activates()
    await pad.synchronizes()
    second = pad.reports[1]
    assert "FullReport" not in second
    assert second["StatusItems"].keys() == {"management"}
    assert second["StatusItems"]["management"].keys() == {"declarations"}


async def test_nothing_new_is_not_told(pad: Declaring) -> None:
    await subscribe(pad, APP_LIST)
    await pad.synchronizes()
    await pad.visits.does(pad.device, "DeviceInformation", Queries=["UDID"])
    assert len(pad.reports) == 1


async def test_arrays_tell_the_items_that_changed_and_those_that_are_gone(pad: Declaring) -> None:
    pad.declares(APP_MANAGED, "five", **REQUIRED | {"AppStoreID": "5"})
    pad.declares(SUBSCRIPTIONS, "subscriptions", StatusItems=[{"Name": APP_LIST}])
    pad.activates("subscriptions", "five")
    await pad.synchronizes()
    pad.declares(APP_MANAGED, "app", **REQUIRED)
    pad.activates("subscriptions", "app", "five")
    await pad.synchronizes()
    pad.activates("subscriptions", "app")
    await pad.synchronizes()
    assert [(app["identifier"], app.get("_removed", False)) for app in pad.apps()] == [
        ("com.example.app5", False),
        (APP, False),
        ("com.example.app5", True),
    ]
    assert pad.apps()[-1].keys() == {"identifier", "_removed"}


async def test_once_a_day_everything_is_told(pad: Declaring) -> None:
    await pad.wants_app(**REQUIRED)
    before = pad.reports[0]
    await pad.later(DAY - 1)
    assert len(pad.reports) == 1
    await pad.later(0.1 * DAY + 1)
    [_, full] = pad.reports
    assert full["FullReport"] is True
    assert full == before


async def test_only_what_is_subscribed_to_is_told(pad: Declaring) -> None:
    pad.declares(APP_MANAGED, "app", **REQUIRED)
    pad.activates("app")
    await pad.synchronizes()
    assert pad.apps() == []
    pad.declares(SUBSCRIPTIONS, "subscriptions", StatusItems=[{"Name": APP_LIST}])
    pad.activates("app", "subscriptions")
    await pad.synchronizes()
    assert pad.states() == ["managed"]


async def test_a_subscription_that_the_device_does_not_have_is_told_once_as_an_error(pad: Declaring) -> None:
    await subscribe(pad, "chess.rating", "mdm.push-token")
    assert pad.reports[-1]["Errors"] == [{"StatusItem": "chess.rating"}, {"StatusItem": "mdm.push-token"}]
    await subscribe(pad, "chess.rating", "mdm.app")
    assert pad.reports[-1]["Errors"] == []


async def test_what_commands_install_is_told_as_it_goes(fleets: Fleets, mdm: TinyMdm, push: Push) -> None:
    async with fleets(queued_seconds=10.0, install_seconds=10.0) as fleet:
        visits = Visits(fleet, mdm, push)
        pad = Declaring(visits, await enrolled(fleet, Kind.IOS, **NEWEST))
        await subscribe(pad, "mdm.app")
        await visits.installs(pad.device)
        await pad.later(10)
        await pad.later(10)
        await visits.does(pad.device, "RemoveApplication", Identifier=APP)
    told = [(app.get("state"), app.get("_removed", False)) for app in pad.commanded()]
    assert told == [("queued", False), ("installing", False), ("managed", False), (None, True)]
    assert {app["identifier"] for app in pad.commanded()} == {APP}


async def test_a_stage_is_told_when_its_time_is_over(fleets: Fleets, mdm: TinyMdm, push: Push) -> None:
    async with fleets(install_seconds=0.05) as fleet:
        pad = Declaring(Visits(fleet, mdm, push), await enrolled(fleet, Kind.IOS, **NEWEST))
        await pad.wants_app(**REQUIRED)
        async with asyncio.timeout(10):
            while pad.states() != ["installing", "managed"]:
                await asyncio.sleep(0.01)


async def test_an_app_of_the_users_own_is_none_of_the_servers_business(pad: Declaring) -> None:
    fleet = pad.visits.fleet
    await subscribe(pad, "mdm.app", APP_LIST)
    fleet.hands.get_app(fleet.devices.values(), 5)
    await fleet.settled()
    assert (pad.commanded(), pad.apps(), len(pad.reports)) == ([], [], 1)


@pytest.mark.parametrize(
    ("kind", "enrolled_as"),
    [(Kind.IOS, "supervised"), (Kind.ACCOUNT_IPHONE, "device"), (Kind.BYOD_IPHONE, "user")],
)
async def test_from_27_the_enrollment_and_its_push_token_can_be_subscribed_to(
    visits: Visits, kind: Kind, enrolled_as: str
) -> None:
    device = await enrolled(visits.fleet, kind, os_version="27.0")
    declaring = Declaring(visits, device)
    names = ("enrollment-type", "is-awaiting-configuration", "is-shared-ipad", "push-magic", "push-token")
    await subscribe(declaring, *[f"mdm.{name}" for name in names])
    said = declaring.reports[-1]["StatusItems"]["mdm"]
    assert said == {
        "enrollment-type": enrolled_as,
        "is-awaiting-configuration": False,
        "is-shared-ipad": False,
        "push-magic": device.magic,
        "push-token": base64.b64encode(device.token or b"").decode(),
    }
    await visits.fleet.renew_tokens([device])
    await visits.fleet.settled()
    assert declaring.reports[-1]["StatusItems"]["mdm"] == {
        "push-magic": device.magic,
        "push-token": base64.b64encode(device.token or b"").decode(),
    }


async def test_one_seed_and_one_order_make_one_trace(fleets: Fleets, mdm: TinyMdm, push: Push) -> None:
    runs: list[Any] = []
    for _ in range(2):
        mdm.reset()
        async with fleets(failure_rate=0.5) as fleet:
            for ipad in fleet.create(8, os_version="18.4"):
                await fleet.enroll([ipad])
                await Declaring(Visits(fleet, mdm, push), ipad).wants_app(**REQUIRED)
            runs.append(list(fleet.trace.exchanges))
    assert runs[0] == runs[1]
    assert {exchange.outcome for exchange in runs[0]} >= {"ok", "Error.DownloadFailed"}


async def test_who_never_turned_it_on_holds_nothing(fleet: DeviceFleet, ipad: Device) -> None:
    await fleet.settled()
    assert ipad.channel.declarations is None
