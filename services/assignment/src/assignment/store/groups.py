"""Device groups and their members: FOR SHARE to read the members, FOR UPDATE to change them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from shared.database import Transaction

_INSERT = "INSERT INTO device_groups (id, name, created_at) VALUES ($1, $2, $3)"
_SIZES = """
SELECT id, member_count FROM device_groups WHERE id = ANY ($1::uuid[]) ORDER BY id FOR SHARE
"""
_LOCK = "SELECT member_count FROM device_groups WHERE id = $1 FOR UPDATE"
_MEMBERS = """
SELECT group_id, device_id FROM device_group_members WHERE group_id = ANY ($1::uuid[]) ORDER BY group_id, device_id
"""
_PAGE = """
SELECT device_id FROM device_group_members
WHERE group_id = $1 AND device_id > $2 AND ($3::timestamptz IS NULL OR added_at = $3) ORDER BY device_id LIMIT $4
"""
_PRESENT = "SELECT device_id FROM device_group_members WHERE group_id = $1 AND device_id = ANY ($2::uuid[])"
_ADD = """
INSERT INTO device_group_members (group_id, device_id, added_at)
SELECT $1, device_id, $3 FROM unnest($2::uuid[]) AS device_id
ON CONFLICT DO NOTHING RETURNING device_id
"""
_REMOVE = """
DELETE FROM device_group_members WHERE group_id = $1 AND device_id = ANY ($2::uuid[]) RETURNING device_id
"""
_COUNT = "UPDATE device_groups SET member_count = member_count + $2 WHERE id = $1"


async def insert(tx: Transaction, group_id: UUID, name: str) -> None:
    """Store a group without members."""
    await tx.raw.execute(_INSERT, group_id, name, tx.now)


async def sizes(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, int]:
    """Lock groups FOR SHARE and return how many members each has; unknown ids are absent."""
    return {row["id"]: row["member_count"] for row in await tx.raw.fetch(_SIZES, ids)}


async def lock(tx: Transaction, group_id: UUID) -> int | None:
    """Lock a group FOR UPDATE; returns how many members it has, None where there is no such group."""
    size: int | None = await tx.raw.fetchval(_LOCK, group_id)
    return size


async def members(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """Return the device ids of each of these groups; read under their locks."""
    found: dict[UUID, list[UUID]] = {group_id: [] for group_id in ids}
    for row in await tx.raw.fetch(_MEMBERS, ids):
        found[row["group_id"]].append(row["device_id"])
    return found


async def members_after(
    tx: Transaction, group_id: UUID, *, cursor: UUID, joined_at: datetime | None, limit: int
) -> list[UUID]:
    """Return the next members, or the next of those who joined then, in the order of their ids."""
    rows = await tx.raw.fetch(_PAGE, group_id, cursor, joined_at, limit)
    return [row["device_id"] for row in rows]


async def present(tx: Transaction, group_id: UUID, device_ids: Sequence[UUID]) -> set[UUID]:
    """Return which of these devices are members; read under the group's lock."""
    return {row["device_id"] for row in await tx.raw.fetch(_PRESENT, group_id, device_ids)}


async def add(tx: Transaction, group_id: UUID, device_ids: Sequence[UUID]) -> list[UUID]:
    """Add members; returns those who were not in the group before."""
    joined = [row["device_id"] for row in await tx.raw.fetch(_ADD, group_id, device_ids, tx.now)]
    await tx.raw.execute(_COUNT, group_id, len(joined))
    return joined


async def remove(tx: Transaction, group_id: UUID, device_ids: Sequence[UUID]) -> list[UUID]:
    """Remove members; returns those who were in the group."""
    left = [row["device_id"] for row in await tx.raw.fetch(_REMOVE, group_id, device_ids)]
    await tx.raw.execute(_COUNT, group_id, -len(left))
    return left
