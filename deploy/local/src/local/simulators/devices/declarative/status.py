"""What a channel tells its server unasked: status items as they stand, and reports of what changed in them. Pure.

Apple: `StatusReport`, `StatusManagementDeclarations`, `StatusAppManagedList`, `StatusMDMApp`.
"""

import base64
import math
import re
from dataclasses import dataclass
from typing import Any

from local.simulators.devices.content import App
from local.simulators.devices.declarative.capabilities import (
    APP_LIST,
    CAPABILITIES,
    DECLARATIONS,
    MDM_APP,
    UNASKED,
    capabilities,
    has_status,
)
from local.simulators.devices.declarative.held import (
    DeclarationKind,
    Declarations,
    DeclaredApp,
    reason,
)
from local.simulators.devices.model import Channel

VERSION = "1.0"  # of every app in the box
DESCRIPTIONS = {
    "Error.DownloadFailed": "The app download failed.",
    "Error.DuplicateConfiguredApp": "The app is already being managed.",
    "Error.InvalidAppID": "The app id could not be found.",
    "Error.LicenseNotFound": "A license for the app was not available.",
    "Error.NotSupported": "The app is not supported on this device.",
    "Error.UnmanagedAppAlreadyInstalled": "An unmanaged app is already installed and cannot be managed.",
    "Error.UpdateFailed": "The app update failed.",
    "Error.UserRejected": "The user rejected management of the app.",
}


@dataclass(frozen=True, slots=True)
class StatusReport:
    """One report, and what the server knows once it took it."""

    body: dict[str, Any]
    items: dict[str, Any]
    errors: frozenset[str]


def report(channel: Channel, declarations: Declarations, *, now: float) -> StatusReport | None:
    """Make the report that is due: everything about once a day, else what changed; None where nothing did."""
    full = now >= declarations.full_report_at
    items = _items(channel, declarations, now=now)
    errors = frozenset(name for name in declarations.subscriptions if not has_status(channel, name))
    changed = items if full else _changes(declarations.told, items)
    news = errors if full else errors - declarations.told_errors
    if not (full or changed or news):
        return None
    body: dict[str, Any] = {"StatusItems": {}, "Errors": [{"StatusItem": name} for name in sorted(news)]}
    for name, value in changed.items():
        _put(body["StatusItems"], name, value)
    return StatusReport(body | ({"FullReport": True} if full else {}), items, errors)


def next_change(channel: Channel, declarations: Declarations, *, now: float) -> float:
    """Answer when there will be something to tell, in seconds since 1970."""
    ways = [way for entry in declarations.apps.values() for way in (entry.app.journey, entry.update)]
    if MDM_APP in declarations.subscriptions:
        ways += [app.journey for app in channel.device.apps.values()]
    ends = [ends_at for way in ways for _, ends_at in way if now < ends_at < math.inf]
    return min([declarations.full_report_at, *ends])


def _items(channel: Channel, declarations: Declarations, *, now: float) -> dict[str, Any]:
    """Answer the status items that this channel tells, as they stand."""
    device, traits = channel.device, channel.device.traits
    enrolled_as = "user" if traits.personal else "supervised" if traits.supervised else "device"
    known: dict[str, Any] = {
        CAPABILITIES: capabilities(channel),
        DECLARATIONS: _declarations(declarations),
        APP_LIST: _app_list(declarations, now=now),
        MDM_APP: [_mdm_app(app, now=now) for app in device.apps.values() if _is_mdm_app(channel, app)],
        "mdm.enrollment-type": enrolled_as,
        "mdm.is-awaiting-configuration": device.awaits_configuration,
        "mdm.is-shared-ipad": traits.shared,
        "mdm.push-magic": channel.magic,
        "mdm.push-token": base64.b64encode(channel.token or b"").decode(),
    }
    names = [*UNASKED, *sorted(declarations.subscriptions - set(UNASKED))]
    return {name: known[name] for name in names if has_status(channel, name)}


def _changes(told: dict[str, Any], items: dict[str, Any]) -> dict[str, Any]:
    """Answer what changed: of arrays the items that did, `_removed` for those that are gone."""
    changed = {}
    for name, value in items.items():
        if name not in told or not isinstance(value, list):
            if name not in told or told[name] != value:
                changed[name] = value
            continue
        before = {each["identifier"]: each for each in told[name]}
        gone = before.keys() - {each["identifier"] for each in value}
        parts = [each for each in value if before.get(each["identifier"]) != each]
        parts += [{"identifier": identifier, "_removed": True} for identifier in before if identifier in gone]
        if parts:
            changed[name] = parts
    return changed


def _put(tree: dict[str, Any], name: str, value: Any) -> None:
    """Put a value where its dotted name says."""
    *path, last = name.split(".")
    for key in path:
        tree = tree.setdefault(key, {})
    tree[last] = value


def _declarations(declarations: Declarations) -> dict[str, Any]:
    return {
        kind.plural: [
            {
                "identifier": each.identifier,
                "server-token": each.server_token,
                "active": each.active,
                "valid": each.valid.value,
                **({"reasons": list(each.reasons)} if each.reasons else {}),
            }
            for each in declarations.of_kind(kind)
        ]
        for kind in DeclarationKind
    }


def _app_list(declarations: Declarations, *, now: float) -> list[dict[str, Any]]:
    """List each app once, by its bundle identifier; who wants it a second time is among the reasons."""
    listed: dict[str, dict[str, Any]] = {}
    for entry in sorted(declarations.apps.values(), key=lambda each: not each.registered):
        before = listed.get(entry.app.identifier)
        if before is None:
            listed[entry.app.identifier] = _declared_app(entry, now=now)
        else:
            code = "Error.DuplicateConfiguredApp"
            why = reason(code, DESCRIPTIONS[code], Identifier=entry.declaration)
            before["reasons"] = [*before.get("reasons", []), why]
    return list(listed.values())


def _declared_app(entry: DeclaredApp, *, now: float) -> dict[str, Any]:
    app, codes = entry.app, []
    item: dict[str, Any] = {
        "identifier": app.identifier,
        "declaration-identifier": entry.declaration,
        "name": app.identifier.rpartition(".")[2],
        "state": kebab(app.status(now)),
    }
    if app.is_there(now):
        item |= {"version": VERSION, "short-version": VERSION}
        if entry.external_version is not None:
            item["external-version-id"] = entry.external_version
    if app.status(now) == "Failed" and entry.failure is not None:
        codes.append(entry.failure)
    if update := entry.update_state(now):
        item["update-state"] = kebab(update)
        codes += ["Error.UpdateFailed"] if update == "Failed" else []
    if codes:
        item["reasons"] = [reason(code, DESCRIPTIONS[code]) for code in codes]
    return item


def _is_mdm_app(channel: Channel, app: App) -> bool:
    return app.managed and app.user == channel.user and not channel.device.is_declared(app.identifier)


def _mdm_app(app: App, *, now: float) -> dict[str, Any]:
    name = app.identifier.rpartition(".")[2]
    there = {"version": VERSION, "short-version": VERSION} if app.is_there(now) else {}
    return {"identifier": app.identifier, "name": name, "state": kebab(app.status(now)), **there}


def kebab(word: str) -> str:
    """Write a word of the commands as status items do: `PromptingForLogin` is `prompting-for-login`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", word).lower()
