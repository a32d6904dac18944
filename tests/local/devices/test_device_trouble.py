import json
import plistlib
from collections import Counter

import pytest
from starlette.responses import Response

from local.simulators.devices import Device, DeviceFleet, Enrollment, Mischief, Script
from tests.local.apns.h2_sender import Sender
from tests.local.devices.tiny_mdm import TinyMdm
from tests.local.devices.visits import APP, INSTALL, Push, done


async def test_after_a_last_word_of_not_now_a_device_comes_again_by_itself(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push
) -> None:
    fleet.script([ipad], Script(not_now=Counter({"InstallApplication": 2})))
    uuid = mdm.queue(ipad.udid, "InstallApplication", **INSTALL)
    await push(ipad)
    await fleet.settled()
    assert [report["Status"] for report in mdm.answers_to(uuid)] == ["NotNow", "NotNow", "Acknowledged"]


async def test_a_not_now_that_was_not_the_last_word_waits_for_a_push(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push
) -> None:
    fleet.script([ipad], Script(not_now=Counter({"InstallApplication": 1})))
    mdm.queue(ipad.udid, "InstallApplication", **INSTALL)
    mdm.queue(ipad.udid, "DeviceInformation", Queries=["UDID"])
    install, question = (Response(plistlib.dumps(command)) for command in mdm.queues[ipad.udid])
    mdm.replies.extend([install, question, Response()])
    await push(ipad)
    await fleet.settled()
    assert [report["Status"] for report in mdm.reports] == ["Idle", "NotNow", "Acknowledged"]


async def test_an_ipad_never_says_not_now_to_a_question(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push
) -> None:
    fleet.script([ipad], Script(not_now=Counter({"*": 5})))
    uuid = mdm.queue(ipad.udid, "DeviceInformation", Queries=["UDID"])
    [report] = await done(fleet, mdm, push, ipad, uuid)
    assert report["Status"] == "Acknowledged"


async def test_a_report_may_arrive_twice(fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push) -> None:
    fleet.script([ipad], Script(Counter({Mischief.DUPLICATE_REPORT: 1})))
    uuid = mdm.queue(ipad.udid, "InstallApplication", **INSTALL)
    await done(fleet, mdm, push, ipad, uuid)
    first, second = mdm.answers_to(uuid)
    assert first == second


async def test_a_held_report_comes_with_the_next_connection(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push
) -> None:
    fleet.script([ipad], Script(Counter({Mischief.HOLD_REPORT: 1})))
    uuid = mdm.queue(ipad.udid, "InstallApplication", **INSTALL)
    await done(fleet, mdm, push, ipad, uuid)
    assert [report["Status"] for report in mdm.reports] == ["Idle", "Acknowledged"]
    assert fleet.counts["sessions"] == 2


async def test_a_lost_command_is_not_done_and_must_come_again(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push
) -> None:
    fleet.script([ipad], Script(Counter({Mischief.LOSE_COMMAND: 1})))
    uuid = mdm.queue(ipad.udid, "InstallApplication", **INSTALL)
    await push(ipad)
    await fleet.settled()
    assert (ipad.apps, mdm.answers_to(uuid)) == ({}, [])
    await done(fleet, mdm, push, ipad, uuid)
    assert list(ipad.apps) == [APP]


async def test_a_report_is_repeated_until_the_server_takes_it(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push
) -> None:
    uuid = mdm.queue(ipad.udid, "InstallApplication", **INSTALL)
    command = Response(plistlib.dumps(mdm.queues[ipad.udid][0]))
    mdm.replies.extend([command, Response(status_code=503), Response(status_code=400)])
    await done(fleet, mdm, push, ipad, uuid)
    assert [report["Status"] for report in mdm.reports] == ["Idle", *["Acknowledged"] * 3]
    assert (ipad.channel.held_report, ipad.channel.failures) == (None, 0)


async def test_garbage_for_a_command_is_reported_and_ends_the_connection(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push
) -> None:
    mdm.replies.append(Response(b"<plist>never closed"))
    mdm.queue(ipad.udid, "DeviceInformation", Queries=["UDID"])
    await push(ipad)
    await fleet.settled()
    assert [report["Status"] for report in mdm.reports] == ["Idle", "CommandFormatError"]


SENT_AWAY = [
    Response(status_code=401),
    Response(json.dumps({"code": "com.apple.unrecognized.device"}), 403, media_type="application/json"),
    Response(plistlib.dumps({"code": "com.apple.unrecognized.device"}), 403, media_type="application/xml"),
]


@pytest.mark.parametrize("reply", SENT_AWAY)
async def test_a_device_that_is_sent_away_unenrolls_itself(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push, sender: Sender, reply: Response
) -> None:
    await done(fleet, mdm, push, ipad, mdm.queue(ipad.udid, "InstallApplication", **INSTALL))
    mdm.replies.append(reply)
    token, _ = mdm.tokens[ipad.udid]
    await push(ipad)
    await fleet.settled()
    assert (ipad.enrollment, ipad.cause) == (Enrollment.UNENROLLED, f"HTTP {reply.status_code}")
    assert ipad.apps == {}
    assert (await sender.post(token)).status == 410


@pytest.mark.parametrize("reply", [Response(status_code=403), Response(b"no", 403, media_type="text/xml")])
async def test_any_other_403_sends_nobody_away(
    fleet: DeviceFleet, mdm: TinyMdm, ipad: Device, push: Push, reply: Response
) -> None:
    mdm.replies.append(reply)
    await push(ipad)
    await fleet.settled()
    assert ipad.enrollment is Enrollment.ENROLLED
    assert len(mdm.reports) == 2


async def test_a_device_the_server_does_not_take_says_why(fleet: DeviceFleet, mdm: TinyMdm) -> None:
    mdm.replies.append(Response(status_code=400))
    devices = fleet.create(1)
    assert await fleet.enroll(devices) == devices
    assert (devices[0].enrollment, devices[0].cause) == (Enrollment.REFUSED, "HTTP 400")
