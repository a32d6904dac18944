from collections import Counter
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.simulators.devices import Device, DeviceFleet, Kind, Mischief, Question, Script
from local.simulators.serving import Serving
from tests.local.devices.tiny_mdm import TinyMdm
from tests.local.devices.visits import APP, INSTALL, Fleets, Push, done, enrolled


async def test_an_ipad_installs_shows_installing_and_then_managed(
    fleets: Fleets, mdm: TinyMdm, push: Push
) -> None:
    now = [1000.0]
    async with fleets(install_seconds=5.0, clock=lambda: now[0]) as fleet:
        ipad = await enrolled(fleet, Kind.IOS)
        install = mdm.queue(ipad.udid, "InstallApplication", **INSTALL)
        early = mdm.queue(ipad.udid, "ManagedApplicationList", Identifiers=[APP])
        await push(ipad)
        await fleet.settled()
        now[0] += 6
        late = mdm.queue(ipad.udid, "ManagedApplicationList")
        await push(ipad)
        await fleet.settled()
    [installed] = mdm.answers_to(install)
    assert (installed["Status"], installed["Identifier"], installed["State"]) == (
        "Acknowledged",
        APP,
        "Installing",
    )
    assert mdm.answers_to(early)[0]["ManagedApplicationList"][APP]["Status"] == "Installing"
    assert mdm.answers_to(late)[0]["ManagedApplicationList"][APP]["Status"] == "Managed"


async def test_an_app_that_was_installed_is_listed_and_removed_by_its_identifier(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push
) -> None:
    queue = mdm.queue
    install = queue(ipad.udid, "InstallApplication", **INSTALL)
    listed = queue(ipad.udid, "InstalledApplicationList", Items=["Identifier", "Installing"])
    removed = queue(ipad.udid, "RemoveApplication", Identifier=APP)
    again = queue(ipad.udid, "RemoveApplication", Identifier=APP)
    empty = queue(ipad.udid, "ManagedApplicationList")
    reports = await done(fleet, mdm, push, ipad, install, listed, removed, again, empty)
    assert [report["Status"] for report in reports] == [*["Acknowledged"] * 3, "Error", "Acknowledged"]
    assert reports[1]["InstalledApplicationList"] == [{"Identifier": APP, "Installing": False}]
    assert reports[3]["ErrorChain"][0]["ErrorCode"] == 12038
    assert reports[4]["ManagedApplicationList"] == {}


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        ({}, "CommandFormatError", 12008),
        ({**INSTALL, "Identifier": APP}, "CommandFormatError", 12008),
        ({**INSTALL, "Options": "all"}, "CommandFormatError", 12008),
        ({"iTunesStoreID": "361309726"}, "CommandFormatError", 12008),
        ({"Identifier": APP}, "Error", 12023),
        ({"iTunesStoreID": 1}, "Error", 12035),
        ({"iTunesStoreID": 1, "Options": {"PurchaseMethod": 0}}, "Error", 12035),
    ],
)
async def test_an_install_that_apple_would_not_take_fails(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push, arguments: Any, status: str, code: int
) -> None:
    uuid = mdm.queue(ipad.udid, "InstallApplication", **arguments)
    [report] = await done(fleet, mdm, push, ipad, uuid)
    assert (report["Status"], report["ErrorChain"][0]["ErrorCode"]) == (status, code)
    assert ipad.apps == {}


async def test_a_mac_acknowledges_first_and_lists_only_what_it_installed_as_managed(
    fleet: DeviceFleet, mdm: TinyMdm, mac: Device, push: Push
) -> None:
    unmanaged = mdm.queue(mac.udid, "InstallApplication", **INSTALL)
    nothing = mdm.queue(mac.udid, "ManagedApplicationList")
    managed = mdm.queue(mac.udid, "InstallApplication", **INSTALL, InstallAsManaged=True)
    listed = mdm.queue(mac.udid, "ManagedApplicationList")
    reports = await done(fleet, mdm, push, mac, unmanaged, nothing, managed, listed)
    assert [report["Status"] for report in reports] == ["Acknowledged"] * 4
    assert reports[1]["ManagedApplicationList"] == {}
    assert reports[3]["ManagedApplicationList"][APP]["Status"] == "Managed"


async def no_license(question: Question) -> None:
    assert question == Question(361309726, serial="BOX000000001")


async def test_an_ipad_without_a_license_answers_9610(fleets: Fleets, mdm: TinyMdm, push: Push) -> None:
    async with fleets(license_check=no_license) as fleet:
        ipad = await enrolled(fleet, Kind.IOS)
        [report] = await done(fleet, mdm, push, ipad, mdm.queue(ipad.udid, "InstallApplication", **INSTALL))
    [link] = report["ErrorChain"]
    assert (link["ErrorDomain"], link["ErrorCode"]) == ("ASDServerErrorDomain", 9610)


async def test_a_mac_without_a_license_says_failed_once_and_only_in_its_list(
    fleets: Fleets, mdm: TinyMdm, push: Push
) -> None:
    async with fleets(license_check=no_license) as fleet:
        mac = await enrolled(fleet, Kind.MAC)
        install = mdm.queue(mac.udid, "InstallApplication", **INSTALL, InstallAsManaged=True)
        once = mdm.queue(mac.udid, "ManagedApplicationList")
        then = mdm.queue(mac.udid, "ManagedApplicationList")
        reports = await done(fleet, mdm, push, mac, install, once, then)
    assert reports[0]["Status"] == "Acknowledged"
    assert reports[1]["ManagedApplicationList"][APP]["Status"] == "Failed"
    assert reports[2]["ManagedApplicationList"] == {}


async def test_the_license_may_be_asked_for_at_a_url(fleets: Fleets, mdm: TinyMdm, push: Push) -> None:
    asked: list[dict[str, str]] = []
    statuses = [503, 404]

    async def answer(request: Request) -> Response:
        asked.append(dict(request.query_params))
        return Response(status_code=statuses.pop(0))

    store = await Serving.start(Starlette(routes=[Route("/licenses", answer)]))
    async with fleets(license_check=f"http://127.0.0.1:{store.port}/licenses") as fleet:
        ipad = await enrolled(fleet, Kind.IOS)
        [report] = await done(fleet, mdm, push, ipad, mdm.queue(ipad.udid, "InstallApplication", **INSTALL))
    await store.stop()
    assert report["ErrorChain"][0]["ErrorCode"] == 9610
    assert asked == [{"serial_number": ipad.serial, "adam_id": "361309726"}] * 2


async def test_a_device_tells_what_it_is_asked_and_refuses_what_it_does_not_know(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push
) -> None:
    asked = mdm.queue(
        ipad.udid, "DeviceInformation", Queries=["SerialNumber", "IsSupervised", "IsAppleSilicon"]
    )
    unknown = mdm.queue(ipad.udid, "PlayChess")
    reports = await done(fleet, mdm, push, ipad, asked, unknown)
    assert reports[0]["QueryResponses"] == {"SerialNumber": ipad.serial, "IsSupervised": True}
    [link] = reports[1]["ErrorChain"]
    assert (link["ErrorDomain"], link["ErrorCode"]) == ("MCMDMErrorDomain", 12021)


async def test_a_user_may_reject_an_app_and_it_is_told_once(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push
) -> None:
    fleet.script([ipad], Script(Counter({Mischief.REJECT_INSTALL: 1})))
    install = mdm.queue(ipad.udid, "InstallApplication", **INSTALL)
    once = mdm.queue(ipad.udid, "ManagedApplicationList")
    then = mdm.queue(ipad.udid, "ManagedApplicationList")
    reports = await done(fleet, mdm, push, ipad, install, once, then)
    assert reports[1]["ManagedApplicationList"][APP]["Status"] == "UserRejected"
    assert reports[2]["ManagedApplicationList"] == {}
