"""The fleet: makes devices, enrolls them, wakes them when APNs has their magic, and lets them misbehave."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

from local.simulators.devices.admin import admin_door
from local.simulators.devices.commands.moments import is_locked, seconds_of_night
from local.simulators.devices.courier import courier_to
from local.simulators.devices.declarative.conversation import Declarer
from local.simulators.devices.enrolling import Enroller
from local.simulators.devices.errands import Errands
from local.simulators.devices.guard import Guard
from local.simulators.devices.hands import Hands
from local.simulators.devices.kinds import TRAITS, Kind
from local.simulators.devices.licenses import AppStore, license_check
from local.simulators.devices.model import Channel, Device, Enrollment
from local.simulators.devices.reminders import Reminders
from local.simulators.devices.script import Script
from local.simulators.devices.session import Session
from local.simulators.devices.settings import FleetSettings, KeyType
from local.simulators.devices.times import Clock
from local.simulators.devices.tokens import Tokens, in_hex
from local.simulators.devices.trace import Trace
from local.simulators.devices.wire import Wire
from local.simulators.dice import Dice
from local.simulators.simulator import Simulator

SERIAL_LENGTH = 12
FIRST_GETTING_TOKENS_IOS, FIRST_GETTING_TOKENS_MAC = (17,), (14,)
LONGEST_NAP_SECONDS = 3600.0  # between two looks whether the night is over


class DeviceFleet(Simulator):
    """Simulated devices of one server. `devices` are there to be looked at, by serial number."""

    def __init__(self, settings: FleetSettings) -> None:
        super().__init__()
        self.settings = settings
        self.devices: dict[str, Device] = {}
        self.clock = Clock(settings.clock)
        self.trace = Trace(settings.trace_length)
        self._numbers: Counter[str] = Counter()  # the last serial number given, by prefix
        self._morning: asyncio.TimerHandle | None = None

    async def _open(self) -> None:
        """Open the line to APNs and the admin door. Raises `TimeoutError` when APNs does not answer."""
        settings = self.settings
        self.wire = Wire(settings)
        self._stack.push_async_callback(self.wire.close)
        store = AppStore(license_check(settings.license_check, self.wire.client, clock=self.clock.now))
        self._session = Session(settings, self.wire, store, self.trace, self.clock)
        self._declarer = Declarer(settings, self.wire, store, self.trace, self.clock)
        self._errands = Errands(self._visit, workers=settings.connections)
        self._declaring = Errands(self._declare, workers=settings.connections)
        self._reminders = Reminders(self.clock, self._declaring.ask)
        name = f"fleet-{uuid.uuid4()}"
        self._courier = courier_to(settings.apns, topic=settings.topic, name=name, wake=self.wake)
        self._tokens = Tokens(self._courier, Dice(settings.seed))
        self._enroller = Enroller(settings, self.wire, self._tokens, self.trace)
        self._guard = Guard(settings, self._enroller, self.trace)
        self.hands = Hands(
            settings, self.clock, self._enroller, self._tokens, store, stir=self._declaring.ask
        )
        for errands in (self._errands, self._declaring):
            errands.start()
            self._stack.push_async_callback(errands.stop)
        self._stack.callback(self._reminders.stop)
        await self._courier.start()
        self._stack.push_async_callback(self._courier.stop)
        await self._open_admin_door(admin_door(self), settings.admin_port)
        self._wait_for_morning()
        self._stack.callback(self._forget_morning)

    def _forget_morning(self) -> None:
        if self._morning is not None:
            self._morning.cancel()

    @property
    def counts(self) -> Counter[str]:
        """How often everything happened."""
        return self.trace.counts

    def create(
        self, count: int, *, kind: Kind = Kind.IOS, serial_prefix: str = "BOX", os_version: str | None = None
    ) -> list[Device]:
        """Unpack new devices; serial numbers are the prefix and a number, 12 characters in all.

        Who enrolls with an account is signed in to the store with it: `<serial number>@accounts.example`.
        """
        newest = self.settings.mac_version if TRAITS[kind].is_mac else self.settings.ios_version
        width = SERIAL_LENGTH - len(serial_prefix)
        made = []
        for _ in range(count):
            self._numbers[serial_prefix] += 1
            serial = f"{serial_prefix}{self._numbers[serial_prefix]:0{width}d}"
            device = Device(serial, kind, os_version or newest)
            if device.traits.account_driven:
                device.channel.account = f"{serial.lower()}@accounts.example"
            made.append(device)
        self.devices |= {device.serial: device for device in made}
        return made

    async def enroll(self, devices: Sequence[Device], *, key_type: KeyType | None = None) -> list[Device]:
        """Authenticate, then TokenUpdate, with a new token, magic and certificate; answer the refused ones.

        `key_type` is that of their certificates' keys, where it is not the fleet's.

        The token is registered at APNs before the server hears of it. A device that is offline is refused. One
        that is enrolled loses its former profile first, with the apps that go with it, and no CheckOut is heard.
        """
        await self._enroller.prepare(devices)
        await self._each(devices, partial(self._enroller.enroll, key_type=key_type))
        return [device for device in devices if device.enrollment is Enrollment.REFUSED]

    async def check_out(self, devices: Sequence[Device]) -> None:
        """Have the users remove the profile: one CheckOut, heard or not, and the device is on its own."""
        await self._each(_enrolled(devices), self._enroller.check_out)

    async def vanish(self, devices: Sequence[Device]) -> None:
        """Have profiles be gone without a CheckOut, as when a Mac is restored; APNs answers 410."""

        async def leave(device: Device) -> None:
            await self._enroller.leave(device, Enrollment.CHECKED_OUT, "without a word")
            self.trace.add(device.serial, "vanish")

        await self._each(_enrolled(devices), leave)

    async def wipe(self, devices: Sequence[Device]) -> None:
        """Erase devices; nobody is told but APNs, which answers 410 for their tokens from now on."""
        await self._tokens.forget(_channels(devices))
        for device in devices:
            device.wipe()
            self.trace.add(device.serial, "wipe")

    async def renew_tokens(self, devices: Sequence[Device]) -> None:
        """Give all channels another token and magic, and tell the server: the former answer 410."""
        enrolled = _enrolled(devices)
        await self._each(enrolled, self._enroller.renew)
        self._declare_anew(enrolled)

    async def go_offline(self, devices: Sequence[Device]) -> None:
        """Take devices off the network: no pushes, no connections."""
        for device in devices:
            device.online = False
        await self._courier.go_offline(in_hex(_channels(devices)))

    async def go_online(self, devices: Sequence[Device]) -> None:
        """Bring devices back: they hear the stored push, and bring an unheard report by themselves."""
        for device in devices:
            device.online = True
            self._bring_reports(device)
        await self._courier.go_online(in_hex(_channels(devices)))

    def lock(self, devices: Iterable[Device], *, locked: bool = True) -> None:
        """Lock screens, or unlock them: then whoever had said NotNow last comes again."""
        for device in devices:
            device.locked = locked
        if not locked:
            self._wake_refused()

    def authorize(self, devices: Iterable[Device], bearer: str) -> None:
        """Sign in again to an account-driven enrollment; unheard reports go out with the new token."""
        for device in devices:
            device.bearer, device.cause = bearer, None
            self._bring_reports(device)

    def script(self, devices: Iterable[Device], script: Script | None) -> None:
        """Give each device its own copy of a script, or none."""
        for device in devices:
            device.script = script.copy() if script is not None else None

    def advance(self, seconds: float) -> None:
        """Put the clock forward; where that ends the night, whoever had said NotNow last comes again."""
        self.clock.advance(seconds)
        self._wake_refused()
        self._reminders.look()

    def wake(self, token: str, magic: str) -> None:
        """Hear a push: only the right magic makes the device connect."""
        channel = self._tokens.find(token)
        if channel is None or not channel.awake:
            self.counts["push_unheard"] += 1
        elif channel.magic != magic:
            self.counts["push_with_wrong_magic"] += 1
        else:
            self.counts["push_heard"] += 1
            self._errands.ask(channel)

    async def get_tokens(
        self,
        devices: Iterable[Device],
        service: str,
        *,
        parameters: dict[str, str] | None = None,
        user: str | None = None,
    ) -> dict[str, bytes | None]:
        """Ask the server for a service's token, on the device channel or that of a user (Apple: `GetToken`).

        Answers the TokenData by channel, None where there was none; who cannot ask, or was refused, is not in it.
        """
        found: dict[str, bytes | None] = {}

        async def get(channel: Channel) -> None:
            found[channel.name] = await self.wire.fetch_token(channel, service, parameters or {})
            self.trace.add(channel.name, f"GetToken {service}")

        async def ask(device: Device) -> None:
            channel = device.channel if user is None else device.users.get(user)
            if channel is not None and self.settings.get_token and can_get_tokens(device):
                await self._guard.let(channel, get, about=f"GetToken {service}")

        await self._each(list(devices), ask)
        return found

    async def settled(self) -> None:
        """Wait until no device is on its way to the server or means to go by itself soon."""
        while not (self._errands.quiet and self._declaring.quiet):
            await self._errands.settled()
            await self._declaring.settled()

    async def _visit(self, channel: Channel) -> float | None:
        return await self._guard.let(channel, self._talk, about="connect")

    async def _talk(self, channel: Channel) -> float | None:
        """Talk about commands; what declarative management makes of them is told apart."""
        device, life = channel.device, channel.device.life
        seconds = await self._session.run(channel)
        if device.owes_token_update and device.life == life:
            await self._enroller.tell_token(device.channel)
            device.owes_token_update = False
        if channel.declarations is not None:
            self._declaring.ask(channel)
        return seconds

    async def _declare(self, channel: Channel) -> float | None:
        """Talk about declarations; the next report is due at a time, not in a moment, so nobody waits for it."""

        async def declare(channel: Channel) -> None:
            when = await self._declarer.run(channel)
            if when is not None:
                self._reminders.set(channel, when)

        return await self._guard.let(channel, declare, about="DeclarativeManagement")

    def _bring_reports(self, device: Device) -> None:
        for channel in device.channels:
            if channel.held_report is not None:
                self._errands.ask(channel)
        self._declare_anew([device])

    def _declare_anew(self, devices: Iterable[Device]) -> None:
        """Have channels with declarative management tell what changed."""
        for channel in _channels(devices):
            if channel.declarations is not None:
                self._declaring.ask(channel)

    def _wake_refused(self) -> None:
        now, night = self.clock.now(), self.settings.night
        free = [device for device in self.devices.values() if not is_locked(device, night, now=now)]
        for channel in _channels(free):
            if channel.refused and channel.awake:
                self._errands.ask(channel)

    def _wait_for_morning(self) -> None:
        """Look again when the night should be over, and never later than in an hour: clocks are put forward."""
        if self.settings.night is None:
            return
        self._wake_refused()
        left = seconds_of_night(self.settings.night, now=self.clock.now()) or LONGEST_NAP_SECONDS
        loop = asyncio.get_running_loop()
        self._morning = loop.call_later(min(left, LONGEST_NAP_SECONDS), self._wait_for_morning)

    async def _each(self, devices: Sequence[Device], act: Callable[[Device], Awaitable[None]]) -> None:
        """Act on all, as many at a time as there are connections."""
        left = iter(devices)

        async def work() -> None:
            for device in left:
                await act(device)

        await asyncio.gather(*[work() for _ in range(self.settings.connections)])


def can_get_tokens(device: Device) -> bool:
    """Whether the system has GetToken: from iOS 17 and macOS 14, on all channels."""
    first = FIRST_GETTING_TOKENS_MAC if device.traits.is_mac else FIRST_GETTING_TOKENS_IOS
    return device.version >= first


def _enrolled(devices: Iterable[Device]) -> list[Device]:
    return [device for device in devices if device.enrollment is Enrollment.ENROLLED]


def _channels(devices: Iterable[Device]) -> list[Channel]:
    return [channel for device in devices for channel in device.channels]
