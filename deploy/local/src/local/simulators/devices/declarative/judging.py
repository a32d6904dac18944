"""Judges declarations: whether each is known here and well made, and which of them the activations put to work. Pure.

Apple: `DeclarationBase` and its status reasons, `com.apple.activation.simple`.
"""

from collections.abc import Callable, Iterator
from typing import Any

from local.simulators.devices.declarative.capabilities import (
    APP_MANAGED,
    SIMPLE,
    SUBSCRIPTIONS,
    Since,
    has_configuration,
)
from local.simulators.devices.declarative.held import (
    Declaration,
    DeclarationKind,
    Declarations,
    Payload,
    Reason,
    Validity,
    reason,
)
from local.simulators.devices.model import Channel

FIRST_ASSIGNMENT = (18,)  # before it the key is VPPType
_OLD, _18_4, _26 = Since((17, 2), (26,)), Since((18, 4), (27,)), Since((26,), (26,))
_OLD_IOS = Since((17, 2), None)
APP_KEYS = {
    "AppStoreID": _OLD,
    "BundleID": _OLD,
    "ManifestURL": _OLD_IOS,
    "AppComposedIdentifier": Since(None, (26,)),
    "iOSApp": Since(None, (26,)),
    "InstallBehavior": _OLD,
    "InstallBehavior.Install": _OLD,
    "InstallBehavior.License": _OLD,
    "InstallBehavior.License.Assignment": Since(FIRST_ASSIGNMENT, (26,)),
    "InstallBehavior.License.VPPType": Since((17, 2), None, ios_until=FIRST_ASSIGNMENT),
    "InstallBehavior.Version": _26,
    "InstallBehavior.AllowDownloadsOverCellular": Since((26,), None),
    "UpdateBehavior": _26,
    "UpdateBehavior.AutomaticAppUpdates": _26,
    "IncludeInBackup": _OLD_IOS,
    "Attributes": _OLD_IOS,
    "AppConfig": _18_4,
    "ExtensionConfigs": _18_4,
    "LegacyAppConfigAssetReference": _18_4,
}
NESTED = frozenset({"InstallBehavior", "InstallBehavior.License", "UpdateBehavior"})
APP_NAMES = ("AppStoreID", "BundleID", "ManifestURL", "AppComposedIdentifier")
OF_STORE = frozenset({"AppStoreID", "BundleID"})
SETTING = ("AlwaysOn", "AlwaysOff", "StoreSettings")
CHOICES = {
    "InstallBehavior.Install": ("Required", "Optional"),
    "InstallBehavior.License.Assignment": ("Device", "User"),
    "InstallBehavior.License.VPPType": ("Device", "User"),
    "InstallBehavior.AllowDownloadsOverCellular": SETTING,
    "UpdateBehavior.AutomaticAppUpdates": SETTING,
}


def judge(channel: Channel, declarations: Declarations) -> None:
    """Judge all declarations anew. An activation puts all of its configurations to work, or none."""
    for declaration in declarations.held.values():
        if declaration.type:  # else it could not be read
            fault = _fault(channel, declaration)
            declaration.reasons = () if fault is None else (fault,)
            declaration.valid = Validity.VALID if fault is None else Validity.INVALID
        declaration.active = False
    configurations = {each.identifier: each for each in declarations.of_kind(DeclarationKind.CONFIGURATION)}
    named: set[str] = set()
    for activation in declarations.of_kind(DeclarationKind.ACTIVATION):
        if activation.valid is Validity.VALID:
            named.update(activation.payload["StandardConfigurations"])
            _activate(activation, configurations)
    for configuration in configurations.values():
        if configuration.identifier not in named:
            why = "No activation refers to the configuration."
            configuration.reasons += (reason("Info.NotReferencedByActivation", why),)


def license_assignment(payload: Payload) -> str | None:
    """Read whose license the app uses, `Device` or `User`."""
    license_ = payload.get("InstallBehavior", {}).get("License", {})
    said: str | None = license_.get("Assignment") or license_.get("VPPType")
    return said


def _activate(activation: Declaration, configurations: dict[str, Declaration]) -> None:
    predicate = activation.payload.get("Predicate", "TRUEPREDICATE")
    if predicate != "TRUEPREDICATE":
        activation.reasons = (_predicate_reason(predicate),)
        if predicate != "FALSEPREDICATE":
            activation.valid = Validity.INVALID
        return
    wanted = activation.payload["StandardConfigurations"]
    missing = [name for name in wanted if name not in configurations]
    if missing:
        why = "Configurations are missing."
        activation.reasons = (reason("Error.MissingConfigurations", why, ConfigurationIdentifiers=missing),)
        return
    mine = [configurations[name] for name in wanted]
    activation.active = all(each.valid is Validity.VALID for each in mine)
    for configuration in mine:
        if activation.active:
            configuration.active = True
        elif configuration.valid is Validity.VALID:
            why = "Another configuration of the activation failed."
            failed = reason("Error.ActivationFailed", why, ActivationIdentifier=activation.identifier)
            configuration.reasons += (failed,)


def _predicate_reason(predicate: str) -> Reason:
    if predicate == "FALSEPREDICATE":
        return reason("Info.Predicate", "The predicate evaluated to false.", Predicate=predicate)
    return reason("Error.UnableToParsePredicate", "The predicate cannot be parsed.", Predicate=predicate)


def _fault(channel: Channel, declaration: Declaration) -> Reason | None:
    """Answer why a declaration is invalid by itself, None where it is not."""
    known = declaration.type in FAULTS and declaration.type.startswith(f"com.apple.{declaration.kind}.")
    if declaration.kind is DeclarationKind.CONFIGURATION:
        known = known and has_configuration(channel, declaration.type)
    if not known:
        code = "ConfigurationNotSupported" if declaration.kind is DeclarationKind.CONFIGURATION else None
        why = "The type is not supported."
        return reason(f"Error.{code or 'UnknownDeclarationType'}", why, Type=declaration.type)
    unknown = [name for name in _names(declaration.payload) if not _knows(channel, declaration.type, name)]
    if unknown:
        return reason("Error.UnknownPayloadKeys", "Unknown payload keys.", UnknownPayloadKeys=unknown)
    why_not = FAULTS[declaration.type](declaration.payload)
    return None if why_not is None else reason("Error.ConfigurationIsInvalid", why_not)


def _names(payload: Payload, prefix: str = "") -> Iterator[str]:
    """List the keys of a payload, those inside `NESTED` dictionaries with the path to them."""
    for key, value in payload.items():
        name = f"{prefix}{key}"
        yield name
        if name in NESTED and isinstance(value, dict):
            yield from _names(value, f"{name}.")


def _knows(channel: Channel, declaration_type: str, name: str) -> bool:
    if declaration_type == APP_MANAGED:
        return name in APP_KEYS and APP_KEYS[name].has(channel.device)
    if declaration_type == SUBSCRIPTIONS:
        return name == "StatusItems"
    return name in {"StandardConfigurations", "Predicate"}


def _activation_fault(payload: Payload) -> str | None:
    names, predicate = payload.get("StandardConfigurations"), payload.get("Predicate", "")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return "StandardConfigurations is no list of identifiers."
    return None if isinstance(predicate, str) else "Predicate is no string."


def _subscriptions_fault(payload: Payload) -> str | None:
    items = payload.get("StatusItems")
    if isinstance(items, list) and all(_is_subscription(item) for item in items):
        return None
    return "StatusItems is no list of names."


def _is_subscription(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("Name"), str)


def _app_fault(payload: Payload) -> str | None:
    names = [name for name in APP_NAMES if name in payload]
    if len(names) != 1:
        return f"Exactly one of {', '.join(APP_NAMES)}."
    said = payload[names[0]]
    if not isinstance(said, str) or (names[0] == "AppStoreID" and not (said.isascii() and said.isdecimal())):
        return f"{names[0]} is not well made."
    behavior_fault = _behavior_fault(payload)
    if behavior_fault is None and names[0] in OF_STORE and license_assignment(payload) is None:
        return "InstallBehavior.License says not whose license it is."
    return behavior_fault


def _behavior_fault(payload: Payload) -> str | None:
    for path in (*sorted(NESTED), "Attributes"):
        if not isinstance(_at(payload, path, {}), dict):
            return f"{path} is no dictionary."
    for path, choices in CHOICES.items():
        if _at(payload, path, choices[0]) not in choices:
            return f"{path} is none of {', '.join(choices)}."
    version = _at(payload, "InstallBehavior.Version", 0)
    return None if isinstance(version, int) else "InstallBehavior.Version is no integer."


def _at(payload: Payload, path: str, default: Any) -> Any:
    """Look up a dotted path; the default also where something on the way is no dictionary."""
    found: Any = payload
    for key in path.split("."):
        if not isinstance(found, dict) or key not in found:
            return default
        found = found[key]
    return found


FAULTS: dict[str, Callable[[Payload], str | None]] = {
    SIMPLE: _activation_fault,
    APP_MANAGED: _app_fault,
    SUBSCRIPTIONS: _subscriptions_fault,
}
