"""Installing an app: from the App Store with an assigned license, or the organization's own from its manifest.

Apple: `InstallApplication`, `InstallEnterpriseApplication`. An iOS device asks the store first, so a missing license is
an error of the command. A Mac acknowledges after it checked the arguments; whatever happens later stands only in
ManagedApplicationList, and only with `InstallAsManaged`.
"""

from typing import Any

from local.simulators.devices.commands.reports import (
    ALREADY_INSTALLED,
    ALREADY_QUEUED,
    BAD_MANIFEST,
    CANNOT_BE_PURCHASED,
    LICENSE_NOT_FOUND,
    NOT_VALIDATED,
    Report,
    acknowledged,
    error,
    license_error,
    malformed,
)
from local.simulators.devices.commands.world import Arguments, World
from local.simulators.devices.content import (
    FOREVER,
    INSTALLED,
    MANAGED,
    PROMPTING_FOR_LOGIN,
    UNINSTALLED,
    App,
    Journey,
    journey,
    settled,
)
from local.simulators.devices.kinds import Traits, Version
from local.simulators.devices.model import Channel, Device
from local.simulators.devices.script import Mischief

FIRST_MANAGED_MACOS = (11,)  # ManagementFlags, InstallAsManaged and Configuration begin with it
# From which iOS each attribute counts; macOS has none of them.
ATTRIBUTES: dict[str, Version] = {
    "VPNUUID": (7,),
    "AssociatedDomains": (13,),
    "AssociatedDomainsEnableDirectDownloads": (14,),
    "Removable": (14,),
    "ContentFilterUUID": (16,),
    "DNSProxyUUID": (16,),
    "TapToPayScreenLock": (16, 4),
    "CellularSliceUUID": (17,),
    "RelayUUID": (17,),
    "Hideable": (18, 1),
    "Lockable": (18, 1),
}


def install_application(channel: Channel, command: Arguments, world: World) -> Report:
    """Install by `iTunesStoreID` with a license, or by `ManifestURL`."""
    if sum(key in command for key in ("iTunesStoreID", "Identifier", "ManifestURL")) != 1:
        return malformed("exactly one of iTunesStoreID, Identifier and ManifestURL")
    refused = _unsupported(channel.device, command)
    if refused is not None:
        return refused
    if "ManifestURL" in command:
        return install_package(channel, command, world)
    if "iTunesStoreID" not in command:
        return error(NOT_VALIDATED, "The app could not be validated in the App Store.")
    if command.get("Options", {}).get("PurchaseMethod") != 1:
        reason = "PurchaseMethodNotSupported" + ("InMultiUser" if channel.device.traits.shared else "")
        return _rejected(channel.device.traits, CANNOT_BE_PURCHASED, "The app cannot be purchased.", reason)
    return _install_licensed(channel, command, world)


def install_package(channel: Channel, command: Arguments, world: World) -> Report:
    """Install what a manifest promises; the package was fetched, and its checksums were looked at."""
    package = world.package
    if package is None or package.identifier is None or package.fault is not None:
        why = "no manifest" if package is None else str(package.fault)
        return error(BAD_MANIFEST, f"The app's manifest could not be validated: {why}.")
    return _begin(channel, _app(channel, command, package.identifier), command, world)


def _unsupported(device: Device, command: Arguments) -> Report | None:
    """Refuse what this way of enrollment does not allow."""
    traits = device.traits
    if traits.personal and traits.is_mac and "ManagementFlags" in command:
        return _rejected(traits, CANNOT_BE_PURCHASED, "ManagementFlags are not allowed.", "NotSupported")
    if "ChangeManagementState" in command and (traits.personal or traits.account_driven):
        reason = "ManagementChangeNotSupported"
        return _rejected(traits, ALREADY_INSTALLED, "Management cannot be changed.", reason)
    return None


def _install_licensed(channel: Channel, command: Arguments, world: World) -> Report:
    license_, device = world.license, channel.device
    app = _app(channel, command, world.settings.bundle_id(command["iTunesStoreID"]))
    if license_ is not None and license_.held_seconds >= world.settings.license_lag_seconds:
        app.by_device_license = license_.of_device
        return _begin(channel, app, command, world)
    if device.traits.is_mac:
        return _begin(channel, app, command, world, end="Failed")
    if license_ is None and _would_sign_in(channel):
        return _begin(channel, app, command, world, end=PROMPTING_FOR_LOGIN)
    return license_error(LICENSE_NOT_FOUND if license_ is None else _lag_error(channel, world))


def _would_sign_in(channel: Channel) -> bool:
    """Whether the device asks its user for an Apple Account before it gives up: one that asks, and has none."""
    traits = channel.device.traits
    return not (traits.supervised or traits.personal) and channel.account is None


def _lag_error(channel: Channel, world: World) -> int:
    errors = world.settings.license_lag_errors
    channel.device.draws += 1
    return errors[int(world.dice.number("lag", channel.device.serial, channel.device.draws) * len(errors))]


def _begin(channel: Channel, app: App, command: Arguments, world: World, *, end: str = MANAGED) -> Report:
    """Set out, unless the app is there or on its way."""
    device = channel.device
    if device.is_declared(app.identifier):
        why = "The app is managed by a declaration."
        return _rejected(device.traits, ALREADY_INSTALLED, why, "Other")
    known = device.apps.get(app.identifier)
    if known is not None and known.status(world.now) != UNINSTALLED:
        if known.is_there(world.now):
            return _meet(channel, known, app, command, world)
        if not device.traits.is_mac and known.status(world.now) not in {"Failed", "UserRejected"}:
            why = "The app is already scheduled for management."
            return _rejected(device.traits, ALREADY_QUEUED, why, "AppAlreadyQueued")
    app.journey = _way(channel, world, end)
    device.apps[app.identifier] = app
    state = "Queued" if device.traits.is_mac else app.journey[0][0]
    return acknowledged(Identifier=app.identifier, State=state)


def _way(channel: Channel, world: World, end: str) -> Journey:
    """Draw the stages of an install, and how it ends."""
    knobs, device = world.settings, channel.device
    queued = ("Queued", knobs.queued_seconds)
    asked = not device.traits.supervised and not device.traits.is_mac
    prompting = ("Prompting", knobs.prompt_seconds if asked else 0.0)
    if device.misbehaves(Mischief.REJECT_INSTALL) or (
        asked and world.happens(knobs.rejection_rate, channel, "reject")
    ):
        return journey(world.now, queued, prompting, end="UserRejected")
    if end == PROMPTING_FOR_LOGIN:
        return journey(world.now, queued, prompting, (end, FOREVER), end="Failed")
    return journey(world.now, queued, prompting, *rest_of_way(world), end=_end(channel, world, end))


def rest_of_way(world: World) -> tuple[tuple[str, float], tuple[str, float]]:
    """Answer the stages after the user's part."""
    knobs = world.settings
    return ("ValidatingPurchase", knobs.validating_seconds), ("Installing", knobs.install_seconds)


def _end(channel: Channel, world: World, end: str) -> str:
    breaks = channel.device.misbehaves(Mischief.FAIL_INSTALL) or world.happens(
        world.settings.failure_rate, channel, "break"
    )
    return "Failed" if breaks else end


def _meet(channel: Channel, known: App, app: App, command: Arguments, world: World) -> Report:
    """Meet an app that is there: update it if it is managed, manage it if that is asked for and allowed."""
    device, before = channel.device, known.status(world.now)
    if not known.managed and not device.traits.is_mac:
        if command.get("ChangeManagementState") != MANAGED:
            why, reason = "The app is already installed.", "AppAlreadyInstalled"
            return _rejected(device.traits, ALREADY_INSTALLED, why, reason)
        known.journey = _takeover(channel, world)
    elif not known.managed and not app.managed:
        return _rejected(device.traits, ALREADY_INSTALLED, "The app is already installed.", "Other")
    elif before in {MANAGED, INSTALLED}:
        known.journey = _update(channel, world)
    known.managed, known.management_flags = app.managed, app.management_flags
    known.attributes, known.has_configuration = app.attributes, app.has_configuration
    return acknowledged(Identifier=known.identifier, State=known.journey[0][0])


def _takeover(channel: Channel, world: World) -> Journey:
    """Ask the user whether an app of their own may be managed; a supervised device does not ask."""
    prompting = ("PromptingForManagement", world.settings.prompt_seconds)
    if channel.device.misbehaves(Mischief.REJECT_MANAGEMENT):
        return journey(world.now, prompting, end="ManagementRejected")
    return (
        settled(MANAGED) if channel.device.traits.supervised else journey(world.now, prompting, end=MANAGED)
    )


def _update(channel: Channel, world: World) -> Journey:
    """Bring the newest version; where updates take no time it is there already."""
    knobs, device = world.settings, channel.device
    prompting = ("PromptingForUpdate", knobs.prompt_seconds)
    if device.misbehaves(Mischief.REJECT_UPDATE):
        return journey(world.now, prompting, end="UpdateRejected")
    if not knobs.update_seconds:
        return settled(MANAGED)
    asked = [] if device.traits.supervised or device.traits.is_mac else [prompting]
    validating = ("ValidatingUpdate", knobs.validating_seconds)
    return journey(world.now, *asked, validating, ("Updating", knobs.update_seconds), end=MANAGED)


def _app(channel: Channel, command: Arguments, identifier: str) -> App:
    """Make the app of a command, as far as this OS heeds what the command says."""
    device = channel.device
    modern = not device.traits.is_mac or device.version >= FIRST_MANAGED_MACOS
    said: dict[str, Any] = command if modern else {}
    return App(
        adam_id=command.get("iTunesStoreID"),
        identifier=identifier,
        journey=(),
        managed=not device.traits.is_mac or said.get("InstallAsManaged") is True,
        management_flags=said.get("ManagementFlags", 0),
        attributes=_attributes(device, said),
        has_configuration="Configuration" in said,
        user=channel.user,
    )


def _attributes(device: Device, command: Arguments) -> dict[str, object]:
    """Answer the attributes that this OS heeds; the others are passed over in silence, as devices do."""
    if device.traits.is_mac:
        return {}
    given = command.get("Attributes", {})
    return {
        key: value for key, value in given.items() if key in ATTRIBUTES and device.version >= ATTRIBUTES[key]
    }


def _rejected(traits: Traits, code: int, why: str, reason: str) -> Report:
    """Report an error with its RejectionReason; macOS knows none but `Other`."""
    return error(code, why, RejectionReason="Other" if traits.is_mac else reason)
