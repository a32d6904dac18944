"""The help page's table (R1): which kind of asset may go to a Mac, to an iOS device, to a person."""

from enum import StrEnum

from assignment.model import PEOPLE, TargetType
from shared.events.words import AssetKind, Platform, Refusal


class Holder(StrEnum):
    """The columns of R1."""

    MAC = "mac"
    IOS_DEVICE = "ios_device"
    USER = "user"


Floor = tuple[int, ...]
"""The oldest OS version allowed, as numbers; empty where there is no floor."""

NO_FLOOR: Floor = ()

R1: dict[AssetKind, dict[Holder, Floor]] = {
    AssetKind.IN_HOUSE_APP: {Holder.MAC: NO_FLOOR, Holder.IOS_DEVICE: NO_FLOOR, Holder.USER: NO_FLOOR},
    AssetKind.IN_HOUSE_BOOK: {Holder.IOS_DEVICE: NO_FLOOR, Holder.USER: NO_FLOOR},
    AssetKind.VPP_APP: {Holder.MAC: (10, 11), Holder.IOS_DEVICE: (9,), Holder.USER: NO_FLOOR},
    AssetKind.VPP_BOOK: {Holder.USER: NO_FLOOR},
}
"""A holder that is absent may never get the kind."""

_HOLDERS = {Platform.MACOS: Holder.MAC, Platform.IOS: Holder.IOS_DEVICE}
"""R1 names Macs and iOS devices only (an iPad is iOS); nothing is given to the other platforms."""


def refuse_target_type(kind: AssetKind, target_type: TargetType) -> Refusal | None:
    """Say whether R1 has a no for every target of this type: a VPP book goes to no device at all."""
    if target_type in PEOPLE:
        return None
    if R1[kind].keys().isdisjoint({Holder.MAC, Holder.IOS_DEVICE}):
        return Refusal.KIND_NOT_FOR_DEVICE
    return None


def refuse_platform(kind: AssetKind, platform: Platform, os_version: str) -> Refusal | None:
    """Say whether R1 has a no for a device of this platform and OS version."""
    if refusal := refuse_target_type(kind, TargetType.DEVICE):
        return refusal
    holder = _HOLDERS.get(platform)
    if holder is None or holder not in R1[kind]:
        return Refusal.KIND_NOT_FOR_PLATFORM
    if version_numbers(os_version) < R1[kind][holder]:
        return Refusal.OS_TOO_OLD
    return None


def version_numbers(os_version: str) -> tuple[int, ...]:
    """Read "10.11.6" as (10, 11, 6), up to the first part that is not a number: unreadable is oldest."""
    numbers: list[int] = []
    for part in os_version.split("."):
        if not (part.isascii() and part.isdigit()):
            break
        numbers.append(int(part))
    return tuple(numbers)
