"""What a device says of its apps, and how they go: lists, removal, validation.

Apple: `ManagedApplicationList`, `InstalledApplicationList`, `RemoveApplication`, `ValidateApplications`.
"""

from typing import Any

from local.simulators.devices.commands.reports import NOT_MANAGED, Report, acknowledged, error, malformed
from local.simulators.devices.commands.world import Arguments, World
from local.simulators.devices.content import App
from local.simulators.devices.model import Channel, Device

FIRST_TELLING_SOURCE, DECLARED = (17, 2), "Declarative Device Management"
FIRST_REMOVING_ANY = (26,)  # from here a supervised device lets unmanaged apps be removed too


def remove_application(channel: Channel, command: Arguments, world: World) -> Report:
    """Remove a managed app, or break off its install; any other is none of MDM's business before iOS 26."""
    identifier, device = command.get("Identifier"), channel.device
    if identifier is None:
        return malformed("Identifier is missing")
    app = device.apps.get(identifier)
    removes_any = (
        device.traits.supervised and not device.traits.is_mac and device.version >= FIRST_REMOVING_ANY
    )
    if device.is_declared(identifier):
        return error(NOT_MANAGED, "The app is managed by a declaration.")
    gone = app is None or app.status(world.now) in {"Failed", "UserRejected"}
    if gone or (app is not None and not app.managed and not removes_any):
        return error(NOT_MANAGED, "The app is not managed.")
    del device.apps[identifier]
    return acknowledged(Identifier=identifier)


def managed_application_list(channel: Channel, command: Arguments, world: World) -> Report:
    """List the managed apps of this channel with their status; a transient one is told once and then vanishes.

    Those under declarative management are told elsewhere.
    """
    declared = channel.device.is_declared
    apps = [
        app
        for app in _mine(channel)
        if app.managed and _wanted(app, command) and not declared(app.identifier)
    ]
    listed = {
        app.identifier: {
            "Status": app.status(world.now),
            "ManagementFlags": app.management_flags,
            "HasConfiguration": app.has_configuration,
            "HasFeedback": False,
            "IsValidated": True,
        }
        for app in apps
    }
    for app in apps:
        if not app.tell(world.now):
            del channel.device.apps[app.identifier]
    return acknowledged(ManagedApplicationList=listed)


def installed_application_list(channel: Channel, command: Arguments, world: World) -> Report:
    """List what is on the device, `Installing` true for what is still on its way."""
    items = command.get("Items")
    apps = [
        _item(channel.device, app, world)
        for app in channel.device.apps.values()
        if (app.is_there(world.now) or app.status(world.now) == "Installing")
        and _wanted(app, command)
        and (app.managed or not command.get("ManagedAppsOnly", False))
    ]
    if items is not None:
        apps = [{key: value for key, value in app.items() if key in items} for app in apps]
    return acknowledged(InstalledApplicationList=apps)


def validate_applications(channel: Channel, command: Arguments, world: World) -> Report:
    """Validate the provisioning profiles of in-house apps; in the box they are always good."""
    del channel, command, world
    return acknowledged()


def _item(device: Device, app: App, world: World) -> dict[str, Any]:
    tells_source = not device.traits.is_mac and device.version >= FIRST_TELLING_SOURCE
    source = {"Source": DECLARED} if tells_source and device.is_declared(app.identifier) else {}
    return {
        "Identifier": app.identifier,
        "Name": app.identifier.rpartition(".")[2],
        "Version": "1.0",
        "ShortVersion": "1.0",
        "Installing": app.status(world.now) == "Installing",
        "IsValidated": True,
        "HasUpdateAvailable": False,
        "AppStoreVendable": app.adam_id is not None,
        "DeviceBasedVPP": app.adam_id is not None and app.by_device_license,
        "BetaApp": False,
        "AdHocCodeSigned": False,
        **source,
    }


def _mine(channel: Channel) -> list[App]:
    """Answer the apps that came over this channel."""
    return [app for app in channel.device.apps.values() if app.user == channel.user]


def _wanted(app: App, command: Arguments) -> bool:
    identifiers = command.get("Identifiers")
    return identifiers is None or app.identifier in identifiers
