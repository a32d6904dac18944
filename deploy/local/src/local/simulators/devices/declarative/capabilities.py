"""What declarative management can do on a channel, by platform, version and way of enrollment.

Apple: `com.apple.configuration.app.managed`, the status items, and `StatusManagementClientCapabilities`.
"""

from dataclasses import dataclass
from typing import Any

from local.simulators.devices.kinds import Version
from local.simulators.devices.model import Channel, Device

SIMPLE = "com.apple.activation.simple"
APP_MANAGED = "com.apple.configuration.app.managed"
SUBSCRIPTIONS = "com.apple.configuration.management.status-subscriptions"

CAPABILITIES = "management.client-capabilities"
DECLARATIONS = "management.declarations"
APP_LIST = "app.managed.list"
MDM_APP = "mdm.app"
UNASKED = (CAPABILITIES, DECLARATIONS)


@dataclass(frozen=True, slots=True)
class Since:
    """From which version on iOS and on macOS, None: never; `ios_users`: also for who is signed in to a Shared iPad."""

    ios: Version | None
    mac: Version | None
    ios_users: bool = True
    ios_until: Version | None = None

    def has(self, device: Device) -> bool:
        """Whether this version of this system has it."""
        since = self.mac if device.traits.is_mac else self.ios
        gone = not device.traits.is_mac and self.ios_until is not None and device.version >= self.ios_until
        return since is not None and device.version >= since and not gone

    def reaches(self, channel: Channel) -> bool:
        """Whether this channel has it."""
        scoped = channel.user is None or channel.device.traits.is_mac or self.ios_users
        return scoped and self.has(channel.device)


ALWAYS = Since((15,), (13,))
CONFIGURATIONS = {APP_MANAGED: Since((17, 2), (26,), ios_users=False), SUBSCRIPTIONS: ALWAYS}
STATUS_ITEMS = {
    CAPABILITIES: ALWAYS,
    DECLARATIONS: ALWAYS,
    APP_LIST: CONFIGURATIONS[APP_MANAGED],
    MDM_APP: Since((16,), None),
    "mdm.enrollment-type": Since((27,), (27,)),
    "mdm.is-awaiting-configuration": Since((27,), (27,)),
    "mdm.is-shared-ipad": Since((27,), None),
    "mdm.push-magic": Since((27,), (27,)),
    "mdm.push-token": Since((27,), (27,)),
}


def has_configuration(channel: Channel, declaration_type: str) -> bool:
    """Whether a channel can do something with configurations of this type."""
    since = CONFIGURATIONS.get(declaration_type)
    return since is not None and since.reaches(channel)


def has_status(channel: Channel, name: str) -> bool:
    """Whether a channel can tell this status item."""
    since = STATUS_ITEMS.get(name)
    return since is not None and since.reaches(channel)


def capabilities(channel: Channel) -> dict[str, Any]:
    """Tell what this channel can do: what a server should look at before it sends anything."""
    return {
        "supported-versions": ["1.0.0"],
        "supported-features": {},
        "supported-payloads": {
            "declarations": {
                "activations": [SIMPLE],
                "assets": [],
                "configurations": [name for name in CONFIGURATIONS if has_configuration(channel, name)],
                "management": [],
            },
            "status-items": [name for name in STATUS_ITEMS if has_status(channel, name)],
        },
    }
