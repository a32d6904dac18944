"""Assets and their pools, for those who are to be told of them."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.database import Transaction
from shared.locks import Rung

_UNTOLD = "SELECT DISTINCT asset_id FROM pool WHERE untold LIMIT $1"
_POOLS = """
SELECT asset_id, library_id,
       CASE WHEN unlimited THEN NULL ELSE total - retired - foreign_count END,
       total, held, foreign_count, waiting
FROM pool WHERE asset_id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE
"""
_TOLD = "UPDATE pool SET untold = false WHERE asset_id = ANY ($1::uuid[]) AND untold"
_NEXT_VERSION = """
UPDATE asset SET version = version + 1 WHERE id = ANY ($1::uuid[])
RETURNING id, version, adam_id, pricing_param, is_book, device_assignable, revocable, platforms
"""


@dataclass(frozen=True, slots=True)
class AssetRow:
    """An asset at the version that is told now."""

    asset_id: UUID
    version: int
    adam_id: str
    pricing_param: str
    is_book: bool
    device_assignable: bool
    revocable: bool
    platforms: Sequence[str]


@dataclass(frozen=True, slots=True)
class PoolRow:
    """The counts of one of its pools. `capacity` is None where the asset is unlimited there."""

    library_id: str
    capacity: int | None
    total: int
    held: int
    foreign: int
    waiting: int


async def take_untold(tx: Transaction, limit: int) -> list[tuple[AssetRow, list[PoolRow]]]:
    """Lock the pools of assets that are due to be told, and give each asset its next version."""
    asset_ids = [row["asset_id"] for row in await tx.raw.fetch(_UNTOLD, limit)]
    if not asset_ids:
        return []
    tx.reach(Rung.POOLS)
    pools: dict[UUID, list[PoolRow]] = defaultdict(list)
    for row in await tx.raw.fetch(_POOLS, asset_ids):
        pools[row[0]].append(PoolRow(*tuple(row)[1:]))
    await tx.raw.execute(_TOLD, asset_ids)
    rows = await tx.raw.fetch(_NEXT_VERSION, asset_ids)
    return [(AssetRow(*row), pools[row["id"]]) for row in rows]
