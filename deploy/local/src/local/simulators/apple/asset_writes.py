"""The bodies of associate, disassociate and revoke: read, checked as a whole, and refused as a whole."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from local.simulators.apple.assets import Asset, AssetKey, HolderKind, Quality
from local.simulators.apple.errors import AppleError
from local.simulators.apple.events import TARGET_FIELDS, EventType, Targets
from local.simulators.apple.library import Library
from local.simulators.apple.settings import Knobs

Name = TypeVar("Name", str, AssetKey)

LIMITS = {
    EventType.ASSOCIATE: {HolderKind.USER: "maxClientUserIds", HolderKind.SERIAL: "maxSerialNumbers"},
    EventType.DISASSOCIATE: {HolderKind.USER: "maxClientUserIds", HolderKind.SERIAL: "maxSerialNumbers"},
    EventType.REVOKE: {
        HolderKind.USER: "maxRevokeClientUserIds",
        HolderKind.SERIAL: "maxRevokeSerialNumbers",
    },
}
TOO_MANY = {HolderKind.USER: 9701, HolderKind.SERIAL: 9702}
DUPLICATES = {HolderKind.USER: 9704, HolderKind.SERIAL: 9705}


@dataclass(frozen=True, slots=True)
class AssetWrite:
    """A checked write. What can still fail is a single task of it."""

    assets: list[AssetKey]
    targets: Targets


def read_asset_write(
    body: Mapping[str, Any], *, kind: EventType, library: Library, knobs: Knobs
) -> AssetWrite:
    """Check the body of associate, disassociate or revoke against the library.

    Raises `AppleError` 9602, 9609, 9700 to 9707, 9718, 9719. Serial numbers are not checked: Apple takes any.
    """
    revokes = kind is EventType.REVOKE
    keys = [] if revokes else _read_keys(body)
    targets = {
        holder: _read_names(body, TARGET_FIELDS[holder]) for holder in (HolderKind.USER, HolderKind.SERIAL)
    }
    if not any(targets.values()):
        raise AppleError(9719)
    if len(keys) > knobs.limits["maxAssets"]:
        raise AppleError(9700)
    _refuse(9703, assets=_repeated(keys))
    for holder, names in targets.items():
        _check_names(holder, names, most=knobs.limits[LIMITS[kind][holder]])
    _refuse(9602, assets=[key for key in keys if key not in library.assets])
    _check_users(targets[HolderKind.USER], library, knobs)
    _check_rules([library.assets[key] for key in keys], kind, to_devices=bool(targets[HolderKind.SERIAL]))
    return AssetWrite(keys, targets)


def _read_keys(body: Mapping[str, Any]) -> list[AssetKey]:
    rows = body.get("assets") or []
    if not isinstance(rows, list):
        raise AppleError(9602, detail="assets")
    if not rows:
        raise AppleError(9718)
    return [_read_key(row) for row in rows]


def _read_key(row: Any) -> AssetKey:
    """One asset of a body; without a pricing parameter the standard quality is meant."""
    match row:
        case {"adamId": str(adam_id)} if adam_id:
            quality = row.get("pricingParam") or Quality.STANDARD
            if quality in [*Quality]:
                return AssetKey(adam_id, Quality(quality))
    raise AppleError(9602, detail="assets")


def _read_names(body: Mapping[str, Any], field: str) -> list[str]:
    names = body.get(field) or []
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise AppleError(9602, detail=field)
    return names


def _check_names(holder: HolderKind, names: Sequence[str], *, most: int) -> None:
    if len(names) > most:
        raise AppleError(TOO_MANY[holder])
    repeated = _repeated(names)
    if repeated:
        raise AppleError(DUPLICATES[holder], offenders={TARGET_FIELDS[holder]: repeated})


def _check_users(names: Sequence[str], library: Library, knobs: Knobs) -> None:
    if knobs.unknown_users == "fail":
        return
    unknown = [name for name in names if name not in library.users]
    if unknown:
        raise AppleError(9609, offenders={"clientUserIds": unknown})


def _check_rules(assets: Sequence[Asset], kind: EventType, *, to_devices: bool) -> None:
    if kind is EventType.DISASSOCIATE:
        _refuse(9706, assets=[asset.key for asset in assets if not asset.revocable])
    if to_devices:
        _refuse(9707, assets=[asset.key for asset in assets if not asset.device_assignable])


def _repeated(values: Sequence[Name]) -> list[Name]:
    if len(set(values)) == len(values):
        return []
    return [value for value, times in Counter(values).items() if times > 1]


def _refuse(number: int, *, assets: Sequence[AssetKey]) -> None:
    if assets:
        raise AppleError(number, offenders={"assets": [key.wire() for key in assets]})
