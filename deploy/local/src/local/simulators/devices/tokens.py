"""Which push token belongs to which channel, here and at APNs."""

from collections.abc import Iterable, Sequence

from local.simulators.devices.courier import Courier
from local.simulators.devices.model import Channel
from local.simulators.dice import Dice

TOKEN_SIZE = 32


class Tokens:
    """Gives each channel a token and a magic, registers them at APNs, and takes them back."""

    def __init__(self, courier: Courier, dice: Dice) -> None:
        self._courier = courier
        self._dice = dice
        self._channels: dict[str, Channel] = {}

    def find(self, token: str) -> Channel | None:
        """Find the channel of a token in hex."""
        return self._channels.get(token)

    async def give(self, channels: Sequence[Channel]) -> None:
        """Give new ones, valid at APNs once this returns; the former answer 410."""
        await self.forget(channels)
        for channel in channels:
            channel.device.draws += 1
            draw = channel.name, channel.device.draws
            channel.token = self._dice.octets(TOKEN_SIZE, "token", *draw)
            channel.magic = self._dice.uuid("magic", *draw).upper()
            self._channels[channel.token.hex()] = channel
        tokens = in_hex(channels)
        if tokens:
            await self._courier.register(tokens)

    async def forget(self, channels: Iterable[Channel]) -> None:
        """Have APNs answer 410 for them from now on."""
        tokens = in_hex(channels)
        for token in tokens:
            self._channels.pop(token, None)
        if tokens:
            await self._courier.unregister(tokens)


def in_hex(channels: Iterable[Channel]) -> list[str]:
    """Answer the tokens of those that have one, as APNs writes them."""
    return [channel.token.hex() for channel in channels if channel.token is not None]
