"""Apple's words about apps, sorted by what they mean for a wish. Pure.

Apple: `InstallApplication` (State, RejectionReason), `ManagedApplicationList` (Status). Error codes are "explicitly
unstable" by Apple's own word: they are read as hints, and whatever is not listed here ends the wish with its cause.
"""

import re
from collections.abc import Iterable

from mdm_push.messages import DeviceError

MANAGED = "Managed"
INSTALLED = "Installed"  # before macOS 11 apps are not managed
INSTALLING = "Installing"
UNKNOWN = "Unknown"

THERE = frozenset({MANAGED, INSTALLED})

HOPELESS = frozenset(
    {
        "Failed",
        "ManagedButUninstalled",
        "ManagementRejected",
        "UpdateRejected",
        "UserInstalledApp",
        "UserRejected",
    }
)
"""Statuses after which the app does not become managed by waiting. Apple reports most of them only once."""

_ALREADY_THERE = frozenset({"AppAlreadyInstalled", "AppAlreadyQueued"})
_LICENSE_ON_ITS_WAY = frozenset({506, 9610, 12064})
_ALREADY_INSTALLED = 12025

LICENSE_NOT_FOUND = "license_not_found"
DEVICE_ERROR = "device_error"
COMMAND_FORMAT_ERROR = "command_format_error"
NOT_VERIFIED = "not_verified"


def already_there(rejection: str | None, errors: Iterable[DeviceError]) -> bool:
    """Say whether the device refused because it has, or is about to have, the app: the list will tell."""
    return rejection in _ALREADY_THERE or any(error.ErrorCode == _ALREADY_INSTALLED for error in errors)


def license_on_its_way(errors: Iterable[DeviceError]) -> bool:
    """Say whether the device asked Apple for the licence before Apple's stores knew of it (9610, 506, 12064)."""
    return any(error.ErrorCode in _LICENSE_ON_ITS_WAY for error in errors)


def slug(word: str) -> str:
    """Return a word of Apple's as a cause: `UserRejected` is `user_rejected`, `NotAnApp` is `not_an_app`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", word).lower()


CAUSES = frozenset(
    {
        "AppStoreDisabled",
        "CouldNotVerifyAppID",
        "ManagementChangeNotSupported",
        "NotAnApp",
        "NotSupported",
        "Other",
        "PurchaseMethodNotSupported",
        "PurchaseMethodNotSupportedInMultiUser",
    }
)
"""The RejectionReasons that end an install; a word Apple adds later is told as `device_error`."""


def rejection_cause(rejection: str) -> str:
    """Return the cause of an install that the device would not begin; never a text of the device's own."""
    return slug(rejection) if rejection in CAUSES else DEVICE_ERROR
