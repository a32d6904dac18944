"""Licenses in version 1 of the API: one asset, a few targets, done at once."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from local.simulators.apple.assets import Asset, AssetKey, HolderKind, ProductType, Quality
from local.simulators.apple.errors import AppleError, message_of
from local.simulators.apple.working import Scene

NO_USER, NO_LICENSE, HELD_ALREADY, NOT_HELD = 9609, 9610, 9616, 9619
IRREVOCABLE, NOT_FOR_DEVICES = 9607, 9628
STRINGS = {HolderKind.USER: "ClientUserIdStrs", HolderKind.SERIAL: "SerialNumbers"}
NAMES = {HolderKind.USER: "clientUserIdStr", HolderKind.SERIAL: "serialNumber"}

Said = Mapping[str, Any]
Row = dict[str, Any]
Target = tuple[HolderKind, str]


def manage_licenses(said: Said, scene: Scene) -> Said:
    """Take licenses of one asset from some and give them to others, each on its own.

    The status is 0 where all came through, -1 where none did, -3 else. Raises `AppleError` 9600, 9602, 9604.
    """
    if not said.get("adamIdStr"):
        raise AppleError(9600)
    quality = said.get("pricingParam") or Quality.STANDARD
    if quality not in set(Quality):
        raise AppleError(9602)
    asset = scene.library.assets.get(AssetKey(str(said["adamIdStr"]), Quality(quality)))
    if asset is None:
        raise AppleError(9604)
    losers = [*_targets(said, "disassociate", scene), *_licensees(said, asset, scene)]
    winners = _targets(said, "associate", scene)
    if not losers and not winners:
        raise AppleError(9600)
    lost = [_row(scene, asset, target, _take(asset, target, scene)) for target in losers]
    won = [_row(scene, asset, target, _give(asset, target, scene)) for target in winners]
    failed = sum("errorNumber" in row for row in (*lost, *won))
    status = 0 if not failed else -1 if failed == len(lost) + len(won) else -3
    return (
        {"status": status, **_asset_row(asset)}
        | ({"disassociations": lost} if lost else {})
        | ({"associations": won} if won else {})
    )


def get_assets(said: Said, scene: Scene) -> Said:
    """Answer all assets, or those of `pricingParam`, with their counts where `includeLicenseCounts` is said."""
    rows = [
        _asset_row(asset)
        | {"deviceAssignable": asset.device_assignable}
        | (_counts(asset) if said.get("includeLicenseCounts") else {})
        for asset in scene.library.assets.values()
        if said.get("pricingParam") in {None, asset.key.quality}
    ]
    return {"assets": rows, "totalCount": len(rows)}


def license_row(uid: str, asset: Asset, kind: HolderKind, name: str) -> Row:
    """Describe a license. Version 2 knows no license ids, so one is made of who holds what."""
    number = license_id(uid, asset, kind, name)
    return {"licenseId": number, "licenseIdStr": str(number), "status": "Associated", **_asset_row(asset)}


def license_id(uid: str, asset: Asset, kind: HolderKind, name: str) -> int:
    """Return the number of the license that somebody holds."""
    who = f"{uid} {asset.key.adam_id} {asset.key.quality} {kind} {name}"
    return int.from_bytes(hashlib.blake2b(who.encode(errors="surrogatepass"), digest_size=6).digest())


def _asset_row(asset: Asset) -> Row:
    is_book = asset.product_type is ProductType.BOOK
    is_app = "iOS" in asset.platforms or "tvOS" in asset.platforms
    number, name = (10, "Publication") if is_book else (8, "Application") if is_app else (7, "Software")
    adam_id = asset.key.adam_id
    return {
        "adamId": int(adam_id) if adam_id.isdecimal() else 0,
        "adamIdStr": adam_id,
        "isIrrevocable": not asset.revocable,
        "pricingParam": asset.key.quality,
        "productTypeId": number,
        "productTypeName": name,
    }


def _counts(asset: Asset) -> Row:
    row = asset.wire()
    return {name: row[name] for name in ("totalCount", "availableCount", "assignedCount", "retiredCount")}


def _targets(said: Said, verb: str, scene: Scene) -> list[Target]:
    """Read whom to give to, or to take from. Raises `AppleError` 9602 above the batch limit."""
    found: list[Target] = []
    for kind, field in STRINGS.items():
        found += [(kind, name) for name in _strings(said, verb + field)]
    if len(found) > scene.knobs.legacy_batch:
        raise AppleError(9602)
    return found


def _licensees(said: Said, asset: Asset, scene: Scene) -> list[Target]:
    """Find who holds the licenses named by id. Raises `AppleError` 9602 above the limit, 9610 for an unknown one."""
    wanted = _strings(said, "disassociateLicenseIdStrs")
    if len(wanted) > scene.knobs.legacy_batch:
        raise AppleError(9602)
    if not wanted:
        return []
    holders = {
        str(license_id(scene.library.uid, asset, kind, name)): (kind, name)
        for kind, names in asset.holders.items()
        for name in names
    }
    if any(number not in holders for number in wanted):
        raise AppleError(NO_LICENSE)
    return [holders[number] for number in wanted]


def _strings(said: Said, field: str) -> Sequence[str]:
    names = said.get(field) or []
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise AppleError(9602)
    return names


def _give(asset: Asset, target: Target, scene: Scene) -> int | None:
    """Give a license and answer None, or else the number of what keeps it from being given."""
    kind, name = target
    if kind is HolderKind.SERIAL and not asset.device_assignable:
        return NOT_FOR_DEVICES
    if kind is HolderKind.USER and name not in scene.library.users:
        return NO_USER
    if name in asset.holders[kind]:
        return HELD_ALREADY
    return NO_LICENSE if asset.associate(kind, [name], at=scene.library.revision) else None


def _take(asset: Asset, target: Target, scene: Scene) -> int | None:
    kind, name = target
    if not asset.revocable:
        return IRREVOCABLE
    return NOT_HELD if asset.disassociate(kind, [name], at=scene.library.revision) else None


def _row(scene: Scene, asset: Asset, target: Target, number: int | None) -> Row:
    """Tell what became of one target; the number stands in both fields that clients have been told of."""
    kind, name = target
    row: Row = {NAMES[kind]: name}
    if number is None:
        return row | {"licenseIdStr": str(license_id(scene.library.uid, asset, kind, name))}
    return row | {"errorNumber": number, "errorCode": number, "errorMessage": message_of(number)}
