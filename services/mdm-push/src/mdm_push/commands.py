"""The commands that devices fetch, as Apple's property lists. Pure."""

import plistlib
from collections.abc import Mapping
from typing import Any

from mdm_push.model import Enrollment, Handout
from shared.events.words import Platform

INSTALL_APPLICATION = "InstallApplication"
REMOVE_APPLICATION = "RemoveApplication"
MANAGED_APPLICATION_LIST = "ManagedApplicationList"
INSTALLED_APPLICATION_LIST = "InstalledApplicationList"
DEVICE_INFORMATION = "DeviceInformation"
DEVICE_CONFIGURED = "DeviceConfigured"  # lets a device out of Setup Assistant

_LICENSE_ASSIGNMENT = 1  # Options.PurchaseMethod: the app is licensed to this device or its user
_REMOVE_WITH_PROFILE = 1  # ManagementFlags: the app goes when the profile goes
_FIRST_MANAGED_MACOS = 11

ONE_IS_ENOUGH = frozenset({MANAGED_APPLICATION_LIST, INSTALLED_APPLICATION_LIST, DEVICE_INFORMATION})
"""Questions: one in the queue answers for everybody who asked."""

QUERIES = (
    "BuildVersion",
    "IsMultiUser",
    "IsSupervised",
    "Model",
    "ModelName",
    "OSVersion",
    "ProductName",
    "SerialNumber",
)
"""What DeviceInformation asks: what decides how content may reach the device, no names."""


def install_application(enrollment: Enrollment, adam_id: str) -> dict[str, Any]:
    """Return the arguments of InstallApplication for a licensed App Store app (Apple: `InstallApplication`)."""
    arguments: dict[str, Any] = {
        "iTunesStoreID": int(adam_id),
        "Options": {"PurchaseMethod": _LICENSE_ASSIGNMENT},
    }
    if manages_apps(enrollment):
        arguments["ManagementFlags"] = _REMOVE_WITH_PROFILE
        if enrollment.platform is Platform.MACOS:
            arguments["InstallAsManaged"] = True
    return arguments


def application_list(enrollment: Enrollment) -> str:
    """Return the command whose answer proves an install: where nothing is managed, what is installed has to do."""
    return MANAGED_APPLICATION_LIST if manages_apps(enrollment) else INSTALLED_APPLICATION_LIST


def manages_apps(enrollment: Enrollment) -> bool:
    """Say whether this OS has managed apps, to be listed and removed: all but macOS before 11."""
    return enrollment.platform is not Platform.MACOS or enrollment.os_major >= _FIRST_MANAGED_MACOS


def remove_application(identifier: str) -> dict[str, Any]:
    """Return the arguments of RemoveApplication; `identifier` is the bundle id."""
    return {"Identifier": identifier}


def device_information() -> dict[str, Any]:
    """Return the arguments of DeviceInformation."""
    return {"Queries": list(QUERIES)}


def render(command: Handout) -> bytes:
    """Return the XML property list that a device gets: `CommandUUID` and `Command`, nothing else."""
    return _plist(
        {
            "CommandUUID": str(command.id),
            "Command": {"RequestType": command.request_type, **command.arguments},
        }
    )


def bootstrap_token(token: bytes) -> bytes:
    """Return the answer to GetBootstrapToken."""
    return _plist({"BootstrapToken": token})


def _plist(content: Mapping[str, Any]) -> bytes:
    return plistlib.dumps(dict(content), sort_keys=False)
