"""Users: the people of the organisation."""

from assignment.model import User
from shared.database import Transaction

_INSERT = """
INSERT INTO users (id, version, name, mail_address, locale, managed_apple_id, enrollment_ids, state,
    created_at, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
"""


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
