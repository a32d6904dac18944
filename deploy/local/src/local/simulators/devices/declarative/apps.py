"""What becomes of an app that an `app.managed` configuration wants, from queued to managed or failed. Pure.

Apple: `com.apple.configuration.app.managed`, `app.managed.list`.
"""

from dataclasses import dataclass
from typing import Self

from local.simulators.devices.commands.world import World
from local.simulators.devices.content import (
    FOREVER,
    MANAGED,
    PROMPTING_FOR_LOGIN,
    App,
    Journey,
    journey,
    settled,
)
from local.simulators.devices.declarative.held import (
    NOT_PRESENT,
    OPTIONAL,
    Declaration,
    DeclaredApp,
    Payload,
)
from local.simulators.devices.declarative.judging import license_assignment
from local.simulators.devices.model import Channel
from local.simulators.devices.script import Mischief
from local.simulators.devices.settings import FleetSettings

REMOVED_WITH_PROFILE = 1
DUPLICATE = "Error.DuplicateConfiguredApp"


@dataclass(frozen=True, slots=True)
class Wish:
    """A payload of `app.managed`, read. `identifier` None: the manifest tells it; `adam_id` None: not of the store."""

    adam_id: int | None
    identifier: str | None
    manifest_url: str | None
    assignment: str | None
    composed: bool
    optional: bool
    external_version: int | None
    attributes: Payload

    @classmethod
    def of(cls, payload: Payload, settings: FleetSettings) -> Self:
        """Read a payload that was judged to be valid."""
        composed, bundle_id = payload.get("AppComposedIdentifier"), payload.get("BundleID")
        adam_id = int(payload["AppStoreID"]) if "AppStoreID" in payload else None
        if adam_id is not None:
            bundle_id = settings.bundle_id(adam_id)
        elif bundle_id is not None:
            adam_id = settings.adam_id(bundle_id)
        elif composed is not None:
            bundle_id = composed.partition(" ")[0]
        behavior = payload.get("InstallBehavior", {})
        return cls(
            adam_id=adam_id,
            identifier=bundle_id,
            manifest_url=payload.get("ManifestURL"),
            assignment=license_assignment(payload),
            composed=composed is not None,
            optional=behavior.get("Install") != "Required",
            external_version=behavior.get("Version"),
            attributes=payload.get("Attributes", {}),
        )


def waits_no_more(channel: Channel, entry: DeclaredApp, *, now: float) -> bool:
    """Whether what held the app up is over: picked, signed in, there at last, or wanted by nobody else any more."""
    known = channel.device.apps.get(entry.app.identifier)
    match entry.app.status(now):
        case "Optional":
            return entry.picked
        case "NotPresent":
            return known is not None and known.is_there(now)
        case "PromptingForLogin":
            return channel.account is not None
        case _:
            return entry.failure == DUPLICATE and not is_declared_elsewhere(channel, entry)


def is_declared_elsewhere(channel: Channel, entry: DeclaredApp) -> bool:
    """Whether another configuration manages the same app, on whichever channel."""
    return any(
        other is not entry and other.registered and other.app.identifier == entry.app.identifier
        for each in channel.device.channels
        if each.declarations is not None
        for other in each.declarations.apps.values()
    )


def begin(
    channel: Channel, configuration: Declaration, wish: Wish, world: World, *, picked: bool
) -> DeclaredApp:
    """Set out for an app: take over what is there, else install it. A license must be there before."""
    package = world.package
    identifier = wish.identifier or (package and package.identifier) or configuration.identifier
    app = App(wish.adam_id, identifier, settled(OPTIONAL), managed=True, user=channel.user)
    app.attributes = wish.attributes
    app.management_flags = 0 if wish.composed else REMOVED_WITH_PROFILE
    app.by_device_license = wish.assignment != "User"
    entry = DeclaredApp(configuration.identifier, configuration.server_token, app)
    entry.optional, entry.picked, entry.composed = wish.optional, picked, wish.composed
    entry.external_version = wish.external_version
    if is_declared_elsewhere(channel, entry):
        _fail(entry, DUPLICATE)
        return entry
    known = channel.device.apps.get(identifier)
    if known is not None and known.is_there(world.now) and (known.managed or not wish.optional or picked):
        _take_over(channel, entry, known, world)
    elif not wish.optional or picked:
        _install(channel, entry, wish, world)
    return entry


def check_update(channel: Channel, entry: DeclaredApp, world: World) -> None:
    """Look for an update, as a changed ServerToken asks for; there is one where updates take time."""
    knobs, device = world.settings, channel.device
    prompting = ("PromptingForUpdate", 0.0 if device.traits.supervised else knobs.prompt_seconds)
    if device.misbehaves(Mischief.REJECT_UPDATE):
        entry.update = journey(world.now, prompting, end="Failed")
    elif knobs.update_seconds:
        entry.update = journey(world.now, prompting, ("Updating", knobs.update_seconds), end="")
    else:
        entry.update = ()


def withdraw(channel: Channel, entry: DeclaredApp) -> None:
    """Remove the app of a configuration that is gone; one that came some other way stays, and nobody manages it."""
    if not entry.registered:
        return
    entry.registered = False
    if entry.composed:
        entry.app.managed = False
    else:
        channel.device.apps.pop(entry.app.identifier, None)


def _take_over(channel: Channel, entry: DeclaredApp, known: App, world: World) -> None:
    """Manage an app that is there: nothing is reinstalled. Users are asked for apps of their own."""
    device = channel.device
    managed_by_command, asked = known.managed, not device.traits.supervised
    if not managed_by_command and device.traits.account_driven and not entry.composed:
        _fail(entry, "Error.UnmanagedAppAlreadyInstalled")
        return
    if not managed_by_command and device.misbehaves(Mischief.REJECT_MANAGEMENT):
        prompting = ("PromptingForManagement", world.settings.prompt_seconds if asked else 0.0)
        _fail(entry, "Error.UserRejected", journey(world.now, prompting, end="Failed"))
        return
    known.managed, known.management_flags = True, entry.app.management_flags
    known.attributes, known.user = entry.app.attributes, channel.user
    prompting = ("PromptingForManagement", world.settings.prompt_seconds)
    known.journey = (
        journey(world.now, prompting, end=MANAGED) if asked and not managed_by_command else settled(MANAGED)
    )
    entry.app, entry.registered = known, True


def _install(channel: Channel, entry: DeclaredApp, wish: Wish, world: World) -> None:
    """Install an app that is not there, unless something stands against it before it begins."""
    if wish.composed:
        entry.app.journey = settled(NOT_PRESENT)
        return
    failure = _hindrance(channel, wish, world)
    if failure is not None:
        _fail(entry, failure)
        return
    entry.app.journey, entry.failure = _way(channel, wish, world)
    entry.registered = True
    channel.device.apps[entry.app.identifier] = entry.app


def _hindrance(channel: Channel, wish: Wish, world: World) -> str | None:
    """Answer the code of what is known to be wrong before anything is queued."""
    if wish.manifest_url is not None:
        package = world.package
        broken = package is None or package.identifier is None or package.fault is not None
        return "Error.DownloadFailed" if broken else None
    if wish.adam_id is None:
        return "Error.InvalidAppID"
    if wish.assignment == "User" and channel.device.traits.shared:
        return "Error.NotSupported"
    if _asks_for_login(channel, wish):
        return None
    license_ = world.license
    if license_ is None or license_.held_seconds < world.settings.license_lag_seconds:
        return "Error.LicenseNotFound"
    return None


def _asks_for_login(channel: Channel, wish: Wish) -> bool:
    """Whether the device asks its user for an Apple Account first, as for an install by command."""
    of_user = wish.manifest_url is None and wish.assignment == "User"
    return of_user and not channel.device.traits.supervised and channel.account is None


def _way(channel: Channel, wish: Wish, world: World) -> tuple[Journey, str | None]:
    """Draw the stages of an install, and the code that goes with a bad end."""
    knobs, device = world.settings, channel.device
    asked = not device.traits.supervised
    queued = ("Queued", knobs.queued_seconds)
    consent = ("PromptingForConsent", knobs.prompt_seconds if asked else 0.0)
    downloading = ("Downloading", knobs.download_seconds)
    if device.misbehaves(Mischief.REJECT_INSTALL) or (
        asked and world.happens(knobs.rejection_rate, channel, "reject")
    ):
        return journey(world.now, queued, consent, end="Failed"), "Error.UserRejected"
    if _asks_for_login(channel, wish):
        return journey(world.now, queued, consent, (PROMPTING_FOR_LOGIN, FOREVER), end="Failed"), None
    if device.misbehaves(Mischief.FAIL_INSTALL) or world.happens(knobs.failure_rate, channel, "break"):
        return journey(world.now, queued, consent, downloading, end="Failed"), "Error.DownloadFailed"
    installing = ("Installing", knobs.install_seconds)
    return journey(world.now, queued, consent, downloading, installing, end=MANAGED), None


def _fail(entry: DeclaredApp, code: str, way: Journey | None = None) -> None:
    entry.app.journey, entry.failure = way or settled("Failed"), code
