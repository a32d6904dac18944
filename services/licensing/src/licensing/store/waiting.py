"""Who waits for a licence, and in which order. Their pools are locked."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import asyncpg

from licensing.model import Holder, License
from licensing.store.license_rows import COLUMNS, SELECT, to_license
from shared.database import Transaction

_BUSY = """
EXISTS (SELECT FROM license AS other
        WHERE other.asset_id = license.asset_id AND other.intent_id IS NOT NULL
          AND (other.serial_number = license.serial_number OR other.user_id = license.user_id)) AS busy
"""
_FIRST_WAITING = f"""
SELECT {COLUMNS}, {_BUSY}
FROM license LEFT JOIN intent ON intent.id = license.intent_id
WHERE license.pool_id = ANY ($1::uuid[]) AND license.state = 'waitlisted'
  AND (license.library_id IS NULL OR license.library_id = $2)
  AND (license.expires_at IS NULL OR license.expires_at > $3)
ORDER BY license.priority DESC, license.arrival LIMIT $4
"""
_WAITED_FOR = """
SELECT DISTINCT library_id FROM license
WHERE pool_id = ANY ($1::uuid[]) AND state = 'waitlisted' AND (expires_at IS NULL OR expires_at > $2)
"""
_WAITING_FOREIGN = f"""
SELECT {COLUMNS}, {_BUSY}
FROM pool JOIN pool AS sister ON sister.asset_id = pool.asset_id
          JOIN license ON license.pool_id = sister.id AND license.state = 'waitlisted'
                      AND (license.library_id IS NULL OR license.library_id = pool.library_id)
          LEFT JOIN intent ON intent.id = license.intent_id
          LEFT JOIN apple_user ON (apple_user.library_id, apple_user.user_id) = (pool.library_id, license.user_id)
          JOIN foreign_assignment AS stranger
            ON stranger.pool_id = pool.id AND stranger.of_people = (license.user_id IS NOT NULL)
           AND stranger.holder = coalesce(license.serial_number, apple_user.client_user_id, license.user_id::text)
WHERE pool.id = $1
"""
_EXPIRED = f"""
{SELECT} WHERE license.pool_id = ANY ($1::uuid[]) AND license.state = 'waitlisted' AND license.expires_at <= $2
"""
_POOLS_WITH_EXPIRED = """
SELECT DISTINCT pool_id FROM license WHERE state = 'waitlisted' AND expires_at <= $1 LIMIT $2
"""
_LOWER = """
SELECT asked.pool_id, asked.priority, count(license.entitlement_id)
FROM unnest($1::uuid[], $2::int[]) AS asked (pool_id, priority)
LEFT JOIN license ON license.pool_id = asked.pool_id AND license.state = 'waitlisted'
                 AND license.priority < asked.priority
GROUP BY asked.pool_id, asked.priority
"""
_POSITIONS = """
SELECT entitlement_id, position
FROM (SELECT entitlement_id,
             row_number() OVER (PARTITION BY pool_id ORDER BY priority DESC, arrival) AS position
      FROM license WHERE state = 'waitlisted' AND pool_id = ANY ($2::uuid[])) AS waitlist
WHERE entitlement_id = ANY ($1::uuid[])
"""


async def first_waiting(
    tx: Transaction, pool_ids: Collection[UUID], library_id: str, limit: int
) -> tuple[list[License], set[Holder]]:
    """Return who is first among those who may have a licence of this library, and who of them is busy.

    They wait in any of these pools; busy is whom another request to Apple is about.
    """
    return _waiting(await tx.raw.fetch(_FIRST_WAITING, list(pool_ids), library_id, tx.now, limit))


async def libraries_waited_for(tx: Transaction, pool_ids: Collection[UUID]) -> set[str | None]:
    """Return the libraries on which those insist who wait in these pools; None among them is any library.

    Reads the whole waitlist of each pool.
    """
    return {row["library_id"] for row in await tx.raw.fetch(_WAITED_FOR, list(pool_ids), tx.now)}


async def waiting_foreign(tx: Transaction, pool_id: UUID) -> tuple[list[License], set[Holder]]:
    """Return who waits, in whichever pool of the asset, though a foreign licence of this one is theirs.

    And who of them is busy.
    """
    return _waiting(await tx.raw.fetch(_WAITING_FOREIGN, pool_id))


async def expired(tx: Transaction, pool_ids: Collection[UUID]) -> list[License]:
    """Return who waits in these locked pools longer than was wanted."""
    return [to_license(row) for row in await tx.raw.fetch(_EXPIRED, list(pool_ids), tx.now)]


async def pools_with_expired(tx: Transaction, *, limit: int) -> list[UUID]:
    """Return pools in which somebody waits longer than was wanted."""
    return [row["pool_id"] for row in await tx.raw.fetch(_POOLS_WITH_EXPIRED, tx.now, limit)]


async def waiting_below(
    tx: Transaction, places: Sequence[tuple[UUID, int]]
) -> Mapping[tuple[UUID, int], int]:
    """Return for each (pool, priority) how many wait in the pool with a lower priority."""
    rows = await tx.raw.fetch(_LOWER, [pool for pool, _ in places], [priority for _, priority in places])
    return {(row[0], row[1]): row[2] for row in rows}


async def positions(
    tx: Transaction, entitlement_ids: Collection[UUID], pool_ids: Collection[UUID]
) -> Mapping[UUID, int]:
    """Return the present places of waiters, counted from 1. Reads the whole waitlist of each pool."""
    rows = await tx.raw.fetch(_POSITIONS, list(entitlement_ids), list(pool_ids))
    return {row["entitlement_id"]: row["position"] for row in rows}


def _waiting(rows: Sequence[asyncpg.Record]) -> tuple[list[License], set[Holder]]:
    waiting = [to_license(row) for row in rows]
    return waiting, {each.holder for each, row in zip(waiting, rows, strict=True) if row["busy"]}
