"""What the device tests share: one app, and a device's whole visit at its server."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from local.simulators.devices import Device, DeviceFleet, Kind
from tests.local.devices.tiny_mdm import TinyMdm

TOPIC = "com.apple.mgmt.External.8f7a5a4e-1111-4222-8333-944455566677"
APP = "com.example.app361309726"
INSTALL = {"iTunesStoreID": 361309726, "Options": {"PurchaseMethod": 1}, "ManagementFlags": 1}

Fleets = Callable[..., AbstractAsyncContextManager[DeviceFleet]]
Push = Callable[[Device], Awaitable[None]]


async def enrolled(fleet: DeviceFleet, kind: Kind) -> Device:
    [device] = fleet.create(1, kind=kind)
    assert await fleet.enroll([device]) == []
    return device


async def done(fleet: DeviceFleet, mdm: TinyMdm, push: Push, device: Device, *uuids: str) -> list[Any]:
    """Wake the device, let it finish, answer its first report on each command."""
    await push(device)
    await fleet.settled()
    return [mdm.answers_to(uuid)[0] for uuid in uuids]
