"""The table "event heard -> handler": what this service follows on the bus."""

from functools import partial

from assignment.handlers.apple_users import apple_user_told
from assignment.handlers.assets import asset_told
from assignment.handlers.devices import device_gone, device_told
from assignment.handlers.facts import Patience
from assignment.handlers.hearing import delivery_told, license_told
from shared.events import Event
from shared.events.licensing import (
    AppleUserAssociated,
    AppleUserRetired,
    AssetChanged,
    LicenseAssigned,
    LicenseFailed,
    LicenseRefused,
    LicenseReleased,
    LicenseReserved,
    LicenseWaitlisted,
)
from shared.events.mdm_push import (
    DeviceEnrolled,
    DeviceUnenrolled,
    DeviceUpdated,
    InstallCompleted,
    InstallFailed,
    RemovalCompleted,
    RemovalFailed,
)
from shared.handling import Handler


def hears(patience: Patience) -> dict[type[Event], Handler]:
    """Return who handles what; invitations are not followed: what they come to licensing tells."""
    of_licensing = partial(license_told, patience=patience)
    of_devices = partial(delivery_told, patience=patience)
    return {
        AssetChanged: asset_told,
        DeviceEnrolled: device_told,
        DeviceUpdated: device_told,
        DeviceUnenrolled: device_gone,
        LicenseReserved: of_licensing,
        LicenseWaitlisted: of_licensing,
        LicenseRefused: of_licensing,
        LicenseAssigned: of_licensing,
        LicenseReleased: of_licensing,
        LicenseFailed: of_licensing,
        AppleUserAssociated: apple_user_told,
        AppleUserRetired: apple_user_told,
        InstallCompleted: of_devices,
        InstallFailed: of_devices,
        RemovalCompleted: of_devices,
        RemovalFailed: of_devices,
    }
