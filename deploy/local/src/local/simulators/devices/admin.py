"""The fleet's admin door: create, enroll, wipe, script and watch devices over plain HTTP."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

from local.simulators.devices.model import Device, Enrollment, Kind
from local.simulators.devices.script import Mischief, Script

if TYPE_CHECKING:
    from local.simulators.devices.fleet import DeviceFleet


class CreateBody(BaseModel):
    """How many devices of which kind; serial numbers begin with the prefix."""

    count: int = Field(ge=1, le=100_000)
    kind: Kind = Kind.IOS
    serial_prefix: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,6}$")] = "BOX"


class Selection(BaseModel):
    """Which devices: those named, else all whose serial number begins with `prefix`."""

    serials: list[str] | None = None
    prefix: str = ""


class ScriptBody(Selection):
    """A script for the devices selected; an empty one means: behave again."""

    times: dict[Mischief, int] = {}
    not_now: dict[str, int] = {}


class AdminDoor:
    """The routes' functions, with the fleet they act on."""

    def __init__(self, fleet: "DeviceFleet") -> None:
        self._fleet = fleet

    async def create(self, body: CreateBody) -> dict[str, list[str]]:
        """Unpack new devices."""
        made = self._fleet.create(body.count, kind=body.kind, serial_prefix=body.serial_prefix)
        return {"serials": [device.serial for device in made]}

    async def enroll(self, body: Selection) -> dict[str, Any]:
        """Enroll devices and wait for it; answers who was refused, and why."""
        devices = self._select(body)
        refused = {device.serial: device.cause for device in await self._fleet.enroll(devices)}
        return {"enrolled": len(devices) - len(refused), "refused": refused}

    async def wipe(self, body: Selection) -> None:
        """Erase devices, silently."""
        await self._fleet.wipe(self._select(body))

    async def check_out(self, body: Selection) -> None:
        """Have users remove the profile."""
        await self._fleet.check_out(self._select(body))

    async def go_offline(self, body: Selection) -> None:
        """Take devices off the network."""
        await self._fleet.go_offline(self._select(body))

    async def go_online(self, body: Selection) -> None:
        """Bring devices back."""
        await self._fleet.go_online(self._select(body))

    async def script(self, body: ScriptBody) -> None:
        """Have devices misbehave."""
        self._fleet.script(self._select(body), Script(Counter(body.times), Counter(body.not_now)))

    async def list_devices(
        self,
        prefix: str = "",
        kind: Kind | None = None,
        enrollment: Enrollment | None = None,
    ) -> list[dict[str, Any]]:
        """List devices with their apps and the state of each."""
        return [
            self._describe(device)
            for device in self._fleet.devices.values()
            if device.serial.startswith(prefix)
            and kind in {None, device.kind}
            and enrollment in {None, device.enrollment}
        ]

    async def one_device(self, serial: str) -> dict[str, Any]:
        """Answer one device."""
        [device] = self._select(Selection(serials=[serial]))
        return self._describe(device)

    async def counts(self) -> dict[str, Any]:
        """Answer what was heard and done, and where the devices stand."""
        apps = [
            app.status(self._fleet.settings.clock())
            for device in self._fleet.devices.values()
            for app in device.apps.values()
        ]
        return {
            "events": dict(self._fleet.counts),
            "enrollments": Counter(device.enrollment for device in self._fleet.devices.values()),
            "apps": Counter(apps),
        }

    def _select(self, selection: Selection) -> list[Device]:
        devices = self._fleet.devices
        if selection.serials is None:
            return [device for serial, device in devices.items() if serial.startswith(selection.prefix)]
        unknown = [serial for serial in selection.serials if serial not in devices]
        if unknown:
            raise HTTPException(404, f"no such device: {', '.join(unknown[:10])}")
        return [devices[serial] for serial in selection.serials]

    def _describe(self, device: Device) -> dict[str, Any]:
        now = self._fleet.settings.clock()
        return {
            "serial": device.serial,
            "udid": device.udid,
            "kind": device.kind,
            "os_version": device.os_version,
            "enrollment": device.enrollment,
            "cause": device.cause,
            "online": device.online,
            "apps": [
                {
                    "adam_id": app.adam_id,
                    "identifier": app.identifier,
                    "managed": app.managed,
                    "status": app.status(now),
                }
                for app in device.apps.values()
            ],
        }


def admin_door(fleet: "DeviceFleet") -> FastAPI:
    """Build the app; its table of routes stands here."""
    app = FastAPI(title="Simulated devices, admin door")
    door = AdminDoor(fleet)
    app.get("/devices")(door.list_devices)
    app.get("/devices/{serial}")(door.one_device)
    app.get("/counts")(door.counts)
    app.post("/devices", status_code=201)(door.create)
    app.post("/devices/enroll")(door.enroll)
    for path, act in (
        ("/devices/wipe", door.wipe),
        ("/devices/checkout", door.check_out),
        ("/devices/offline", door.go_offline),
        ("/devices/online", door.go_online),
        ("/devices/script", door.script),
    ):
        app.post(path, status_code=204)(act)
    return app
