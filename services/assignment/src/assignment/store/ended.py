"""What ended long ago, found on a walk along the primary keys: no index has to be written for it to be found."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from assignment.model import State
from shared.database import Transaction

_FORGETTABLE = """
SELECT id, device_id FROM entitlements
WHERE id > $1 AND ($2::uuid IS NULL OR id <= $2) AND ended_at < $3 AND state <> 'revoking'
"""
# Whoever asks why is answered while a cover stands on the life; an ask to the device is repeated until its answer.
_LOCK = """
SELECT id FROM entitlements life
WHERE id = ANY ($1::uuid[])
    AND NOT EXISTS (
        SELECT FROM covers c
        WHERE c.device_id = life.device_id AND c.asset_id = life.asset_id AND c.entitlement_id = life.id
            AND (c.ended_at IS NULL OR c.ended_at >= $2))
    AND NOT EXISTS (SELECT FROM deliveries d WHERE d.entitlement_id = life.id AND d.ask_deadline_at IS NOT NULL)
ORDER BY id FOR UPDATE
"""
_DELETE_COVERS = """
WITH gone AS (
    DELETE FROM covers c USING entitlements life
    WHERE life.id = ANY ($1::uuid[])
        AND c.device_id = life.device_id AND c.asset_id = life.asset_id AND c.entitlement_id = life.id
    RETURNING c.assignment_id, life.state)
SELECT assignment_id, state, count(*) AS covers FROM gone GROUP BY 1, 2
"""
_DELETE_DELIVERIES = "DELETE FROM deliveries WHERE entitlement_id = ANY ($1::uuid[])"
# A step that other lives took is theirs still.
_DELETE_LIVES = """
WITH gone AS (DELETE FROM entitlements WHERE id = ANY ($1::uuid[]) RETURNING steps),
    taken AS (SELECT step, count(*) AS lives FROM gone, unnest(steps) AS step GROUP BY step),
    kept AS (
        UPDATE steps SET lives = steps.lives - taken.lives FROM taken
        WHERE steps.id = taken.step AND steps.lives > taken.lives)
DELETE FROM steps USING taken WHERE steps.id = taken.step AND steps.lives <= taken.lives
"""
_DELETE_ASSIGNMENTS = """
WITH gone AS (
    DELETE FROM assignments
    WHERE id > $1 AND ($2::uuid IS NULL OR id <= $2) AND ended_at < $3 AND unfolding = 0
        AND NOT EXISTS (SELECT FROM covers c WHERE c.assignment_id = assignments.id)
    RETURNING id)
DELETE FROM totals USING gone WHERE totals.assignment_id = gone.id
"""
_DELETE_REQUESTS = """
DELETE FROM requests
WHERE id > $1 AND ($2::uuid IS NULL OR id <= $2) AND created_at < $3
    AND NOT EXISTS (SELECT FROM assignments a WHERE a.request_id = requests.id)
"""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows with ids above `after`, up to `until` or to the end of the table."""

    after: UUID
    until: UUID | None


async def stretch(tx: Transaction, table: str, after: UUID, *, rows: int) -> Stretch:
    """Return the next stretch of so many rows of a table; the last one has no `until`."""
    statement = f"SELECT id FROM {table} WHERE id > $1 ORDER BY id OFFSET $2 LIMIT 1"
    return Stretch(after, await tx.raw.fetchval(statement, after, rows - 1))


async def lives(tx: Transaction, part: Stretch, *, before: datetime) -> dict[UUID, UUID]:
    """Return the lives in a stretch that ended before a time, each with its device; nothing is locked."""
    rows = await tx.raw.fetch(_FORGETTABLE, part.after, part.until, before)
    return {row["id"]: row["device_id"] for row in rows}


async def lock_lives(tx: Transaction, ids: Iterable[UUID], *, before: datetime) -> list[UUID]:
    """Lock those of these lives that nothing needs any more; their devices are locked before.

    Needed is a life with a cover that stands, or ended since, and one of which a device has yet to answer.
    """
    return [row["id"] for row in await tx.raw.fetch(_LOCK, list(ids), before)]


async def delete_lives(tx: Transaction, ids: Iterable[UUID]) -> list[tuple[UUID, State, int]]:
    """Delete lives with their covers, deliveries and steps.

    Returns how many covers went, as (assignment, state of the life, covers).
    """
    listed = list(ids)
    covers = await tx.raw.fetch(_DELETE_COVERS, listed)
    await tx.raw.execute(_DELETE_DELIVERIES, listed)
    await tx.raw.execute(_DELETE_LIVES, listed)
    return [(row["assignment_id"], State(row["state"]), row["covers"]) for row in covers]


async def delete_assignments(tx: Transaction, part: Stretch, *, before: datetime) -> None:
    """Delete the assignments in a stretch that ended before a time and have no cover left."""
    await tx.raw.execute(_DELETE_ASSIGNMENTS, part.after, part.until, before)


async def delete_requests(tx: Transaction, part: Stretch, *, before: datetime) -> None:
    """Delete the requests in a stretch that came before a time and have no assignment left."""
    await tx.raw.execute(_DELETE_REQUESTS, part.after, part.until, before)
