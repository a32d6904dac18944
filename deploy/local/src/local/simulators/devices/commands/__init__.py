"""What a device does with each MDM command, by Apple's command reference. Pure: time, dice and license come in."""

from local.simulators.devices.commands.apps import (
    installed_application_list,
    managed_application_list,
    remove_application,
    validate_applications,
)
from local.simulators.devices.commands.availability import refusal
from local.simulators.devices.commands.declarative import declarative_management
from local.simulators.devices.commands.facts import device_information
from local.simulators.devices.commands.install import install_application, install_package
from local.simulators.devices.commands.media import install_media, managed_media_list, remove_media
from local.simulators.devices.commands.moments import is_bad_moment
from local.simulators.devices.commands.others import (
    device_configured,
    invite_to_program,
    profile_list,
    settings,
)
from local.simulators.devices.commands.reports import Report, malformed
from local.simulators.devices.commands.world import Act, Arguments, World
from local.simulators.devices.model import Channel

TYPES: dict[str, type | tuple[type, ...]] = {
    "Attributes": dict,
    "Configuration": dict,
    "Data": bytes,
    "Identifier": str,
    "Identifiers": list,
    "InvitationURL": str,
    "Items": list,
    "ManagementFlags": int,
    "Manifest": dict,
    "ManifestURL": str,
    "MediaURL": str,
    "Options": dict,
    "PersistentID": str,
    "Queries": list,
    "iTunesStoreID": int,
}


def perform(channel: Channel, command: Arguments, world: World) -> Report:
    """Do one `Command` dictionary and answer the report's own keys, `Status` among them."""
    request_type = command.get("RequestType")
    if not isinstance(request_type, str):
        return malformed("Command.RequestType is missing")
    for key, kind in TYPES.items():
        if key in command and not isinstance(command[key], _type_of(request_type, key, kind)):
            return malformed(f"{key} has the wrong type")
    refused = refusal(channel, request_type, rights=world.settings.access_rights)
    if refused is not None:
        return refused
    if is_bad_moment(channel, request_type, world):
        return {"Status": "NotNow"}
    return COMMANDS[request_type](channel, command, world)


def _type_of(request_type: str, key: str, kind: type | tuple[type, ...]) -> type | tuple[type, ...]:
    """Answer the type of an argument; RemoveMedia alone wants the store id as a string (Apple: `RemoveMedia`)."""
    return str if (request_type, key) == ("RemoveMedia", "iTunesStoreID") else kind


COMMANDS: dict[str, Act] = {
    "DeclarativeManagement": declarative_management,
    "DeviceConfigured": device_configured,
    "DeviceInformation": device_information,
    "InstallApplication": install_application,
    "InstallEnterpriseApplication": install_package,
    "InstallMedia": install_media,
    "InstalledApplicationList": installed_application_list,
    "InviteToProgram": invite_to_program,
    "ManagedApplicationList": managed_application_list,
    "ManagedMediaList": managed_media_list,
    "ProfileList": profile_list,
    "RemoveApplication": remove_application,
    "RemoveMedia": remove_media,
    "Settings": settings,
    "ValidateApplications": validate_applications,
}
__all__ = ["Report", "World", "perform"]
