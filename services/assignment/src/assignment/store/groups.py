"""Device groups and their members: FOR SHARE to read the members, FOR UPDATE to change them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.database import Transaction

_INSERT = "INSERT INTO device_groups (id, name, created_at) VALUES ($1, $2, $3)"
_SIZES = """
SELECT id, member_count FROM device_groups WHERE id = ANY ($1::uuid[]) ORDER BY id FOR SHARE
"""
_LOCK = "SELECT id FROM device_groups WHERE id = $1 FOR UPDATE"
_MEMBERS = """
SELECT group_id, device_id FROM device_group_members WHERE group_id = ANY ($1::uuid[]) ORDER BY group_id, device_id
"""
_PAGE = """
SELECT device_id FROM device_group_members
WHERE group_id = $1 AND device_id > $2 ORDER BY device_id LIMIT $3
"""
_BETWEEN = """
SELECT device_id FROM device_group_members
WHERE group_id = $1 AND device_id > $2 AND ($3::uuid IS NULL OR device_id <= $3) ORDER BY device_id
"""
_ADD = """
INSERT INTO device_group_members (group_id, device_id, added_at)
SELECT $1, device_id, $3 FROM unnest($2::uuid[]) AS device_id
ON CONFLICT DO NOTHING RETURNING device_id
"""
_REMOVE = """
DELETE FROM device_group_members WHERE group_id = $1 AND device_id = ANY ($2::uuid[]) RETURNING device_id
"""
_COUNT = "UPDATE device_groups SET member_count = member_count + $2 WHERE id = $1"


@dataclass(frozen=True, slots=True)
class Slice:
    """Members of a group with ids above `cursor`, up to `until` or to the end."""

    group_id: UUID
    cursor: UUID
    until: UUID | None


async def insert(tx: Transaction, group_id: UUID, name: str) -> None:
    """Store a group without members."""
    await tx.raw.execute(_INSERT, group_id, name, tx.now)


async def sizes(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, int]:
    """Lock groups FOR SHARE and return how many members each has; unknown ids are absent."""
    return {row["id"]: row["member_count"] for row in await tx.raw.fetch(_SIZES, ids)}


async def lock(tx: Transaction, group_id: UUID) -> bool:
    """Lock a group FOR UPDATE; returns whether there is such a group."""
    return await tx.raw.fetchval(_LOCK, group_id) is not None


async def members(tx: Transaction, ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """Return the device ids of each of these groups; read under their locks."""
    found: dict[UUID, list[UUID]] = {group_id: [] for group_id in ids}
    for row in await tx.raw.fetch(_MEMBERS, ids):
        found[row["group_id"]].append(row["device_id"])
    return found


async def members_after(tx: Transaction, group_id: UUID, *, cursor: UUID, limit: int) -> list[UUID]:
    """Return the next members, in the order of their ids."""
    return [row["device_id"] for row in await tx.raw.fetch(_PAGE, group_id, cursor, limit)]


async def members_between(tx: Transaction, part: Slice) -> list[UUID]:
    """Return the members of one slice; read under the group's lock."""
    rows = await tx.raw.fetch(_BETWEEN, part.group_id, part.cursor, part.until)
    return [row["device_id"] for row in rows]


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
