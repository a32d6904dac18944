"""When a device has no time for a command and answers NotNow. Pure.

Apple: "Handling NotNow status responses".
"""

from local.simulators.devices.commands.world import World
from local.simulators.devices.model import Channel, Device

# iOS answers these at once.
NEVER_NOT_NOW = frozenset(
    {
        "ClearPasscode",
        "DeviceInformation",
        "DeviceLock",
        "EraseDevice",
        "InstalledApplicationList",
        "ProfileList",
        "ProvisioningProfileList",
        "Restrictions",
    }
)
FIRST_INSTALLING_IN_SETUP = (16,)
HOUR, DAY = 3600.0, 86_400.0
Night = tuple[float, float] | None  # from hour to hour of the day, UTC; it may pass midnight


def is_bad_moment(channel: Channel, request_type: str, world: World) -> bool:
    """Whether the answer is NotNow: by script, behind a locked screen, in Setup Assistant, or by the dice."""
    device = channel.device
    if not device.traits.is_mac and request_type in NEVER_NOT_NOW:
        return False
    if device.script is not None and device.script.refuses(request_type):
        return True
    if is_locked(device, world.settings.night, now=world.now) or _is_in_setup(device, request_type):
        return True
    return world.happens(world.settings.not_now_rate, channel, "NotNow")


def is_locked(device: Device, night: Night, *, now: float) -> bool:
    """Whether its screen is locked: somebody locked it, or it is night."""
    return device.locked or seconds_of_night(night, now=now) > 0


def seconds_of_night(night: Night, *, now: float) -> float:
    """Seconds until the morning; 0 by day."""
    if night is None:
        return 0.0
    dusk, dawn = night[0] * HOUR, night[1] * HOUR
    length = (dawn - dusk) % DAY
    passed = (now - dusk) % DAY
    return max(0.0, length - passed)


def _is_in_setup(device: Device, request_type: str) -> bool:
    """Whether Setup Assistant puts it off: an invitation always, apps before iOS 16."""
    if not device.awaits_configuration:
        return False
    if request_type == "InstallApplication":
        return not device.traits.is_mac and device.version < FIRST_INSTALLING_IN_SETUP
    return request_type == "InviteToProgram"
