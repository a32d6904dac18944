"""The fleet's admin door: create, enroll, wipe, script and watch devices over plain HTTP."""

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, HTTPException

from local.simulators.admin import new_door, since
from local.simulators.devices.admin_bodies import (
    AuthorizeBody,
    ClockBody,
    CreateBody,
    DeleteAppBody,
    EnrollBody,
    GetAppBody,
    GetTokenBody,
    LoginBody,
    LogoutBody,
    PickAppBody,
    ScriptBody,
    Selection,
    SignInBody,
    describe,
)
from local.simulators.devices.kinds import Kind
from local.simulators.devices.model import Device, Enrollment
from local.simulators.devices.script import Script
from local.simulators.devices.trace import Exchange

if TYPE_CHECKING:
    from local.simulators.devices.fleet import DeviceFleet


class AdminDoor:
    """The routes' functions, with the fleet they act on."""

    def __init__(self, fleet: "DeviceFleet") -> None:
        self._fleet = fleet

    async def create(self, body: CreateBody) -> dict[str, list[str]]:
        """Unpack new devices."""
        made = self._fleet.create(
            body.count, kind=body.kind, serial_prefix=body.serial_prefix, os_version=body.os_version
        )
        for device in made:
            device.awaits_configuration = body.awaits_configuration
        return {"serials": [device.serial for device in made]}

    async def enroll(self, body: EnrollBody) -> dict[str, Any]:
        """Enroll devices and wait for it; answers who was refused, and why."""
        devices = self._select(body)
        those = await self._fleet.enroll(devices, key_type=body.key_type)
        refused = {device.serial: device.cause for device in those}
        return {"enrolled": len(devices) - len(refused), "refused": refused}

    async def get_token(self, body: GetTokenBody) -> dict[str, str | None]:
        """Have devices ask for a service's token; answers the SHA-256 of what each channel got, never the token.

        Null: an answer without one. Who cannot ask, or was refused, is left out.
        """
        devices = self._select(body)
        found = await self._fleet.get_tokens(
            devices, body.service, parameters=body.parameters, user=body.user
        )
        return {
            name: None if token is None else hashlib.sha256(token).hexdigest()
            for name, token in found.items()
        }

    async def wipe(self, body: Selection) -> None:
        """Erase devices, silently."""
        await self._fleet.wipe(self._select(body))

    async def check_out(self, body: Selection) -> None:
        """Have users remove the profile."""
        await self._fleet.check_out(self._select(body))

    async def vanish(self, body: Selection) -> None:
        """Have the profile be gone without a CheckOut."""
        await self._fleet.vanish(self._select(body))

    async def renew_tokens(self, body: Selection) -> None:
        """Have devices get other tokens and magics, and tell the server."""
        await self._fleet.renew_tokens(self._select(body))

    async def go_offline(self, body: Selection) -> None:
        """Take devices off the network."""
        await self._fleet.go_offline(self._select(body))

    async def go_online(self, body: Selection) -> None:
        """Bring devices back."""
        await self._fleet.go_online(self._select(body))

    async def lock(self, body: Selection) -> None:
        """Lock screens: NotNow to whatever a locked device puts off."""
        self._fleet.lock(self._select(body))

    async def unlock(self, body: Selection) -> None:
        """Unlock screens: who had said NotNow comes again."""
        self._fleet.lock(self._select(body), locked=False)

    async def log_in(self, body: LoginBody) -> None:
        """Log a user in, who gets a channel; 409 where a device has no users, as an iPhone."""
        devices = self._select(body)
        if single := [device.serial for device in devices if not device.traits.has_users]:
            raise HTTPException(409, f"nobody logs in to {', '.join(single[:10])}")
        await self._fleet.hands.log_in(
            devices, body.user, account=body.account, of_directory=body.of_directory
        )

    async def log_out(self, body: LogoutBody) -> None:
        """Log users out: their channels hear no push."""
        await self._fleet.hands.log_out(self._select(body), body.user)

    async def sign_in(self, body: SignInBody) -> None:
        """Sign in to the App Store, or out."""
        await self._fleet.hands.sign_in(self._select(body), body.account)

    async def authorize(self, body: AuthorizeBody) -> None:
        """Sign in again to an account-driven enrollment."""
        self._fleet.authorize(self._select(body), body.bearer)

    async def get_app(self, body: GetAppBody) -> None:
        """Have users get an app from the store by themselves."""
        self._fleet.hands.get_app(self._select(body), body.adam_id)

    async def pick_app(self, body: PickAppBody) -> None:
        """Have users pick an optional declared app in the organization's management app."""
        self._fleet.hands.pick_app(self._select(body), body.identifier)

    async def delete_app(self, body: DeleteAppBody) -> None:
        """Have users delete an app."""
        self._fleet.hands.delete_app(self._select(body), body.identifier)

    async def script(self, body: ScriptBody) -> None:
        """Have devices misbehave."""
        self._fleet.script(self._select(body), Script(Counter(body.times), Counter(body.not_now)))

    async def advance(self, body: ClockBody) -> None:
        """Put the clock forward."""
        self._fleet.advance(body.advance_seconds)

    async def list_devices(
        self,
        prefix: str = "",
        kind: Kind | None = None,
        enrollment: Enrollment | None = None,
    ) -> list[dict[str, Any]]:
        """List devices with their apps and the state of each."""
        now = self._fleet.clock.now()
        return [
            describe(device, now=now)
            for device in self._fleet.devices.values()
            if device.serial.startswith(prefix)
            and kind in {None, device.kind}
            and enrollment in {None, device.enrollment}
        ]

    async def one_device(self, serial: str) -> dict[str, Any]:
        """Answer one device."""
        [device] = self._select(Selection(serials=[serial]))
        return describe(device, now=self._fleet.clock.now())

    async def counts(self) -> dict[str, Any]:
        """Answer what was heard and done, and where the devices stand."""
        now = self._fleet.clock.now()
        apps = [app.status(now) for device in self._fleet.devices.values() for app in device.apps.values()]
        return {
            "events": dict(self._fleet.counts),
            "enrollments": Counter(device.enrollment for device in self._fleet.devices.values()),
            "apps": Counter(apps),
        }

    async def trace(self, serial: str | None = None) -> list[Exchange]:
        """List the newest exchanges, oldest first; `serial` leaves those of one device and its users."""
        return [
            exchange
            for exchange in self._fleet.trace.exchanges
            if serial is None or exchange.channel.partition(":")[0] == serial
        ]

    async def requests(self, after: int = 0) -> dict[str, Any]:
        """Show the exchanges since the `after`-th; `last` is what to ask with the next time."""
        trace = self._fleet.trace
        return since(trace.exchanges, last=trace.added, after=after)

    async def invitations(self, after: int = 0) -> list[dict[str, Any]]:
        """List the invitations that devices show, oldest first; `after` leaves those after a number."""
        return [shown._asdict() for shown in self._fleet.trace.shown if shown.number > after]

    def _select(self, selection: Selection) -> list[Device]:
        devices = self._fleet.devices
        if selection.serials is None:
            return [device for serial, device in devices.items() if serial.startswith(selection.prefix)]
        unknown = [serial for serial in selection.serials if serial not in devices]
        if unknown:
            raise HTTPException(404, f"no such device: {', '.join(unknown[:10])}")
        return [devices[serial] for serial in selection.serials]


def admin_door(fleet: "DeviceFleet") -> FastAPI:
    """Build the app; its table of routes stands here."""
    app = new_door("Simulated devices: the admin door")
    door = AdminDoor(fleet)
    app.get("/devices")(door.list_devices)
    app.get("/devices/{serial}")(door.one_device)
    app.get("/counts")(door.counts)
    app.get("/trace")(door.trace)
    app.get("/requests")(door.requests)
    app.get("/invitations")(door.invitations)
    app.post("/devices", status_code=201)(door.create)
    app.post("/devices/enroll")(door.enroll)
    app.post("/devices/get-token")(door.get_token)
    for path, act in (
        ("/devices/wipe", door.wipe),
        ("/devices/checkout", door.check_out),
        ("/devices/vanish", door.vanish),
        ("/devices/renew-tokens", door.renew_tokens),
        ("/devices/offline", door.go_offline),
        ("/devices/online", door.go_online),
        ("/devices/lock", door.lock),
        ("/devices/unlock", door.unlock),
        ("/devices/login", door.log_in),
        ("/devices/logout", door.log_out),
        ("/devices/sign-in", door.sign_in),
        ("/devices/authorize", door.authorize),
        ("/devices/get-app", door.get_app),
        ("/devices/pick-app", door.pick_app),
        ("/devices/delete-app", door.delete_app),
        ("/devices/script", door.script),
        ("/clock", door.advance),
    ):
        app.post(path, status_code=204)(act)
    return app
