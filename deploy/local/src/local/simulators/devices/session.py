"""One connection of a channel: Idle, fetch, act, report, until the server has nothing more."""

import asyncio
import plistlib
from typing import Any
from xml.parsers.expat import ExpatError

from local.simulators.devices.commands import World, perform
from local.simulators.devices.commands.moments import is_locked
from local.simulators.devices.commands.reports import malformed
from local.simulators.devices.licenses import AppStore, License
from local.simulators.devices.model import Channel
from local.simulators.devices.packages import Porter
from local.simulators.devices.script import Mischief
from local.simulators.devices.settings import FleetSettings
from local.simulators.devices.times import Clock
from local.simulators.devices.trace import Trace
from local.simulators.devices.wire import Wire
from local.simulators.dice import Dice

IDLE, NOT_NOW = "Idle", "NotNow"
BUYING = frozenset({"InstallApplication", "InstallMedia"})
FETCHING = frozenset({"InstallApplication", "InstallEnterpriseApplication", "InstallMedia"})


class Session:
    """Runs connections by Apple's page "Sending MDM commands to a device"."""

    def __init__(
        self, settings: FleetSettings, wire: Wire, store: AppStore, trace: Trace, clock: Clock
    ) -> None:
        self._settings = settings
        self._wire = wire
        self._store = store
        self._porter = Porter(wire.client)
        self._trace = trace
        self._clock = clock
        self._dice = Dice(settings.seed)

    async def run(self, channel: Channel) -> float | None:
        """Talk until the server answers empty; answer the seconds after which it comes again by itself.

        A report is kept until the server took it, so it survives the errors of `wire.Wire`, which pass.
        """
        device, life = channel.device, channel.device.life
        self._trace.counts["sessions"] += 1
        report = channel.held_report or {"Status": IDLE}
        while True:
            reply = await self._tell(channel, report)
            if device.life != life or not channel.awake:
                return None
            channel.refused = report["Status"] == NOT_NOW
            if not reply or _is_unidentified(report):
                return self._next_visit(channel)
            if device.misbehaves(Mischief.LOSE_COMMAND):
                return None
            report = await self._act(channel, reply)
            if device.life != life:  # wiped while it worked
                return None
            channel.held_report = report
            if device.misbehaves(Mischief.HOLD_REPORT):
                return self._settings.retry_seconds

    def _next_visit(self, channel: Channel) -> float | None:
        """Answer when the device comes by itself: after NotNow only, and not before its hindrance is over.

        The fleet wakes those whose screen opens; the end of Setup Assistant is a connection anyway.
        """
        device = channel.device
        hindered = device.awaits_configuration or is_locked(
            device, self._settings.night, now=self._clock.now()
        )
        return self._settings.not_now_seconds if channel.refused and not hindered else None

    async def _tell(self, channel: Channel, report: dict[str, Any]) -> bytes:
        device, worked = channel.device, report["Status"] != IDLE
        if worked and device.misbehaves(Mischief.STRANGE_REPORT):
            strange = self._dice.uuid("strange", channel.name, device.life).upper()
            await self._wire.connect(channel, {"Status": "Acknowledged", "CommandUUID": strange})
        reply = await self._wire.connect(channel, report)
        if worked and device.misbehaves(Mischief.DUPLICATE_REPORT):
            reply = await self._wire.connect(channel, report)
        channel.held_report = None
        return reply

    async def _act(self, channel: Channel, reply: bytes) -> dict[str, Any]:
        try:
            order = plistlib.loads(reply)
            uuid, command = order["CommandUUID"], order["Command"]
            request_type = str(command.get("RequestType"))
        except (ValueError, ExpatError, KeyError, TypeError, AttributeError):
            self._trace.counts["malformed"] += 1
            return malformed("the command is no property list with CommandUUID and Command")
        if self._settings.work_seconds:
            await asyncio.sleep(self._settings.work_seconds)
        license_ = await self._find_license(channel, command) if request_type in BUYING else None
        package = await self._porter.fetch(command) if request_type in FETCHING else None
        world = World(self._clock.now(), self._settings, self._dice, license_, package)
        report = perform(channel, command, world)
        self._trace.add(channel.name, request_type, _outcome(report))
        if report.get("InvitationResult") == "Acknowledged":
            holder = channel.account or channel.user or channel.device.serial
            self._trace.show(channel.device.serial, holder, command["InvitationURL"])
        self._trace.counts.update((request_type, report["Status"]))
        return {"CommandUUID": uuid, **report}

    async def _find_license(self, channel: Channel, command: dict[str, Any]) -> License | None:
        """Look for a license that this channel may use.

        A device's own serves its device channel, unless its owner enrolled it for themselves; a person's serves the
        device channel on iOS, unless it is shared, and the user channel on a Mac. Books are for persons.
        """
        adam_id, traits = command.get("iTunesStoreID"), channel.device.traits
        if not isinstance(adam_id, int):
            return None
        is_book = command.get("RequestType") == "InstallMedia"
        owned = channel.user is None and not traits.personal and not is_book
        personal = not traits.shared and (channel.user is not None) == traits.is_mac
        return await self._store.find(
            adam_id,
            serial=channel.device.serial if owned else None,
            account=channel.account if personal else None,
        )


def _outcome(report: dict[str, Any]) -> str:
    """Say in a word or three what a report says."""
    codes = [str(link["ErrorCode"]) for link in report.get("ErrorChain", [])]
    states = [report["State"]] if "State" in report else []
    return " ".join([report["Status"], *codes[:1], *states])


def _is_unidentified(report: dict[str, Any]) -> bool:
    """Whether the server cannot know which command it reports: one more round would only repeat it."""
    return report["Status"] != IDLE and "CommandUUID" not in report
