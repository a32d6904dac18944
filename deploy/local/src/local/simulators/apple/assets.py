"""One asset: who holds its licenses, and the counting rules. No clock, no network."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

UNLIMITED = 2_147_483_647  # the total that Apple tells of an asset that is free and without end

# Whoever holds a license, in the order of receiving it, with the library's revision of that moment. The order
# keeps paging stable from one run to the next; all holders of one slice share one number: 100 bytes a holder.
Holders = dict[str, int]


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


class Kept(NamedTuple):
    """A license that a retired user keeps for ever, since a revision of the library."""

    client_user_id: str
    since: int


class AssignedOnRefund(StrEnum):
    """What a refund does where fewer licenses are free than are refunded.

    `KEEP` is the one state in which Apple's counts do not add up: more are assigned than are owned.
    """

    REFUSE = "refuse"
    TAKE_BACK = "take_back"
    KEEP = "keep"


class CountError(ValueError):
    """A change of what is owned that the counts do not allow."""


def nobody() -> dict[HolderKind, Holders]:
    """Make the holders of an asset that nobody holds."""
    return {kind: {} for kind in HolderKind}


@dataclass(slots=True)
class Asset:
    """The licenses of one asset in one library. `available` is always derived, so no count can drift."""

    key: AssetKey
    product_type: ProductType
    platforms: tuple[str, ...]
    device_assignable: bool
    revocable: bool
    unlimited: bool = False
    total: int = 0
    revision: int = 0  # of the library, when the holders changed last
    holders: dict[HolderKind, Holders] = field(default_factory=nobody)
    former: dict[HolderKind, Holders] = field(default_factory=nobody)  # whom it was taken from, and when
    kept: dict[int, Kept] = field(default_factory=dict)  # by the number of the retired user

    @property
    def assigned(self) -> int:
        """Licenses held by devices and people."""
        return sum(len(holders) for holders in self.holders.values())

    @property
    def retired(self) -> int:
        """Licenses that retired users keep."""
        return len(self.kept)

    @property
    def available(self) -> int:
        """Licenses nobody holds; 0 also where a refund left fewer than are assigned."""
        total = UNLIMITED if self.unlimited else self.total
        return max(0, total - self.assigned - self.retired)

    def associate(self, kind: HolderKind, targets: Sequence[str], *, at: int = 0) -> Sequence[str]:
        """Give each target a license, first come first served, and answer those left without (9709).

        Who holds one already keeps that one: a repeated association costs nothing.
        """
        holders, former = self.holders[kind], self.former[kind]
        new = [target for target in targets if target not in holders]
        room = self.available
        served = new if len(new) <= room else new[:room]
        holders.update(dict.fromkeys(served, at))
        if former:
            for target in served:
                former.pop(target, None)
        self.revision = at
        return new[len(served) :]

    def disassociate(self, kind: HolderKind, targets: Iterable[str], *, at: int = 0) -> Sequence[str]:
        """Take the license from each target that holds one, and answer those that held none."""
        holders, former = self.holders[kind], self.former[kind]
        missing = []
        for target in targets:
            if holders.pop(target, None) is None:
                missing.append(target)
            else:
                former[target] = at
        self.revision = at
        return missing

    def keep(self, client_user_id: str, number: int, *, at: int) -> None:
        """Let a user who retires keep a license: it is spent, and counted as retired."""
        if self.holders[HolderKind.USER].pop(client_user_id, None) is not None:
            self.kept[number] = Kept(client_user_id, at)
            self.revision = at

    def give_back(self, number: int, *, at: int) -> None:
        """Let a user who lives again hold what it kept."""
        kept = self.kept.pop(number, None)
        if kept is not None:
            self.holders[HolderKind.USER][kept.client_user_id] = at
            self.revision = at

    def check_refund(self, count: int, *, assigned: AssignedOnRefund) -> None:
        """Raise `CountError` where the counts or the policy do not allow a refund."""
        if count > self.total:
            raise CountError(f"only {self.total} are owned")
        if count > self.available and assigned is AssignedOnRefund.REFUSE:
            raise CountError(f"only {self.available} are not assigned")

    def refund(self, count: int, *, assigned: AssignedOnRefund, at: int = 0) -> None:
        """Own `count` licenses less. Raises `CountError` where that is not allowed."""
        self.check_refund(count, assigned=assigned)
        missing = count - self.available
        self.total -= count
        if missing > 0 and assigned is AssignedOnRefund.TAKE_BACK:
            self._take_newest(missing, at=at)

    def _take_newest(self, count: int, *, at: int) -> None:
        for kind, holders in self.holders.items():
            while count and holders:
                target, _ = holders.popitem()
                self.former[kind][target] = at
                count -= 1
        self.revision = at

    def wire(self, *, full: bool = False) -> dict[str, Any]:
        """Apple's JSON of an asset; `full` tells all of an unlimited one as available."""
        row = self.wire_unlimited()
        del row["assignedCount"]
        return row | {
            "totalCount": UNLIMITED if self.unlimited else self.total,
            "availableCount": UNLIMITED if self.unlimited and full else self.available,
            "assignedCount": self.assigned,
            "retiredCount": self.retired,
        }

    def wire_unlimited(self) -> dict[str, Any]:
        """Apple's JSON of a row in `unlimitedAssets`, which has no counts but one."""
        return {
            **self.key.wire(),
            "productType": self.product_type,
            "deviceAssignable": self.device_assignable,
            "revocable": self.revocable,
            "supportedPlatforms": self.platforms,
            "assignedCount": self.assigned,
        }
