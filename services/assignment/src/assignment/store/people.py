"""Users: the people of the organisation."""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from assignment.model import User
from shared.database import Transaction

_INSERT = """
INSERT INTO users (id, version, name, mail_address, locale, managed_apple_id, enrollment_ids, state,
    created_at, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
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
