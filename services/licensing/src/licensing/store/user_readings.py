"""Where the reading of each library's Apple users stands: one at a time, and from which version it goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.database import Transaction

_WANT = """
INSERT INTO user_reading (library_id, wanted) VALUES ($1, true)
ON CONFLICT (library_id) DO UPDATE SET wanted = true RETURNING work_id
"""
_BEGIN_WORK = "UPDATE user_reading SET work_id = $2 WHERE library_id = $1"
_BEGIN = """
UPDATE user_reading SET wanted = false, version_id = nullif(version_id, '') WHERE library_id = $1
RETURNING number, version_id
"""
_WALK = "UPDATE user_reading SET number = number + 1 WHERE library_id = $1 RETURNING number"
# Whoever wants the whole list while a part of it is read wants it after that.
_READ = """
UPDATE user_reading SET version_id = CASE WHEN version_id = '' THEN '' ELSE coalesce($2, version_id) END, read_at = $3
WHERE library_id = $1 RETURNING wanted
"""
_END_WORK = "UPDATE user_reading SET work_id = NULL WHERE library_id = $1"
_FROM_THE_BEGINNING = "UPDATE user_reading SET version_id = '' WHERE library_id = $1"
_UNSETTLED = """
SELECT library_id FROM apple_user WHERE state = 'registered'
UNION SELECT library_id FROM user_write WHERE ended_at IS NOT NULL ORDER BY 1
"""

FULL = ""
"""In the place of a version: the next reading is one of the whole list."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading that begins: records it shows carry higher numbers, `since` is None for a full one."""

    number: int
    since: str | None


async def want(tx: Transaction, library_id: str) -> UUID | None:
    """Note that a reading is wanted; return the work row that does it, None where there is none yet."""
    work_id: UUID | None = await tx.raw.fetchval(_WANT, library_id)
    return work_id


async def want_whole(tx: Transaction, library_id: str) -> None:
    """Let the next reading, which is wanted, be one of the whole list."""
    await tx.raw.execute(_FROM_THE_BEGINNING, library_id)


async def begin_work(tx: Transaction, library_id: str, work_id: UUID) -> None:
    """Note which work row reads, until it ends."""
    await tx.raw.execute(_BEGIN_WORK, library_id, work_id)


async def begin(tx: Transaction, library_id: str) -> Reading:
    """Begin a reading: whoever wants one from now on wants a later one."""
    number, version_id = await tx.raw.fetchrow(_BEGIN, library_id)
    return Reading(number, version_id)


async def walk(tx: Transaction, library_id: str) -> int:
    """Return the number of the next walk through the list."""
    number: int = await tx.raw.fetchval(_WALK, library_id)
    return number


async def end(tx: Transaction, library_id: str, version_id: str | None) -> bool:
    """Note a reading that ended, with the version to go on from (None: the former); return whether another is wanted.

    To be called before anything of the work row is locked: who wants a reading locks in that order.
    """
    wanted: bool = await tx.raw.fetchval(_READ, library_id, version_id, tx.now)
    return wanted


async def end_work(tx: Transaction, library_id: str) -> None:
    """Note that no work row reads any more."""
    await tx.raw.execute(_END_WORK, library_id)


async def unsettled(tx: Transaction) -> Sequence[str]:
    """Return the libraries in which somebody may accept at any time, or a request waits for a reading."""
    return [row["library_id"] for row in await tx.raw.fetch(_UNSETTLED)]
