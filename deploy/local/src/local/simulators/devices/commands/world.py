"""What a command depends on beside the device."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.simulators.devices.commands.reports import Report
from local.simulators.devices.licenses import License
from local.simulators.devices.model import Channel
from local.simulators.devices.packages import Package
from local.simulators.devices.settings import FleetSettings
from local.simulators.dice import Dice

Arguments = dict[str, Any]


@dataclass(frozen=True, slots=True)
class World:
    """The time, the knobs, the dice, and what was found out for this command: a license, a package."""

    now: float
    settings: FleetSettings
    dice: Dice
    license: License | None = None
    package: Package | None = None

    def happens(self, rate: float, channel: Channel, what: str) -> bool:
        """Throw the dice for a device; each throw is its next one, so that its order of commands decides."""
        device = channel.device
        device.draws += 1
        return self.dice.happens(rate, what, device.serial, device.draws)


Act = Callable[[Channel, Arguments, World], Report]
