"""Whose claim a library carries, and when that was last looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from licensing.model import MdmIdentity
from shared.database import Transaction

LOOKED_AT_MOST = timedelta(minutes=5)
"""Answers that carry no `mdmInfo` bring a look at `client/config` forward no more often than this."""

_STANDING = """
SELECT state, claimed_at, fenced_at IS NOT NULL, notified, cause FROM library WHERE id = $1 FOR UPDATE
"""
_FENCE = """
UPDATE library SET state = 'fenced', cause = $2, error_number = NULL, fenced_id = $3, fenced_name = $4,
       fenced_metadata = $5, fenced_at = coalesce(library.fenced_at, $6)
FROM (SELECT id, state FROM library WHERE id = $1 FOR UPDATE) AS former
WHERE library.id = former.id RETURNING former.state <> 'fenced'
"""
_WANT_CHECK = """
UPDATE library SET check_wanted = true
WHERE id = $1 AND NOT check_wanted AND (checked_at IS NULL OR checked_at <= $2) RETURNING id
"""
_CHECKED = "UPDATE library SET check_wanted = false, checked_at = $2 WHERE id = $1"
_POOLS = "SELECT id FROM pool WHERE library_id = $1"


@dataclass(frozen=True, slots=True)
class Standing:
    """A library, locked: how it stands with Apple."""

    state: str
    claimed_at: datetime | None
    fenced: bool
    notified: bool
    cause: str | None


async def lock(tx: Transaction, library_id: str) -> Standing | None:
    """Lock a library and return how it stands."""
    row = await tx.raw.fetchrow(_STANDING, library_id)
    return None if row is None else Standing(*row)


async def fence(tx: Transaction, library_id: str, other: MdmIdentity | None, *, cause: str) -> bool:
    """Stop all writes for a library that another party claims, or nobody; return whether that is news."""
    named = (None, None, None) if other is None else (other.id, other.name, other.metadata)
    return await tx.raw.fetchval(_FENCE, library_id, cause, *named, tx.now) is True


async def want_check(tx: Transaction, library_id: str, *, unless_since: datetime) -> bool:
    """Note that a library is to be looked at, unless it was since then; return whether nobody had noted it yet."""
    return await tx.raw.fetchval(_WANT_CHECK, library_id, unless_since) is not None


async def checked(tx: Transaction, library_id: str) -> None:
    """Note that a library was looked at."""
    await tx.raw.execute(_CHECKED, library_id, tx.now)


async def pools_of(tx: Transaction, library_id: str) -> Sequence[UUID]:
    """Return a library's pools."""
    return [row["id"] for row in await tx.raw.fetch(_POOLS, library_id)]
