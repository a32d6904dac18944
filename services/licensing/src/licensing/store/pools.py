"""Pools: lock them, write their counters back.

A pool's row is the lock of all its licences and intents: whoever writes one of those holds this row. So a
licence needs no lock of its own, nobody ever waits for one while holding a pool, and what is read after the
lock is what is true until the commit.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from uuid import UUID

import asyncpg

from licensing.model import Pool
from shared.database import Transaction
from shared.locks import Rung

_COLUMNS = """
SELECT pool.id, pool.asset_id, pool.library_id, asset.adam_id, asset.pricing_param, asset.device_assignable,
       asset.revocable, library.state IN ('suspended', 'fenced'),
       CASE WHEN pool.unlimited THEN NULL ELSE pool.total - pool.retired - pool.foreign_count END,
       pool.held, pool.waiting, pool.arrival, pool.foreign_count, NOT pool.preferred, library.preference,
       library.reclaim::text
FROM pool JOIN asset ON asset.id = pool.asset_id JOIN library ON library.id = pool.library_id
"""
_OF_ASSETS = _COLUMNS + "WHERE pool.asset_id = ANY ($1::uuid[]) ORDER BY pool.id FOR UPDATE OF pool"
_WITH_SISTERS = (
    _COLUMNS
    + """
WHERE pool.asset_id IN (SELECT asset_id FROM pool WHERE id = ANY ($1::uuid[])) ORDER BY pool.id FOR UPDATE OF pool
"""
)
_READ = _COLUMNS + "WHERE pool.id = $1"
_SAVE = """
UPDATE pool SET held = new.held, waiting = new.waiting, arrival = new.arrival, untold = true
FROM unnest($1::uuid[], $2::int[], $3::int[], $4::bigint[]) AS new (id, held, waiting, arrival)
WHERE pool.id = new.id
"""
_WANT_LISTS = """
UPDATE pool SET list_wanted = true WHERE id = ANY ($1::uuid[]) AND NOT list_wanted RETURNING id
"""
_PREFER = """
UPDATE pool SET preferred = (library_id = $2) WHERE asset_id = $1 AND preferred <> (library_id = $2)
"""
_TAKE_LIST = "UPDATE pool SET list_wanted = false WHERE id = $1"
_IDLE = """
SELECT id FROM pool AS queue
WHERE waiting > 0 AND EXISTS (
    SELECT FROM pool AS sister
    WHERE sister.asset_id = queue.asset_id
      AND (sister.unlimited OR sister.held < sister.total - sister.retired - sister.foreign_count)
      AND EXISTS (SELECT FROM license
                  WHERE license.pool_id = queue.id AND license.state = 'waitlisted'
                    AND (license.library_id IS NULL OR license.library_id = sister.library_id)))
ORDER BY random() LIMIT $1
"""


async def lock_of_assets(tx: Transaction, asset_ids: Collection[UUID]) -> list[Pool]:
    """Lock all pools of these assets, in id order."""
    tx.reach(Rung.POOLS)
    return [_pool(row) for row in await tx.raw.fetch(_OF_ASSETS, list(asset_ids))]


async def lock(tx: Transaction, pool_ids: Collection[UUID]) -> list[Pool]:
    """Lock these pools and all others of their assets, in id order: a waiter of one may be served by another."""
    tx.reach(Rung.POOLS)
    return [_pool(row) for row in await tx.raw.fetch(_WITH_SISTERS, list(pool_ids))]


async def read(tx: Transaction, pool_id: UUID) -> Pool | None:
    """Return a pool as it stands, without its lock."""
    row = await tx.raw.fetchrow(_READ, pool_id)
    return None if row is None else _pool(row)


async def save(tx: Transaction, pools: Sequence[Pool]) -> None:
    """Write the counters of locked pools back; AssetChanged is due for them."""
    await tx.raw.execute(
        _SAVE,
        [pool.pool_id for pool in pools],
        [pool.held for pool in pools],
        [pool.waiting for pool in pools],
        [pool.arrival for pool in pools],
    )


async def want_lists(tx: Transaction, pool_ids: Collection[UUID]) -> list[UUID]:
    """Note that Apple's lists of these locked pools are wanted; return those for which nobody had noted it yet."""
    return [row["id"] for row in await tx.raw.fetch(_WANT_LISTS, pool_ids)]


async def prefer(tx: Transaction, asset_id: UUID, library_id: str) -> None:
    """Make this the default library of an asset whose pools are locked."""
    await tx.raw.execute(_PREFER, asset_id, library_id)


async def take_list(tx: Transaction, pool_id: UUID) -> None:
    """Note that the list of a locked pool is being read: whoever wants it from now on wants a later one."""
    await tx.raw.execute(_TAKE_LIST, pool_id)


async def idle_beside_waiters(tx: Transaction, *, limit: int) -> list[UUID]:
    """Return pools in which somebody waits beside a free licence, or one of a sister; each as likely as another."""
    return [row["id"] for row in await tx.raw.fetch(_IDLE, limit)]


def _pool(row: asyncpg.Record) -> Pool:
    *values, not_preferred, preference, grace = row
    return replace(Pool(*values), rank=(not_preferred, preference), grace=json.loads(grace))
