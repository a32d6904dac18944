"""Covers: which assignments stand on which device, and the life that the latest of them points to."""

from collections.abc import Sequence
from uuid import UUID

from asyncpg import Record

from assignment.model import Cover, State
from assignment.store.wishes import wish_of
from shared.database import Transaction

_SELECT = """
SELECT c.assignment_id, c.asset_id, c.device_id, c.entitlement_id, c.ended_at IS NOT NULL AS ended,
    a.assignment_mode, a.install_mode, a.priority, a.expires_at, a.no_wait, a.library_id
FROM covers c
JOIN assignments a ON a.id = c.assignment_id
"""
_AT = f"""{_SELECT}
WHERE c.device_id = ANY ($1::uuid[]) AND c.asset_id = ANY ($2::uuid[])
    AND (c.ended_at IS NULL OR c.assignment_id = ANY ($3::uuid[]))
"""
# Lives that have ended stay ended, so that they may be told apart before they are locked.
_ON = f"""{_SELECT}
JOIN entitlements e ON e.id = c.entitlement_id
WHERE c.device_id = ANY ($1::uuid[]) AND c.ended_at IS NULL
    AND (e.ended_at IS NOT NULL OR c.device_id = ANY ($2::uuid[]))
"""
_OF = f"""{_SELECT}
WHERE c.assignment_id = ANY ($1::uuid[]) AND c.device_id = ANY ($2::uuid[]) AND c.ended_at IS NULL
"""
_DEVICES = """
SELECT device_id FROM covers
WHERE assignment_id = $1 AND ended_at IS NULL AND device_id > $2
ORDER BY device_id LIMIT $3
"""
_OUTSIDERS = """
SELECT device_id FROM covers
WHERE assignment_id = $1 AND ended_at IS NULL AND device_id > $3
    AND NOT EXISTS (
        SELECT FROM device_group_members m WHERE m.group_id = $2 AND m.device_id = covers.device_id)
ORDER BY device_id LIMIT $4
"""
_PUT = """
INSERT INTO covers (assignment_id, device_id, asset_id, entitlement_id)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[])
ON CONFLICT (assignment_id, device_id) DO UPDATE SET entitlement_id = excluded.entitlement_id, ended_at = NULL
"""
_DROP = """
DELETE FROM covers USING unnest($1::uuid[], $2::uuid[]) AS gone (assignment_id, device_id)
WHERE covers.assignment_id = gone.assignment_id AND covers.device_id = gone.device_id
"""
_END = """
UPDATE covers SET ended_at = $3
FROM unnest($1::uuid[], $2::uuid[]) AS gone (assignment_id, device_id)
WHERE covers.assignment_id = gone.assignment_id AND covers.device_id = gone.device_id
"""
# Each moved life counts in every assignment whose cover points to it.
_SHIFTS = """
SELECT c.assignment_id, moved.before, moved.after, count(*) AS lives
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[])
     AS moved (entitlement_id, device_id, asset_id, before, after)
JOIN covers c ON c.device_id = moved.device_id AND c.asset_id = moved.asset_id
    AND c.entitlement_id = moved.entitlement_id
GROUP BY 1, 2, 3
"""


async def at(
    tx: Transaction, *, device_ids: Sequence[UUID], asset_ids: Sequence[UUID], assignment_ids: Sequence[UUID]
) -> list[Cover]:
    """Return the covers standing on these assets on these devices, and ended ones of these assignments there."""
    return [_cover(row) for row in await tx.raw.fetch(_AT, device_ids, asset_ids, assignment_ids)]


async def of(tx: Transaction, *, assignment_ids: Sequence[UUID], device_ids: Sequence[UUID]) -> list[Cover]:
    """Return the standing covers of these assignments on these devices."""
    return [_cover(row) for row in await tx.raw.fetch(_OF, assignment_ids, device_ids)]


async def on(tx: Transaction, device_ids: Sequence[UUID], *, with_living: Sequence[UUID]) -> list[Cover]:
    """Return the covers standing on these devices whose life has ended; on some of them also those that live."""
    return [_cover(row) for row in await tx.raw.fetch(_ON, device_ids, with_living)]


async def devices_after(tx: Transaction, assignment_id: UUID, *, cursor: UUID, limit: int) -> list[UUID]:
    """Return the next devices that an assignment covers, in the order of their ids."""
    return [row["device_id"] for row in await tx.raw.fetch(_DEVICES, assignment_id, cursor, limit)]


async def outsiders_after(
    tx: Transaction, assignment_id: UUID, *, group_id: UUID, cursor: UUID, limit: int
) -> list[UUID]:
    """Return the next devices that an assignment covers without their being in its group, in the order of ids."""
    rows = await tx.raw.fetch(_OUTSIDERS, assignment_id, group_id, cursor, limit)
    return [row["device_id"] for row in rows]


async def put(tx: Transaction, covers: Sequence[tuple[UUID, UUID, UUID, UUID]]) -> None:
    """Store covers as (assignment, device, asset, entitlement); one that was there points to the new life."""
    await tx.raw.execute(_PUT, *(list(column) for column in zip(*covers, strict=True)))


async def drop(tx: Transaction, covers: Sequence[tuple[UUID, UUID]]) -> None:
    """Delete covers, as (assignment, device)."""
    await tx.raw.execute(_DROP, *(list(column) for column in zip(*covers, strict=True)))


async def end(tx: Transaction, covers: Sequence[tuple[UUID, UUID]]) -> None:
    """End covers, as (assignment, device), which stay to show how the revoke goes."""
    await tx.raw.execute(_END, *(list(column) for column in zip(*covers, strict=True)), tx.now)


async def shifts(
    tx: Transaction, moved: Sequence[tuple[UUID, UUID, UUID, State, State]]
) -> list[tuple[UUID, State, State, int]]:
    """Return how many lives moved from state to state in each assignment.

    `moved` is (entitlement, device, asset, state before, state after).
    """
    rows = await tx.raw.fetch(_SHIFTS, *(list(column) for column in zip(*moved, strict=True)))
    return [(row["assignment_id"], State(row["before"]), State(row["after"]), row["lives"]) for row in rows]


def _cover(row: Record) -> Cover:
    return Cover(
        assignment_id=row["assignment_id"],
        asset_id=row["asset_id"],
        device_id=row["device_id"],
        entitlement_id=row["entitlement_id"],
        wish=wish_of(row),
        ended=row["ended"],
    )
