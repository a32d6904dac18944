"""Users: the people of the organisation."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from assignment.model import User
from shared.database import Transaction

_INSERT = """
INSERT INTO users (id, version, name, mail_address, locale, managed_apple_id, enrollment_ids, state,
    created_at, changed_at, told_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $9)
"""
_CLAIM_TOLD_BEFORE = """
UPDATE users SET told_at = $1
WHERE id = ANY (ARRAY(SELECT id FROM users WHERE told_at < $2 ORDER BY told_at LIMIT $3 FOR UPDATE SKIP LOCKED))
RETURNING id, version, name, mail_address, locale, managed_apple_id, enrollment_ids, state
"""
_ENROLLMENTS = "SELECT id, enrollment_ids FROM users WHERE id = ANY ($1::uuid[])"


async def enrollments(tx: Transaction, user_ids: Collection[UUID]) -> Mapping[UUID, Sequence[UUID]]:
    """Return the enrollments tied to these people; unknown people are absent from the answer."""
    rows = await tx.raw.fetch(_ENROLLMENTS, list(user_ids))
    return {row["id"]: row["enrollment_ids"] for row in rows}


async def insert(tx: Transaction, user: User) -> None:
    """Store a new user."""
    await tx.raw.execute(
        _INSERT,
        user.id,
        user.version,
        user.name,
        user.mail_address,
        user.locale,
        user.managed_apple_id,
        list(user.enrollment_ids),
        user.state,
        tx.now,
    )


async def claim_told_before(tx: Transaction, before: datetime, *, limit: int) -> list[User]:
    """Lock and return people who were told of last before this time, the longest ago first: they are told of now."""
    rows = await tx.raw.fetch(_CLAIM_TOLD_BEFORE, tx.now, before, limit)
    return [User(**{**row, "enrollment_ids": tuple(row["enrollment_ids"])}) for row in rows]
