"""Pools as they cross HTTP: our own counts, and Apple's beside them."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, Field

from licensing.decide import over_allocated
from licensing.schemas.fields import EXAMPLE_ASSET, EXAMPLE_POOL, EXAMPLE_TIME, example, same
from shared.events.words import AssetKind


class AppleCounts(BaseModel):
    """Apple's own counts at one time. They are never added to ours."""

    total: int | None
    available: int | None
    assigned: int
    retired: int | None
    read_at: datetime


class PoolBody(BaseModel):
    """All licences of one asset in one library, as our ledger counts them."""

    model_config = example(
        pool_id=EXAMPLE_POOL,
        asset_id=EXAMPLE_ASSET,
        library_id="2049025000431439",
        adam_id="361309726",
        pricing_param="STDQ",
        kind="vpp_app",
        device_assignable=True,
        revocable=True,
        platforms=["iOS", "macOS"],
        default=False,
        unlimited=False,
        capacity=50,
        held=40,
        available=10,
        foreign=0,
        waiting=0,
        over_allocated=0,
        apple={"total": 50, "available": 10, "assigned": 40, "retired": 0, "read_at": EXAMPLE_TIME},
    )

    pool_id: UUID
    asset_id: UUID
    library_id: str
    adam_id: str
    pricing_param: str
    kind: AssetKind
    device_assignable: bool
    revocable: bool
    platforms: list[str]
    default: bool = Field(description="Whether the asset is taken from this library first.")
    unlimited: bool
    capacity: int | None = Field(description="Total less retired less foreign; null where unlimited.")
    held: int = Field(description="Reserved, associating, assigned or releasing.")
    available: int | None = Field(description="What can still be granted; null where unlimited.")
    foreign: int = Field(description="Assignments at Apple that are not ours, counted by reading its list.")
    waiting: int
    over_allocated: int = Field(description="Held beyond the capacity, after a refund or by another hand.")
    apple: AppleCounts

    @classmethod
    def of(cls, row: sa.RowMapping) -> "PoolBody":
        """Return what callers are shown of a pool."""
        capacity = None if row["unlimited"] else row["total"] - row["retired"] - row["foreign_count"]
        return cls(
            pool_id=row["id"],
            kind=AssetKind.VPP_BOOK if row["is_book"] else AssetKind.VPP_APP,
            capacity=None if capacity is None else max(0, capacity),
            available=None if capacity is None else max(0, capacity - row["held"]),
            foreign=row["foreign_count"],
            default=row["preferred"],
            over_allocated=over_allocated(capacity, row["held"]),
            apple=_apple_counts(row),
            **same(cls, row),
        )


def _apple_counts(row: sa.RowMapping) -> AppleCounts:
    """Return a reading with its time: the list's age where the counts in it did not change since."""
    limited = not row["unlimited"]
    return AppleCounts(
        total=row["total"] if limited else None,
        available=row["apple_available"] if limited else None,
        assigned=row["apple_assigned"],
        retired=row["retired"] if limited else None,
        read_at=max(row["read_at"], row["assets_read_at"] or row["read_at"]),
    )
