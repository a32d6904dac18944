"""What Apple's lists say, stored beside the ledger."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from licensing.model import AssetList, ListedAsset, Reading
from shared.database import Transaction
from shared.ids import asset_id, new_ids

_FACTS = """
(SELECT id, adam_id, pricing_param, is_book, device_assignable, revocable,
        string_to_array(platforms, ',') AS platforms
 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bool[], $5::bool[], $6::bool[], $7::text[])
      AS row (id, adam_id, pricing_param, is_book, device_assignable, revocable, platforms)) AS new
"""
_RENEWED = f"""
SELECT new.id FROM {_FACTS} LEFT JOIN asset ON asset.id = new.id
WHERE (asset.is_book, asset.device_assignable, asset.revocable, asset.platforms)
   IS DISTINCT FROM (new.is_book, new.device_assignable, new.revocable, new.platforms)
"""
_STORE_FACTS = f"""
INSERT INTO asset (id, adam_id, pricing_param, is_book, device_assignable, revocable, platforms)
SELECT * FROM {_FACTS}
ON CONFLICT (id) DO UPDATE SET is_book = excluded.is_book, device_assignable = excluded.device_assignable,
    revocable = excluded.revocable, platforms = excluded.platforms
"""
_COLUMNS = "(asset_id, unlimited, total, retired, apple_available, apple_assigned)"
_NEW = f"""
unnest($2::uuid[], $3::bool[], $4::int[], $5::int[], $6::int[], $7::int[]) AS new {_COLUMNS}
"""
_CHANGED = f"""
SELECT pool.id FROM {_NEW} JOIN pool ON pool.asset_id = new.asset_id AND pool.library_id = $1
WHERE (pool.unlimited, pool.total, pool.retired, pool.apple_available, pool.apple_assigned)
   IS DISTINCT FROM (new.unlimited, new.total, new.retired, new.apple_available, new.apple_assigned)
   OR pool.asset_id = ANY ($8::uuid[]) OR new.apple_assigned > pool.held + pool.foreign_count
"""
_GONE = """
SELECT id FROM pool WHERE library_id = $1 AND (total > 0 OR unlimited) AND asset_id <> ALL ($2::uuid[])
"""
_UPDATE = f"""
UPDATE pool SET unlimited = new.unlimited, total = new.total, retired = new.retired,
       apple_available = new.apple_available, apple_assigned = new.apple_assigned, read_at = $8,
       untold = pool.untold OR (pool.unlimited, pool.total, pool.retired)
                    IS DISTINCT FROM (new.unlimited, new.total, new.retired)
FROM {_NEW} WHERE pool.asset_id = new.asset_id AND pool.id = ANY ($1::uuid[]) AND pool.read_at <= $8
"""
_INSERT = f"""
INSERT INTO pool (id, library_id, asset_id, unlimited, total, retired, apple_available, apple_assigned, read_at)
SELECT id, $1, new.asset_id, unlimited, total, retired, apple_available, apple_assigned, $8
FROM {_NEW} JOIN unnest($9::uuid[], $2::uuid[]) AS named (id, asset_id) ON named.asset_id = new.asset_id
ON CONFLICT (asset_id, library_id) DO NOTHING RETURNING id
"""
_EMPTY = """
UPDATE pool SET total = 0, retired = 0, apple_available = 0, apple_assigned = 0, unlimited = false,
       read_at = $2, untold = true
WHERE id = ANY ($1::uuid[]) AND read_at <= $2
"""
_UNTOLD = "UPDATE pool SET untold = true WHERE asset_id = ANY ($1::uuid[])"
_SUSPICIOUS = """
SELECT id FROM pool WHERE id = ANY ($1::uuid[]) AND NOT list_wanted
  AND (apple_assigned > held + foreign_count OR (foreign_count > 0 AND read_at = $2))
"""


async def renewed_assets(tx: Transaction, listed: Sequence[ListedAsset]) -> list[ListedAsset]:
    """Return the assets that are new, or described otherwise than they are stored."""
    renewed = {row["id"] for row in await tx.raw.fetch(_RENEWED, *_facts(listed))}
    return [each for each, its_id in zip(listed, _ids(listed), strict=True) if its_id in renewed]


async def store_facts(tx: Transaction, renewed: Sequence[ListedAsset]) -> None:
    """Store what these assets are. Their pools are locked: who tells an asset locks in the same order."""
    await tx.raw.execute(_STORE_FACTS, *_facts(renewed))


async def moved_pools(
    tx: Transaction, library_id: str, listed: AssetList, renewed: Sequence[ListedAsset]
) -> tuple[list[UUID], list[UUID]]:
    """Return the pools that this reading concerns, and those whose asset is gone from the list.

    It concerns those whose counts differ or raise a suspicion, and those of renewed assets.
    """
    changed = await tx.raw.fetch(_CHANGED, library_id, *_columns(listed.assets), _ids(renewed))
    gone = await tx.raw.fetch(_GONE, library_id, _ids(listed.assets)) if listed.exact else []
    return [row["id"] for row in changed], [row["id"] for row in gone]


async def store_counts(
    tx: Transaction, pool_ids: Sequence[UUID], listed: Sequence[ListedAsset], began: datetime
) -> None:
    """Store a reading of these locked pools. A reading that began earlier than the stored one changes nothing."""
    await tx.raw.execute(_UPDATE, pool_ids, *_columns(listed), began)


async def open_pools(
    tx: Transaction, library_id: str, listed: Sequence[ListedAsset], began: datetime
) -> list[UUID]:
    """Open pools for assets that the library had not held before; return them."""
    rows = await tx.raw.fetch(_INSERT, library_id, *_columns(listed), began, new_ids(len(listed)))
    return [row["id"] for row in rows]


async def empty(tx: Transaction, pool_ids: Sequence[UUID], began: datetime) -> None:
    """Store that Apple lists nothing any more for these locked pools."""
    await tx.raw.execute(_EMPTY, pool_ids, began)


async def tell_again(tx: Transaction, renewed: Sequence[ListedAsset]) -> None:
    """Let AssetChanged be told of these assets; their pools are locked."""
    await tx.raw.execute(_UNTOLD, _ids(renewed))


async def suspicious(tx: Transaction, pool_ids: Sequence[UUID], began: datetime) -> list[UUID]:
    """Return those of these locked pools in which another hand seems to be at work: their lists will tell.

    Counts only raise the suspicion; foreign is counted by reading lists, never by subtracting (promise 1).
    """
    return [row["id"] for row in await tx.raw.fetch(_SUSPICIOUS, pool_ids, began)]


def _ids(listed: Sequence[ListedAsset]) -> list[UUID]:
    return [asset_id(each.facts.key.adam_id, each.facts.key.pricing_param) for each in listed]


def _facts(listed: Sequence[ListedAsset]) -> tuple[list[object], ...]:
    facts = [each.facts for each in listed]
    return (
        [*_ids(listed)],
        [each.key.adam_id for each in facts],
        [each.key.pricing_param for each in facts],
        [each.is_book for each in facts],
        [each.device_assignable for each in facts],
        [each.revocable for each in facts],
        [",".join(each.platforms) for each in facts],
    )


def _columns(listed: Sequence[ListedAsset]) -> tuple[list[object], ...]:
    readings: list[Reading] = [each.reading for each in listed]
    return (
        [*_ids(listed)],
        [each.unlimited for each in readings],
        [each.total for each in readings],
        [each.retired for each in readings],
        [each.available for each in readings],
        [each.assigned for each in readings],
    )
