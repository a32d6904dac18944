"""What a device tells of itself, each kind with its gaps.

Apple: `DeviceInformation`; queries that a device does not know, or may not answer, are left out.
"""

import hashlib
from typing import Any

from local.simulators.devices.commands.availability import APP_MANAGEMENT
from local.simulators.devices.commands.reports import Report, acknowledged
from local.simulators.devices.commands.world import Arguments, World
from local.simulators.devices.kinds import Version
from local.simulators.devices.model import Channel

# From which version a query is known, where not always: iOS, macOS; None where it never is.
SINCE: dict[str, tuple[Version | None, Version | None]] = {
    "ActiveManagedUsers": (None, (10, 11)),
    "AwaitingConfiguration": ((9,), (10, 11)),
    "IsAppleSilicon": (None, (12,)),
    "IsMultiUser": ((9, 3), None),
    "IsSupervised": ((6,), (10, 15)),
    "SupportsiOSAppInstalls": (None, (11,)),
    "iTunesStoreAccountHash": ((8,), (10, 10)),
    "iTunesStoreAccountIsActive": ((7,), (10, 9)),
}
NEVER_ON_PERSONAL = frozenset(
    {
        "ActiveManagedUsers",
        "AwaitingConfiguration",
        "SerialNumber",
        "UDID",
        "iTunesStoreAccountHash",
        "iTunesStoreAccountIsActive",
    }
)
OF_USER_CHANNELS = "PushToken"


def device_information(channel: Channel, command: Arguments, world: World) -> Report:
    """Answer the queries that this kind of device knows."""
    known = _facts(channel)
    rights = world.settings.access_rights
    answers = {
        query: known[query]
        for query in command.get("Queries", [])
        if query in known and _may_answer(channel, query, rights=rights)
    }
    return acknowledged(QueryResponses=answers)


def account_hash(account: str) -> str:
    """Stand for an Apple Account without naming it: the `idHash` that the simulated Apple tells of its user."""
    return hashlib.sha256(f"apple account {account.lower()}".encode()).hexdigest()[:28]


def _may_answer(channel: Channel, query: str, *, rights: int) -> bool:
    device, traits = channel.device, channel.device.traits
    if traits.personal and query in NEVER_ON_PERSONAL:
        return False
    if query == OF_USER_CHANNELS and channel.user is None:
        return False
    if query.startswith("iTunesStoreAccount") and not (traits.personal or rights & APP_MANAGEMENT):
        return False
    since = SINCE.get(query, ((), ()))[traits.is_mac]
    return since is not None and device.version >= since


def _facts(channel: Channel) -> dict[str, Any]:
    device, hardware = channel.device, channel.device.hardware
    facts: dict[str, Any] = {
        "UDID": device.udid,
        "SerialNumber": device.serial,
        "DeviceName": device.title,
        "OSVersion": device.os_version,
        "BuildVersion": hardware.build_version,
        "ModelName": hardware.model_name,
        "Model": hardware.model,
        "ProductName": hardware.product_name,
        "IsSupervised": device.traits.supervised,
        "IsMultiUser": device.traits.shared,
        "IsAppleSilicon": True,
        "SupportsiOSAppInstalls": True,
        "AwaitingConfiguration": device.awaits_configuration,
        "iTunesStoreAccountIsActive": channel.account is not None,
        "DeviceCapacity": 256.0,
        "AvailableDeviceCapacity": 200.0,
        "PushToken": channel.token,
        "ActiveManagedUsers": [user.user_id for user in device.users.values() if user.present],
    }
    if channel.account is not None:
        facts["iTunesStoreAccountHash"] = account_hash(channel.account)
    return facts
