"""What the device tests share: one app, and a device's whole visit at its server."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from local.simulators.devices import Channel, Device, DeviceFleet, Kind
from tests.local.devices.tiny_mdm import TinyMdm, channel_of

TOPIC = "com.apple.mgmt.External.8f7a5a4e-1111-4222-8333-944455566677"
APP = "com.example.app361309726"
ADAM_ID = 361309726
INSTALL = {"iTunesStoreID": ADAM_ID, "Options": {"PurchaseMethod": 1}, "ManagementFlags": 1}

ABSENT = ("Error", 12021)  # the command is not one of this device

Fleets = Callable[..., AbstractAsyncContextManager[DeviceFleet]]
Push = Callable[[Device | Channel], Awaitable[None]]


def outcome(report: Any) -> Any:
    """Say what became of a command: its status, and the error's number."""
    codes = [link["ErrorCode"] for link in report.get("ErrorChain", [])]
    return (report["Status"], codes[0]) if codes else report["Status"]


async def enrolled(fleet: DeviceFleet, kind: Kind, **traits: str) -> Device:
    [device] = fleet.create(1, kind=kind, **traits)
    assert await fleet.enroll([device]) == []
    return device


def name(device: Device | Channel) -> str:
    """What the server calls a channel."""
    channel = device.channel if isinstance(device, Device) else device
    return channel_of(channel.identifiers)


async def done(
    fleet: DeviceFleet, mdm: TinyMdm, push: Push, device: Device | Channel, *uuids: str
) -> list[Any]:
    """Wake the device, let it finish, answer its first report on each command."""
    await push(device)
    await fleet.settled()
    return [mdm.answers_to(uuid)[0] for uuid in uuids]


@dataclass(frozen=True, slots=True)
class Visits:
    """A server that has one command after the other done."""

    fleet: DeviceFleet
    mdm: TinyMdm
    push: Push

    async def does(self, device: Device | Channel, request_type: str, **arguments: Any) -> Any:
        """Queue one command, wake the device and answer its report."""
        uuid = self.mdm.queue(name(device), request_type, **arguments)
        [report] = await done(self.fleet, self.mdm, self.push, device, uuid)
        return report

    async def installs(self, device: Device | Channel, **arguments: Any) -> Any:
        """Have the one app installed."""
        return await self.does(device, "InstallApplication", **{**INSTALL, **arguments})

    async def status(self, device: Device | Channel) -> str | None:
        """Ask how the one app stands in the list of managed apps."""
        report = await self.does(device, "ManagedApplicationList")
        app = report["ManagedApplicationList"].get(APP)
        return None if app is None else str(app["Status"])
