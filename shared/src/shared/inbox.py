"""The inbox: which events a consumer has done already, claimed in the transaction of their effects."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from shared.database import Database, Transaction

KEPT = timedelta(days=15)
"""Longer than any topic keeps its records, a replay or a late relay included."""

_CLAIM = """
INSERT INTO inbox (consumer, event_id, claimed_at)
SELECT $1, event_id, $3 FROM unnest($2::uuid[]) AS event_id
ON CONFLICT DO NOTHING RETURNING event_id
"""

_DONE = "SELECT event_id FROM inbox WHERE consumer = $1 AND event_id = ANY ($2::uuid[])"

_PRUNE = """
DELETE FROM inbox WHERE ctid = ANY (ARRAY(SELECT ctid FROM inbox WHERE claimed_at < $1 LIMIT $2))
"""


async def claim(tx: Transaction, consumer: str, event_ids: Iterable[UUID]) -> set[UUID]:
    """Claim these events and return those that nobody claimed before; the others are done."""
    rows = await tx.raw.fetch(_CLAIM, consumer, sorted(set(event_ids)), tx.now)
    return {row["event_id"] for row in rows}


async def done(tx: Transaction, consumer: str, event_ids: Iterable[UUID]) -> set[UUID]:
    """Return those of these events that were claimed before; claim none."""
    rows = await tx.raw.fetch(_DONE, consumer, list(set(event_ids)))
    return {row["event_id"] for row in rows}


async def prune(database: Database, *, slice_size: int = 10_000) -> int:
    """Forget claims older than KEPT, in slices; return how many."""
    forgotten = 0
    while True:
        async with database.transaction() as tx:
            gone = int((await tx.raw.execute(_PRUNE, tx.now - KEPT, slice_size)).split()[-1])
        forgotten += gone
        if gone < slice_size:
            return forgotten
