"""When devices have no time, are gone, or say what nobody asked."""

from collections import Counter

import pytest
from starlette.responses import Response

from local.simulators.devices import Device, DeviceFleet, Enrollment, Kind, Mischief, Script
from tests.local.apns.h2_sender import Sender
from tests.local.devices.tiny_mdm import TinyMdm
from tests.local.devices.visits import INSTALL, Fleets, Push, Visits, enrolled, name

HOUR = 3600.0
MIDNIGHT = 20_000 * 24 * HOUR


async def test_a_locked_ipad_puts_off_and_comes_by_itself_once_it_is_unlocked(
    visits: Visits, mdm: TinyMdm, ipad: Device
) -> None:
    visits.fleet.lock([ipad])
    uuid = mdm.queue(ipad.udid, "InstallApplication", **INSTALL)
    asked = await visits.does(ipad, "DeviceInformation", Queries=["UDID"])
    assert asked["Status"] == "Acknowledged"
    assert {report["Status"] for report in mdm.answers_to(uuid)} == {"NotNow"}
    visits.fleet.lock([ipad], locked=False)
    await visits.fleet.settled()
    assert mdm.answers_to(uuid)[-1]["Status"] == "Acknowledged"


async def test_at_night_all_devices_are_locked_until_the_morning(
    fleets: Fleets, mdm: TinyMdm, push: Push
) -> None:
    async with fleets(night=(22.0, 6.0), clock=lambda: MIDNIGHT + 3 * HOUR) as fleet:
        ipad, mac = await enrolled(fleet, Kind.IOS), await enrolled(fleet, Kind.MAC)
        visits = Visits(fleet, mdm, push)
        reports = [await visits.installs(device) for device in (ipad, mac)]
        assert [report["Status"] for report in reports] == ["NotNow", "NotNow"]
        fleet.advance(2.9 * HOUR)
        await fleet.settled()
        assert (ipad.apps, mac.apps) == ({}, {})
        fleet.advance(0.2 * HOUR)
        await fleet.settled()
        assert (len(ipad.apps), len(mac.apps)) == (1, 1)


async def test_a_device_that_vanishes_says_nothing_and_its_token_is_gone(
    fleet: DeviceFleet, mdm: TinyMdm, mac: Device, sender: Sender
) -> None:
    token, _ = mdm.tokens[name(mac)]
    await fleet.vanish([mac])
    assert [message["MessageType"] for message in mdm.checkins] == ["Authenticate", "TokenUpdate"]
    assert mac.enrollment is Enrollment.CHECKED_OUT
    assert (await sender.post(token)).status == 410


async def test_a_profile_that_wants_no_check_out_gets_none(fleets: Fleets, mdm: TinyMdm) -> None:
    async with fleets(check_out_when_removed=False) as fleet:
        ipad = await enrolled(fleet, Kind.IOS)
        await fleet.check_out([ipad])
    assert [message["MessageType"] for message in mdm.checkins] == ["Authenticate", "TokenUpdate"]


async def test_new_tokens_are_told_and_the_former_are_gone(
    visits: Visits, mdm: TinyMdm, mac: Device, sender: Sender
) -> None:
    await visits.fleet.hands.log_in([mac], "anna")
    former = dict(mdm.tokens)
    await visits.fleet.renew_tokens([mac])
    assert len(former) == 2
    for channel, (token, magic) in former.items():
        assert (await sender.post(token)).status == 410
        assert mdm.tokens[channel][0] != token
        assert mdm.tokens[channel][1] != magic
    assert (await visits.does(mac, "ProfileList"))["Status"] == "Acknowledged"


async def test_a_report_may_be_of_a_command_that_nobody_sent(visits: Visits, ipad: Device) -> None:
    visits.fleet.script([ipad], Script(Counter({Mischief.STRANGE_REPORT: 1})))
    assert (await visits.installs(ipad))["Status"] == "Acknowledged"
    strange = visits.mdm.reports[1]
    assert set(strange) == {"UDID", "Status", "CommandUUID"}
    assert not any(
        strange["CommandUUID"] == command["CommandUUID"] for command in visits.mdm.queues[ipad.udid]
    )


@pytest.mark.parametrize("enrolls_again", [True, False])
async def test_401_ends_the_enrollment_of_all_channels(
    visits: Visits, mdm: TinyMdm, mac: Device, sender: Sender, *, enrolls_again: bool
) -> None:
    await visits.fleet.hands.log_in([mac], "anna")
    tokens = dict(mdm.tokens)
    mdm.replies.append(Response(status_code=401))
    await visits.push(mac.users["anna"])
    await visits.fleet.settled()
    assert mac.enrollment is Enrollment.UNENROLLED
    for token, _ in tokens.values():
        assert (await sender.post(token)).status == 410
    if enrolls_again:
        assert await visits.fleet.enroll([mac]) == []
        said = [(one["MessageType"], "UserID" in one) for one in mdm.checkins[-3:]]
        assert said == [("Authenticate", False), ("TokenUpdate", False), ("TokenUpdate", True)]


async def test_a_wipe_takes_users_and_accounts_along(visits: Visits, mac: Device) -> None:
    await visits.fleet.hands.log_in([mac], "anna", account="anna@icloud.example")
    await visits.fleet.hands.sign_in([mac], "anna@icloud.example")
    await visits.fleet.wipe([mac])
    assert (mac.users, mac.channel.account) == ({}, None)
