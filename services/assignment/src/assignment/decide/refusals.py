"""Who is told no, and with which word: first for a whole assignment, then for each device.

R1's own no comes first, then what contradicts itself, then what R1 allows but is not carried yet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from assignment.matrix import refuse_platform, refuse_target_type
from assignment.model import PEOPLE, Asset, Device, TargetType, Wish
from shared.events.words import AssetKind, AssignmentMode, EnrollmentKind, InstallMode, Refusal

_IN_HOUSE = {AssetKind.IN_HOUSE_APP, AssetKind.IN_HOUSE_BOOK}

EXPLANATIONS: dict[Refusal, str] = {
    Refusal.NOT_ENROLLED: "the device is not enrolled; nothing reaches it before it is",
    Refusal.KIND_NOT_FOR_PLATFORM: "this kind of asset is not for this platform",
    Refusal.KIND_NOT_FOR_DEVICE: "this kind of asset is for people, not for devices",
    Refusal.OS_TOO_OLD: "the device's system is older than this kind of asset allows",
    Refusal.PLATFORM_NOT_SUPPORTED: "this asset does not run on the device's platform",
    Refusal.NOT_DEVICE_ASSIGNABLE: "Apple does not let this asset be assigned to devices",
    Refusal.ENROLLMENT_TAKES_USER_LICENCES_ONLY: (
        "a User Enrollment tells no serial number, so it takes user licences only"
    ),
    Refusal.SHARED_IPAD_TAKES_DEVICE_LICENCES_ONLY: "a Shared iPad takes device licences only",
    Refusal.MANUAL_DEVICE_LICENCE_UNSEEN: (
        "a device licence in manual mode shows in nobody's Purchased list: "
        "repeat with acknowledge_no_catalogue true if something else offers the app"
    ),
    Refusal.UNKNOWN_ASSET: "no such asset; VPP assets appear once their content token is installed",
    Refusal.UNKNOWN_TARGET: "no such target",
    Refusal.DUPLICATE_TARGET: "this asset for this target stands in the same request already",
    Refusal.TOO_MANY_TARGETS: "the group is larger than this installation takes (MAX_TARGETS)",
    Refusal.MODES_CONTRADICT: "these modes cannot go together for this asset and target",
    Refusal.NO_POOL: "no library holds a pool of this asset, or not the library asked for",
    Refusal.NOT_OFFERED_YET: "allowed, but not offered by this version",
}
"""A sentence for a person beside each slug that this service says."""

OWN_REFUSALS = frozenset(EXPLANATIONS)
"""The slugs that rest on what this service knows: they are judged anew when the device or the asset changes."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """An assignment as asked, before it exists."""

    target_type: TargetType
    wish: Wish
    acknowledge_no_catalogue: bool = False


def refuse_assignment(asset: Asset | None, proposal: Proposal) -> Refusal | None:
    """Say whether the whole assignment is refused, whoever its targets are."""
    if asset is None:
        return Refusal.UNKNOWN_ASSET
    return (
        refuse_target_type(asset.kind, proposal.target_type)
        or _refuse_modes(asset.kind, proposal)
        or _refuse_not_carried(asset.kind, proposal)
        or _refuse_license(asset, proposal)
    )


def refuse_device(asset: Asset, wish: Wish, device: Device) -> Refusal | None:
    """Say whether this device may not get this asset as wished."""
    return (
        refuse_platform(asset.kind, device.platform, device.os_version)
        or _refuse_platform_of(asset, device)
        or _refuse_pool(asset, wish)
        or _refuse_enrollment(wish, device)
    )


def _refuse_platform_of(asset: Asset, device: Device) -> Refusal | None:
    if asset.platforms and device.platform not in asset.platforms:
        return Refusal.PLATFORM_NOT_SUPPORTED
    return None


def _refuse_enrollment(wish: Wish, device: Device) -> Refusal | None:
    if wish.assignment_mode is AssignmentMode.APPLE_ID and device.kind is EnrollmentKind.SHARED_IPAD:
        return Refusal.SHARED_IPAD_TAKES_DEVICE_LICENCES_ONLY
    if wish.assignment_mode is AssignmentMode.DEVICE and (
        device.kind is EnrollmentKind.USER or device.serial_number is None
    ):
        return Refusal.ENROLLMENT_TAKES_USER_LICENCES_ONLY
    if not device.enrolled:
        return Refusal.NOT_ENROLLED
    return None


def judge_of(assets: Mapping[UUID, Asset]) -> Callable[[UUID, Wish, Device], Refusal | None]:
    """Return `refuse_device` by asset id, which thinks once per sort of device: a fleet has few."""
    known: dict[tuple[object, ...], Refusal | None] = {}

    def judge(asset_id: UUID, wish: Wish, device: Device) -> Refusal | None:
        nameless = device.serial_number is None
        sort = (asset_id, wish, device.platform, device.os_version, device.kind, device.enrolled, nameless)
        if sort not in known:
            known[sort] = refuse_device(assets[asset_id], wish, device)
        return known[sort]

    return judge


def _refuse_modes(kind: AssetKind, proposal: Proposal) -> Refusal | None:
    """R7: in-house apps on devices are always automatic. R13: a device licence is no person's."""
    wish, to_people = proposal.wish, proposal.target_type in PEOPLE
    if to_people and wish.assignment_mode is AssignmentMode.DEVICE:
        return Refusal.MODES_CONTRADICT
    if not to_people and kind is AssetKind.IN_HOUSE_APP and wish.install_mode is InstallMode.MANUAL:
        return Refusal.MODES_CONTRADICT
    return None


def _refuse_not_carried(kind: AssetKind, proposal: Proposal) -> Refusal | None:
    carried = (
        kind not in _IN_HOUSE
        and proposal.target_type not in PEOPLE
        and proposal.wish.assignment_mode is AssignmentMode.DEVICE
    )
    return None if carried else Refusal.NOT_OFFERED_YET


def _refuse_license(asset: Asset, proposal: Proposal) -> Refusal | None:
    if refusal := _refuse_pool(asset, proposal.wish):
        return refusal
    if proposal.wish.install_mode is InstallMode.MANUAL and not proposal.acknowledge_no_catalogue:
        return Refusal.MANUAL_DEVICE_LICENCE_UNSEEN
    return None


def _refuse_pool(asset: Asset, wish: Wish) -> Refusal | None:
    """Say whether no library has a licence of the kind wished; an asset may lose its pools under an assignment."""
    if wish.assignment_mode is AssignmentMode.DEVICE and not asset.device_assignable:
        return Refusal.NOT_DEVICE_ASSIGNABLE
    if not asset.library_ids or (wish.library_id is not None and wish.library_id not in asset.library_ids):
        return Refusal.NO_POOL
    return None
