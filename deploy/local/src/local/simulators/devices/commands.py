"""What a device does with each MDM command, by Apple's command reference. Pure: time and license come in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.simulators.devices.model import App, Device, Kind
from local.simulators.devices.script import NEVER_NOT_NOW, Mischief

Report = dict[str, Any]
Arguments = dict[str, Any]
MDM_DOMAIN = "MCMDMErrorDomain"
STORE_DOMAIN = "ASDServerErrorDomain"
ARGUMENTS: dict[str, type] = {
    "Identifier": str,
    "Identifiers": list,
    "Items": list,
    "ManagementFlags": int,
    "Options": dict,
    "Queries": list,
    "iTunesStoreID": int,
}


@dataclass(frozen=True, slots=True)
class World:
    """What a command depends on beside the device: the time, the store and Apple's word on the license."""

    now: float
    install_seconds: float
    bundle_id: Callable[[int], str]
    licensed: bool = True


def perform(device: Device, command: Arguments, world: World) -> Report:
    """Do one `Command` dictionary and answer the report's own keys, `Status` among them."""
    request_type = command.get("RequestType")
    if not isinstance(request_type, str):
        return malformed("Command.RequestType is missing")
    for key, kind in ARGUMENTS.items():
        if key in command and not isinstance(command[key], kind):
            return malformed(f"{key} has the wrong type")
    if _is_bad_moment(device, request_type):
        return {"Status": "NotNow"}
    act = COMMANDS.get(request_type)
    if act is None:
        return error(MDM_DOMAIN, 12021, f"“{request_type}” is not a valid request type.")
    return act(device, command, world)


def _is_bad_moment(device: Device, request_type: str) -> bool:
    if device.script is None or (device.kind is Kind.IOS and request_type in NEVER_NOT_NOW):
        return False
    return device.script.refuses(request_type)


def malformed(why: str) -> Report:
    """Report a command that cannot be read."""
    chain = [{"ErrorCode": 12008, "ErrorDomain": MDM_DOMAIN, "LocalizedDescription": why}]
    return {"Status": "CommandFormatError", "ErrorChain": chain}


def error(domain: str, code: int, why: str, **fields: str) -> Report:
    """Report a command that failed."""
    link = {
        "ErrorCode": code,
        "ErrorDomain": domain,
        "LocalizedDescription": why,
        "USEnglishDescription": why,
    }
    return {"Status": "Error", "ErrorChain": [link], **fields}


def install_application(device: Device, command: Arguments, world: World) -> Report:
    """Install a store app with an assigned license.

    An iOS device asks the store first, so a missing license is an error of this command (9610). A Mac
    acknowledges after it checked the arguments; whatever happens later stands only in
    ManagedApplicationList, and only with `InstallAsManaged`.
    """
    if sum(key in command for key in ("iTunesStoreID", "Identifier", "ManifestURL")) != 1:
        return malformed("exactly one of iTunesStoreID, Identifier and ManifestURL")
    if "iTunesStoreID" not in command:
        return error(MDM_DOMAIN, 12023, "The app could not be validated in the App Store.")
    if command.get("Options", {}).get("PurchaseMethod") != 1:
        reason = "PurchaseMethodNotSupported"
        return error(MDM_DOMAIN, 12035, "The app cannot be purchased.", RejectionReason=reason)
    if device.kind is Kind.IOS and not world.licensed:
        return error(STORE_DOMAIN, 9610, "License not found.", State="Failed")
    app = _new_app(device, command, world)
    known = device.apps.get(app.identifier)
    if known is not None and known.ends_as is None:
        return _update(known, app, world)
    device.apps[app.identifier] = app
    state = "Queued" if device.kind is Kind.MAC else "Installing"
    return {"Status": "Acknowledged", "Identifier": app.identifier, "State": state}


def _new_app(device: Device, command: Arguments, world: World) -> App:
    adam_id = command["iTunesStoreID"]
    app = App(
        adam_id=adam_id,
        identifier=world.bundle_id(adam_id),
        ready_at=world.now + world.install_seconds,
        managed=device.kind is Kind.IOS or command.get("InstallAsManaged") is True,
        management_flags=command.get("ManagementFlags", 0),
    )
    if device.misbehaves(Mischief.REJECT_INSTALL):
        app.ends_as = "UserRejected"
    elif not world.licensed:
        app.ends_as = "Failed"
    return app


def _update(known: App, app: App, world: World) -> Report:
    """Meet an app that is there: the same command updates it if it is managed (or becomes so on a Mac)."""
    if not known.managed and not app.managed:
        return error(
            MDM_DOMAIN, 12025, "The app is already installed.", RejectionReason="AppAlreadyInstalled"
        )
    known.managed, known.management_flags = app.managed, app.management_flags
    return {"Status": "Acknowledged", "Identifier": known.identifier, "State": known.status(world.now)}


def remove_application(device: Device, command: Arguments, world: World) -> Report:
    """Remove a managed app; any other is none of MDM's business."""
    del world
    identifier = command.get("Identifier")
    if identifier is None:
        return malformed("Identifier is missing")
    app = device.apps.get(identifier)
    if app is None or not app.managed or app.ends_as is not None:
        return error(MDM_DOMAIN, 12038, "The app is not managed.")
    del device.apps[identifier]
    return {"Status": "Acknowledged", "Identifier": identifier}


def managed_application_list(device: Device, command: Arguments, world: World) -> Report:
    """List the managed apps with their status; a transient one is told once and then vanishes."""
    wanted = command.get("Identifiers")
    apps = [app for app in device.apps.values() if app.managed and _wanted(app, wanted)]
    listed = {
        app.identifier: {
            "Status": app.status(world.now),
            "ManagementFlags": app.management_flags,
            "HasConfiguration": False,
            "HasFeedback": False,
            "IsValidated": True,
        }
        for app in apps
    }
    for app in apps:
        if app.ends_as is not None:
            del device.apps[app.identifier]
    return {"Status": "Acknowledged", "ManagedApplicationList": listed}


def installed_application_list(device: Device, command: Arguments, world: World) -> Report:
    """List what is on the device, `Installing` true for what is still on its way."""
    wanted, items = command.get("Identifiers"), command.get("Items")
    apps = [
        _installed_item(app, world)
        for app in device.apps.values()
        if app.ends_as is None
        and _wanted(app, wanted)
        and (app.managed or not command.get("ManagedAppsOnly", False))
    ]
    if items is not None:
        apps = [{key: value for key, value in app.items() if key in items} for app in apps]
    return {"Status": "Acknowledged", "InstalledApplicationList": apps}


def _installed_item(app: App, world: World) -> dict[str, Any]:
    return {
        "Identifier": app.identifier,
        "Name": app.identifier.rpartition(".")[2],
        "Version": "1.0",
        "ShortVersion": "1.0",
        "Installing": app.status(world.now) == "Installing",
        "IsValidated": True,
        "HasUpdateAvailable": False,
        "AppStoreVendable": True,
        "DeviceBasedVPP": True,
        "BetaApp": False,
        "AdHocCodeSigned": False,
    }


def _wanted(app: App, identifiers: list[str] | None) -> bool:
    return identifiers is None or app.identifier in identifiers


def device_information(device: Device, command: Arguments, world: World) -> Report:
    """Answer the queries that this kind of device knows; the others are left out, as Apple does."""
    del world
    is_mac = device.kind is Kind.MAC
    known: dict[str, Any] = {
        "UDID": device.udid,
        "SerialNumber": device.serial,
        "DeviceName": f"{device.hardware.model_name} {device.serial}",
        "OSVersion": device.os_version,
        "BuildVersion": device.hardware.build_version,
        "ModelName": device.hardware.model_name,
        "Model": device.hardware.model,
        "ProductName": device.hardware.product_name,
        "IsSupervised": True,
        "IsMultiUser": False,
        "AwaitingConfiguration": False,
        "iTunesStoreAccountIsActive": False,
        "DeviceCapacity": 256.0,
        "AvailableDeviceCapacity": 200.0,
    }
    if is_mac:
        known |= {"IsAppleSilicon": True, "SupportsiOSAppInstalls": True}
    queries = command.get("Queries", [])
    answers = {query: known[query] for query in queries if query in known}
    return {"Status": "Acknowledged", "QueryResponses": answers}


COMMANDS: dict[str, Callable[[Device, Arguments, World], Report]] = {
    "DeviceInformation": device_information,
    "InstallApplication": install_application,
    "InstalledApplicationList": installed_application_list,
    "ManagedApplicationList": managed_application_list,
    "RemoveApplication": remove_application,
}
