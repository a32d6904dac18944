"""One library: its assets, who holds their licenses, and the counting rules. No clock, no network."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, NamedTuple

# Whoever holds a license, in the order of receiving it. A dict without values is an ordered set: it keeps
# paging stable from one run to the next, which a set of strings would not, in about 100 bytes a holder.
Holders = dict[str, None]


class Quality(StrEnum):
    """Apple's pricing parameter: standard or high quality."""

    STANDARD = "STDQ"
    PLUS = "PLUS"


class AssetKey(NamedTuple):
    """What makes an asset: one adam id may exist in both qualities, as two assets."""

    adam_id: str
    quality: Quality

    def wire(self) -> dict[str, str]:
        """Apple's JSON of the pair."""
        return {"adamId": self.adam_id, "pricingParam": self.quality}


class ProductType(StrEnum):
    """What a library can own."""

    APP = "App"
    BOOK = "Book"


class HolderKind(StrEnum):
    """A license is held by a device or by a person; the value is its field in an assignment."""

    SERIAL = "serialNumber"
    USER = "clientUserId"


class CountError(ValueError):
    """A change of what is owned that the counts do not allow."""


@dataclass(slots=True)
class Asset:
    """The licenses of one asset in one library. `available` is always derived, so no count can drift."""

    key: AssetKey
    product_type: ProductType
    platforms: tuple[str, ...]
    device_assignable: bool
    revocable: bool
    total: int = 0
    retired: int = 0
    holders: dict[HolderKind, Holders] = field(default_factory=lambda: {kind: {} for kind in HolderKind})

    @property
    def assigned(self) -> int:
        """Licenses held by devices and people."""
        return sum(len(holders) for holders in self.holders.values())

    @property
    def available(self) -> int:
        """Licenses nobody holds; 0 also where a refund left fewer than are assigned."""
        return max(0, self.total - self.assigned - self.retired)

    def associate(self, kind: HolderKind, targets: Sequence[str]) -> Sequence[str]:
        """Give each target a license, first come first served, and answer those left without (9709).

        Who holds one already keeps that one: a repeated association costs nothing.
        """
        holders = self.holders[kind]
        new = [target for target in targets if target not in holders]
        room = self.available
        holders.update(dict.fromkeys(new[:room]))
        return new[room:]

    def disassociate(self, kind: HolderKind, targets: Iterable[str]) -> None:
        """Take the license from each target that holds one."""
        holders = self.holders[kind]
        for target in targets:
            holders.pop(target, None)

    def refund(self, count: int, *, assigned: "AssignedOnRefund") -> None:
        """Own `count` licenses less. Raises `CountError` where the counts or the policy do not allow it."""
        if count > self.total:
            raise CountError(f"only {self.total} are owned")
        missing = count - self.available
        if missing > 0 and assigned is AssignedOnRefund.REFUSE:
            raise CountError(f"only {self.available} are not assigned")
        self.total -= count
        if missing > 0 and assigned is AssignedOnRefund.TAKE_BACK:
            self._take_newest(missing)

    def _take_newest(self, count: int) -> None:
        for holders in self.holders.values():
            while count and holders:
                holders.popitem()
                count -= 1

    def wire(self) -> dict[str, Any]:
        """Apple's JSON of an asset."""
        return {
            **self.key.wire(),
            "productType": self.product_type,
            "deviceAssignable": self.device_assignable,
            "revocable": self.revocable,
            "supportedPlatforms": self.platforms,
            "totalCount": self.total,
            "availableCount": self.available,
            "assignedCount": self.assigned,
            "retiredCount": self.retired,
        }


class AssignedOnRefund(StrEnum):
    """What a refund does where fewer licenses are free than are refunded.

    `KEEP` is the one state in which Apple's counts do not add up: more are assigned than are owned.
    """

    REFUSE = "refuse"
    TAKE_BACK = "take_back"
    KEEP = "keep"


@dataclass(slots=True)
class Subscription:
    """Where a library's notifications go; without a URL nowhere."""

    url: str = ""
    auth_token: str = ""
    types: tuple[str, ...] = ()


@dataclass(slots=True)
class Library:
    """All that the tokens of one organizational unit see."""

    uid: str
    country: str
    platform: str
    location_name: str
    version_id: str
    assets: dict[AssetKey, Asset] = field(default_factory=dict)
    users: Holders = field(default_factory=dict)
    mdm_info: dict[str, str] | None = None
    subscription: Subscription = field(default_factory=Subscription)


class AssignmentFilter(NamedTuple):
    """Which assignments are asked for; None asks for all."""

    adam_id: str | None = None
    quality: str | None = None
    serial: str | None = None
    user: str | None = None


def count_assignments(library: Library, wanted: AssignmentFilter) -> int:
    """How many assignments the filter finds."""
    return sum(len(holders) for _, _, holders in _matching(library, wanted))


def slice_assignments(
    library: Library, wanted: AssignmentFilter, start: int, size: int
) -> list[dict[str, str]]:
    """At most `size` assignments from the `start`-th on, in Apple's JSON, in a stable order."""
    rows: list[dict[str, str]] = []
    for asset, kind, holders in _matching(library, wanted):
        if start >= len(holders):
            start -= len(holders)
            continue
        row = asset.key.wire()
        rows.extend({**row, kind: holder} for holder in islice(holders, start, start + size - len(rows)))
        if len(rows) == size:
            break
        start = 0
    return rows


def _matching(library: Library, wanted: AssignmentFilter) -> Iterator[tuple[Asset, HolderKind, Holders]]:
    """Each asset's holders of each kind that the filter leaves over, the empty ones too."""
    named = {HolderKind.SERIAL: wanted.serial, HolderKind.USER: wanted.user}
    kinds = [
        kind for kind in HolderKind if all(other is kind or named[other] is None for other in HolderKind)
    ]
    for asset in library.assets.values():
        if wanted.adam_id not in {None, asset.key.adam_id} or wanted.quality not in {None, asset.key.quality}:
            continue
        for kind in kinds:
            holders, name = asset.holders[kind], named[kind]
            if name is None:
                yield asset, kind, holders
            elif name in holders:
                yield asset, kind, {name: None}
