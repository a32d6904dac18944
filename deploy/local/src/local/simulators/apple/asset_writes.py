"""The body of associate and disassociate: read, checked as a whole, and refused as a whole."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from local.simulators.apple.errors import AppleError
from local.simulators.apple.events import TARGET_FIELDS, EventType
from local.simulators.apple.library import Asset, AssetKey, HolderKind, Library, Quality

Limits = Mapping[str, int]
Name = TypeVar("Name", str, AssetKey)

TOO_MANY = {HolderKind.USER: (9701, "maxClientUserIds"), HolderKind.SERIAL: (9702, "maxSerialNumbers")}
DUPLICATES = {HolderKind.USER: 9704, HolderKind.SERIAL: 9705}


@dataclass(frozen=True, slots=True)
class AssetWrite:
    """A checked associate or disassociate. Only a lack of licenses can still stop a task of it."""

    assets: list[Asset]
    targets: dict[HolderKind, list[str]]


def read_asset_write(
    body: Mapping[str, Any], *, kind: EventType, library: Library, limits: Limits
) -> AssetWrite:
    """Check the body of associate or disassociate against the library.

    Raises `AppleError` 9602, 9609, 9700 to 9707, 9718, 9719. Serial numbers are not checked: Apple takes any.
    """
    keys = _read_keys(body)
    targets = {
        holder: _read_names(body, TARGET_FIELDS[holder]) for holder in (HolderKind.USER, HolderKind.SERIAL)
    }
    if not any(targets.values()):
        raise AppleError(9719)
    _check_lengths(keys, targets, limits)
    _check_duplicates(keys, targets)
    _refuse(9602, assets=[key for key in keys if key not in library.assets])
    unknown = [user for user in targets[HolderKind.USER] if user not in library.users]
    if unknown:
        raise AppleError(9609, offenders={"clientUserIds": unknown})
    assets = [library.assets[key] for key in keys]
    if kind is EventType.DISASSOCIATE:
        _refuse(9706, assets=[asset.key for asset in assets if not asset.revocable])
    if targets[HolderKind.SERIAL]:
        _refuse(9707, assets=[asset.key for asset in assets if not asset.device_assignable])
    return AssetWrite(assets, targets)


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


def _check_lengths(
    keys: Sequence[AssetKey], targets: Mapping[HolderKind, Sequence[str]], limits: Limits
) -> None:
    if len(keys) > limits["maxAssets"]:
        raise AppleError(9700)
    for kind, names in targets.items():
        number, limit = TOO_MANY[kind]
        if len(names) > limits[limit]:
            raise AppleError(number)


def _check_duplicates(keys: Sequence[AssetKey], targets: Mapping[HolderKind, Sequence[str]]) -> None:
    _refuse(9703, assets=_repeated(keys))
    for kind, names in targets.items():
        repeated = _repeated(names)
        if repeated:
            raise AppleError(DUPLICATES[kind], offenders={TARGET_FIELDS[kind]: repeated})


def _repeated(values: Sequence[Name]) -> list[Name]:
    return [value for value, times in Counter(values).items() if times > 1]


def _refuse(number: int, *, assets: Sequence[AssetKey]) -> None:
    if assets:
        raise AppleError(number, offenders={"assets": [key.wire() for key in assets]})
