"""How a device comes to its server and goes: Authenticate, TokenUpdate, users' channels, CheckOut."""

from collections.abc import Sequence

from local.simulators.devices.identities import Identities
from local.simulators.devices.model import Channel, Device, Enrollment
from local.simulators.devices.settings import FleetSettings, KeyType
from local.simulators.devices.tokens import Tokens
from local.simulators.devices.trace import Trace
from local.simulators.devices.trouble import SentAwayError, ServerTroubleError, SignInNeededError
from local.simulators.devices.wire import Wire

REFUSALS = (ServerTroubleError, SentAwayError, SignInNeededError)


class Enroller:
    """Speaks the check-in protocol for devices; their life is counted here."""

    def __init__(self, settings: FleetSettings, wire: Wire, tokens: Tokens, trace: Trace) -> None:
        self._settings = settings
        self._wire = wire
        self._tokens = tokens
        self._trace = trace
        self._identities = Identities(settings)

    async def prepare(self, devices: Sequence[Device]) -> None:
        """Take former profiles away, without a CheckOut, and give new tokens: APNs knows them before the server."""
        await self._tokens.forget([channel for device in devices for channel in device.channels])
        for device in devices:
            if device.enrollment is Enrollment.ENROLLED:
                device.leave(Enrollment.NEW, None)
        await self._tokens.give([channel for device in devices for channel in device.channels])

    async def enroll(self, device: Device, *, key_type: KeyType | None = None) -> None:
        """Enroll a prepared device, then those of its users who are there; `cause` says why it was refused."""
        if not device.online:
            await self.leave(device, Enrollment.REFUSED, "offline")
            return
        device.life += 1
        device.channel.held_report, device.channel.failures, device.cause = None, 0, None
        device.proof = self._identities.issue(device, key_type)
        device.bearer = self._settings.bearer_token if device.traits.account_driven else None
        try:
            await self._wire.authenticate(device)
            self._trace.add(device.serial, "Authenticate")
            # The server may push before it has answered TokenUpdate, so the device already listens.
            device.enrollment = Enrollment.ENROLLED
            await self.tell_token(device.channel)
        except REFUSALS as refusal:
            self._trace.add(device.serial, "enroll", str(refusal))
            await self.leave(device, Enrollment.REFUSED, str(refusal))
            return
        for user in device.users.values():
            if user.present:
                await self.open(user)

    async def open(self, channel: Channel, *, of_directory: bool = False) -> None:
        """Open a user's channel, where the server manages users; what it refuses is only counted.

        A user of a directory asks first, on a Mac that the organization enrolled (Apple: `UserAuthenticate`).
        """
        if not self._settings.user_channels:
            return
        traits = channel.device.traits
        try:
            if of_directory and traits.is_mac and not traits.personal:
                managed = await self._wire.authenticate_user(channel)
                self._trace.add(channel.name, "UserAuthenticate", "ok" if managed else "not managed")
                if not managed:
                    await self._tokens.forget([channel])
                    channel.forget()
                    return
            await self.tell_token(channel)
        except REFUSALS as refusal:
            self._trace.add(channel.name, "TokenUpdate", str(refusal))

    async def tell_token(self, channel: Channel) -> None:
        """Send TokenUpdate. Raises what `wire.Wire` raises."""
        await self._wire.update_token(channel)
        self._trace.add(channel.name, "TokenUpdate")

    async def renew(self, device: Device) -> None:
        """Give its channels another token and magic, and tell the server; whether it took them is in the trace."""
        channels = [channel for channel in device.channels if channel.token is not None]
        await self._tokens.give(channels)
        for channel in channels:
            try:
                await self.tell_token(channel)
            except REFUSALS as refusal:
                self._trace.add(channel.name, "TokenUpdate", str(refusal))

    async def check_out(self, device: Device) -> None:
        """Remove the profile by hand: one CheckOut, heard or not, where the profile wants one at all."""
        if device.online and self._settings.check_out_when_removed:
            try:
                await self._wire.check_out(device)
                self._trace.add(device.serial, "CheckOut")
            except REFUSALS as unheard:
                self._trace.add(device.serial, "CheckOut", str(unheard))
                self._trace.counts[f"CheckOut: {unheard}"] += 1
        await self.leave(device, Enrollment.CHECKED_OUT, None)

    async def leave(self, device: Device, enrollment: Enrollment, cause: str | None) -> None:
        """Have the device be on its own; nobody is told but APNs."""
        await self._tokens.forget(device.channels)
        device.leave(enrollment, cause)
