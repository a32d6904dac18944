"""The fleet: makes devices, enrolls them, wakes them when APNs has their magic, and lets them misbehave."""

import asyncio
import secrets
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Self

from local.simulators.devices.admin import admin_door
from local.simulators.devices.courier import courier_to
from local.simulators.devices.errands import Errands
from local.simulators.devices.licenses import license_check
from local.simulators.devices.model import Device, Enrollment, Kind
from local.simulators.devices.proof import Proof, by_header, by_signature
from local.simulators.devices.script import Script
from local.simulators.devices.session import Session
from local.simulators.devices.settings import FleetSettings, ProofMode
from local.simulators.devices.wire import SentAwayError, ServerTroubleError, Wire
from local.simulators.serving import HOST, Serving

SERIAL_LENGTH = 12


class DeviceFleet:
    """Simulated devices of one server. `devices` are there to be looked at, by serial number."""

    def __init__(self, settings: FleetSettings) -> None:
        self.settings = settings
        self.devices: dict[str, Device] = {}
        self.counts: Counter[str] = Counter()
        self._by_token: dict[str, Device] = {}
        self._numbers: Counter[str] = Counter()  # the last serial number given, by prefix

    async def start(self) -> None:
        """Open the line to APNs and the admin door. Raises `TimeoutError` when APNs does not answer."""
        settings = self.settings
        self._wire = Wire(settings)
        check = license_check(settings.license_check, self._wire.client)
        self._session = Session(settings, self._wire, check, self.counts)
        self._errands = Errands(self._visit, workers=settings.connections)
        name = f"fleet-{uuid.uuid4()}"
        self._courier = courier_to(settings.apns, topic=settings.topic, name=name, wake=self.wake)
        await self._courier.start()
        self._errands.start()
        self._admin = await Serving.start(admin_door(self), port=settings.admin_port)

    async def stop(self) -> None:
        """Close both, break off what runs."""
        await self._admin.stop()
        await self._courier.stop()
        await self._errands.stop()
        await self._wire.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def admin_url(self) -> str:
        """Where stories and tests create, wipe and watch devices."""
        return f"http://{HOST}:{self._admin.port}"

    def create(self, count: int, *, kind: Kind = Kind.IOS, serial_prefix: str = "BOX") -> list[Device]:
        """Unpack new devices; serial numbers are the prefix and a number, 12 characters in all."""
        version = self.settings.mac_version if kind is Kind.MAC else self.settings.ios_version
        width = SERIAL_LENGTH - len(serial_prefix)
        made = []
        for _ in range(count):
            self._numbers[serial_prefix] += 1
            serial = f"{serial_prefix}{self._numbers[serial_prefix]:0{width}d}"
            made.append(Device(serial, kind, version))
        self.devices |= {device.serial: device for device in made}
        return made

    async def enroll(self, devices: Sequence[Device]) -> list[Device]:
        """Authenticate, then TokenUpdate, with a new token, magic and certificate; answer the refused ones.

        The token is registered at APNs before the server hears of it. A device that is offline is refused. One
        that is enrolled loses its former profile first, with the apps that go with it, and no CheckOut is heard.
        """
        await self._forget_tokens(devices)
        for device in devices:
            if device.enrollment is Enrollment.ENROLLED:
                device.leave(Enrollment.NEW, None)
            device.token, device.magic = secrets.token_bytes(32), str(uuid.uuid4()).upper()
            self._by_token[device.token.hex()] = device
        await self._courier.register([device.token.hex() for device in devices if device.token])
        await self._each(devices, self._enroll)
        return [device for device in devices if device.enrollment is Enrollment.REFUSED]

    async def check_out(self, devices: Sequence[Device]) -> None:
        """Have the users remove the profile: one CheckOut, heard or not, and the device is on its own."""
        await self._each([d for d in devices if d.enrollment is Enrollment.ENROLLED], self._check_out)

    async def wipe(self, devices: Sequence[Device]) -> None:
        """Erase devices; nobody is told but APNs, which answers 410 for their tokens from now on."""
        await self._forget_tokens(devices)
        for device in devices:
            device.wipe()

    async def go_offline(self, devices: Sequence[Device]) -> None:
        """Take devices off the network: no pushes, no connections."""
        for device in devices:
            device.online = False
        await self._courier.go_offline(_tokens(devices))

    async def go_online(self, devices: Sequence[Device]) -> None:
        """Bring devices back: they hear the stored push, and bring an unheard report by themselves."""
        for device in devices:
            device.online = True
            if device.held_report is not None:
                self._errands.ask(device)
        await self._courier.go_online(_tokens(devices))

    def script(self, devices: Iterable[Device], script: Script | None) -> None:
        """Give each device its own copy of a script, or none."""
        for device in devices:
            device.script = script.copy() if script is not None else None

    def wake(self, token: str, magic: str) -> None:
        """Hear a push: only the right magic makes the device connect."""
        device = self._by_token.get(token)
        if device is None or not device.awake:
            self.counts["push_unheard"] += 1
        elif device.magic != magic:
            self.counts["push_with_wrong_magic"] += 1
        else:
            self.counts["push_heard"] += 1
            self._errands.ask(device)

    async def settled(self) -> None:
        """Wait until no device is on its way to the server or means to go by itself."""
        await self._errands.settled()

    async def _visit(self, device: Device) -> float | None:
        if not device.awake:
            return None
        life = device.life
        try:
            seconds = await self._session.run(device)
        except ServerTroubleError as trouble:
            device.failures += 1
            self.counts[str(trouble)] += 1
            wait = self.settings.retry_seconds * 2.0 ** (device.failures - 1)
            return min(wait, self.settings.longest_retry_seconds)
        except SentAwayError as sent_away:
            if device.life == life:
                await self._leave(device, Enrollment.UNENROLLED, str(sent_away))
            return None
        device.failures = 0
        return seconds

    async def _enroll(self, device: Device) -> None:
        if not device.online:
            await self._leave(device, Enrollment.REFUSED, "offline")
            return
        device.life += 1
        device.held_report, device.failures, device.cause = None, 0, None
        device.proof = self._issue(device)
        try:
            await self._wire.authenticate(device)
            # The server may push before it has answered TokenUpdate, so the device already listens.
            device.enrollment = Enrollment.ENROLLED
            await self._wire.update_token(device)
        except ServerTroubleError as trouble:
            await self._leave(device, Enrollment.REFUSED, str(trouble))
        except SentAwayError as sent_away:
            await self._leave(device, Enrollment.REFUSED, str(sent_away))

    async def _check_out(self, device: Device) -> None:
        if device.online:
            try:
                await self._wire.check_out(device)
            except (ServerTroubleError, SentAwayError) as unheard:
                self.counts[f"CheckOut: {unheard}"] += 1
        await self._leave(device, Enrollment.CHECKED_OUT, None)

    async def _leave(self, device: Device, enrollment: Enrollment, cause: str | None) -> None:
        await self._forget_tokens([device])
        device.leave(enrollment, cause)

    async def _forget_tokens(self, devices: Iterable[Device]) -> None:
        tokens = _tokens(devices)
        for token in tokens:
            self._by_token.pop(token, None)
        if tokens:
            await self._courier.unregister(tokens)

    def _issue(self, device: Device) -> Proof:
        identity = self.settings.authority.issue_device(common_name=device.udid)
        if self.settings.proof_mode is ProofMode.SIGNATURE:
            return by_signature(identity)
        return by_header(identity, self.settings.proof_header)

    async def _each(self, devices: Sequence[Device], act: Callable[[Device], Awaitable[None]]) -> None:
        """Act on all, as many at a time as there are connections."""
        left = iter(devices)

        async def work() -> None:
            for device in left:
                await act(device)

        await asyncio.gather(*[work() for _ in range(self.settings.connections)])


def _tokens(devices: Iterable[Device]) -> list[str]:
    return [device.token.hex() for device in devices if device.token is not None]
