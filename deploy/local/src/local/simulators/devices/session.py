"""One connection of a device: Idle, fetch, act, report, until the server has nothing more."""

import plistlib
from collections import Counter
from typing import Any
from xml.parsers.expat import ExpatError

from local.simulators.devices.commands import World, malformed, perform
from local.simulators.devices.model import Device
from local.simulators.devices.script import Mischief
from local.simulators.devices.settings import FleetSettings, LicenseCheck
from local.simulators.devices.wire import Wire


class Session:
    """Runs connections by Apple's page "Sending MDM commands to a device"; `counts` are the fleet's."""

    def __init__(
        self, settings: FleetSettings, wire: Wire, licensed: LicenseCheck, counts: Counter[str]
    ) -> None:
        self._settings = settings
        self._wire = wire
        self._licensed = licensed
        self._counts = counts

    async def run(self, device: Device) -> float | None:
        """Talk until the server answers empty; answer the seconds after which it comes again by itself.

        A report is kept until the server took it, so it survives the errors of `wire.Wire`, which pass.
        """
        life = device.life
        self._counts["sessions"] += 1
        report = device.held_report or {"Status": "Idle"}
        while True:
            reply = await self._tell(device, report)
            if device.life != life or not device.awake:
                return None
            if not reply or _is_unidentified(report):
                return self._settings.not_now_seconds if report["Status"] == "NotNow" else None
            if device.misbehaves(Mischief.LOSE_COMMAND):
                return None
            report = await self._act(device, reply)
            if device.life != life:  # wiped while it worked
                return None
            device.held_report = report
            if device.misbehaves(Mischief.HOLD_REPORT):
                return self._settings.retry_seconds

    async def _tell(self, device: Device, report: dict[str, Any]) -> bytes:
        reply = await self._wire.connect(device, report)
        if report["Status"] != "Idle" and device.misbehaves(Mischief.DUPLICATE_REPORT):
            reply = await self._wire.connect(device, report)
        device.held_report = None
        return reply

    async def _act(self, device: Device, reply: bytes) -> dict[str, Any]:
        try:
            order = plistlib.loads(reply)
            uuid, command = order["CommandUUID"], order["Command"]
            request_type = command.get("RequestType")
        except (ValueError, ExpatError, KeyError, TypeError, AttributeError):
            self._counts["malformed"] += 1
            return malformed("the command is no property list with CommandUUID and Command")
        self._counts[str(request_type)] += 1
        world = World(
            now=self._settings.clock(),
            install_seconds=self._settings.install_seconds,
            bundle_id=self._settings.bundle_id,
            licensed=await self._is_licensed(device, command),
        )
        report = perform(device, command, world)
        self._counts[report["Status"]] += 1
        return {"CommandUUID": uuid, **report}

    async def _is_licensed(self, device: Device, command: dict[str, Any]) -> bool:
        adam_id = command.get("iTunesStoreID")
        if command.get("RequestType") != "InstallApplication" or not isinstance(adam_id, int):
            return True
        return await self._licensed(device.serial, adam_id)


def _is_unidentified(report: dict[str, Any]) -> bool:
    """Whether the server cannot know which command it reports: one more round would only repeat it."""
    return report["Status"] != "Idle" and "CommandUUID" not in report
