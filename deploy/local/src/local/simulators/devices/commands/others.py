"""Commands about neither content nor facts: invitations, the end of Setup Assistant, profiles and settings."""

from urllib.parse import urlsplit

from local.simulators.devices.commands.reports import Report, acknowledged, malformed
from local.simulators.devices.commands.world import Arguments, World
from local.simulators.devices.model import Channel

PROGRAM = "com.apple.cloudvpp"


def invite_to_program(channel: Channel, command: Arguments, world: World) -> Report:
    """Show an invitation to whoever is there; whether they follow it, the device does not tell.

    Apple: `InviteToProgram`.
    """
    del world
    link = command.get("InvitationURL")
    if command.get("ProgramID") != PROGRAM:
        return acknowledged(InvitationResult="InvalidProgramID")
    if not isinstance(link, str) or urlsplit(link).scheme != "https":
        return acknowledged(InvitationResult="InvalidInvitationURL")
    if link not in channel.invitations:
        channel.invitations = (*channel.invitations, link)
    return acknowledged(InvitationResult="Acknowledged")


def device_configured(channel: Channel, command: Arguments, world: World) -> Report:
    """Leave Setup Assistant; a TokenUpdate tells it afterwards."""
    del command, world
    channel.device.owes_token_update = channel.device.awaits_configuration
    channel.device.awaits_configuration = False
    return acknowledged()


def profile_list(channel: Channel, command: Arguments, world: World) -> Report:
    """List the one profile that is there: the enrollment's."""
    del channel, command
    topic = world.settings.topic
    payload = {"PayloadType": "com.apple.mdm", "PayloadIdentifier": topic, "PayloadVersion": 1}
    profile = {"PayloadIdentifier": topic, "PayloadDisplayName": "Enrollment", "PayloadContent": [payload]}
    return acknowledged(ProfileList=[profile])


def settings(channel: Channel, command: Arguments, world: World) -> Report:
    """Take every setting."""
    del world, channel
    items = command.get("Settings")
    if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
        return malformed("Settings is missing")
    return acknowledged(Settings=[{"Item": each.get("Item"), "Status": "Acknowledged"} for each in items])
