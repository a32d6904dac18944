"""Foreign assignments: those of Apple's that have no row of ours (promise 1). Guarded by the pool's row."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from shared.database import Transaction

_IS_STRANGE = """
NOT EXISTS (SELECT FROM license
            WHERE license.pool_id = $1 AND license.serial_number = listed.serial_number
              AND (license.state IN ('reserved', 'assigned', 'releasing') OR license.changed_at >= $3))
"""
_LISTED = "FROM unnest($2::text[]) AS listed (serial_number)"
_STRANGERS = f"SELECT listed.serial_number {_LISTED} WHERE {_IS_STRANGE}"
_FORGET = f"""
DELETE FROM foreign_assignment AS known
WHERE pool_id = $1 AND NOT EXISTS (SELECT {_LISTED} WHERE listed.serial_number = known.serial_number)
"""
_STORE = f"""
INSERT INTO foreign_assignment (pool_id, serial_number)
SELECT $1, listed.serial_number {_LISTED} WHERE {_IS_STRANGE} ON CONFLICT DO NOTHING
"""
_COUNT = """
UPDATE pool SET foreign_count = $2 + (SELECT count(*) FROM foreign_assignment WHERE pool_id = $1),
       listed_at = $3, untold = true
WHERE id = $1
"""
_ADOPT = """
WITH adopted AS (DELETE FROM foreign_assignment WHERE pool_id = $1 AND serial_number = ANY ($2::text[])
                 RETURNING serial_number),
     counted AS (UPDATE pool SET foreign_count = foreign_count - (SELECT count(*) FROM adopted)
                 WHERE id = $1 AND EXISTS (SELECT FROM adopted))
SELECT serial_number FROM adopted
"""


async def strangers(
    tx: Transaction, pool_id: UUID, serial_numbers: Collection[str], *, since: datetime
) -> list[str]:
    """Return those of the serials that Apple lists that hold nothing of ours, nor did `since` then."""
    return [row["serial_number"] for row in await tx.raw.fetch(_STRANGERS, pool_id, serial_numbers, since)]


async def store(
    tx: Transaction, pool_id: UUID, serial_numbers: Collection[str], *, people: int, since: datetime
) -> None:
    """Store who in a locked pool is foreign, by a list whose reading began `since` then.

    Who asked us while it was read is ours by now. People are counted only: nothing of theirs can be adopted yet.
    """
    await tx.raw.execute(_FORGET, pool_id, serial_numbers)
    await tx.raw.execute(_STORE, pool_id, serial_numbers, since)
    await tx.raw.execute(_COUNT, pool_id, people, since)


async def adopt(tx: Transaction, pool_id: UUID, serial_numbers: Collection[str]) -> set[str]:
    """Take out those of these targets of a locked pool that are foreign, for they become ours; return them."""
    return {row["serial_number"] for row in await tx.raw.fetch(_ADOPT, pool_id, serial_numbers)}
