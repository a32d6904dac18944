"""Apple's notifications: stored raw and sealed first, read afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.database import Transaction

_INSERT = """
INSERT INTO notification (library_id, id, sealed, received_at) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING RETURNING id
"""
_NEW = """
SELECT library_id, id, sealed FROM notification WHERE processed_at IS NULL
ORDER BY received_at LIMIT $1 FOR UPDATE SKIP LOCKED
"""
_READ = """
UPDATE notification SET processed_at = $5, event_id = new.event_id,
       covers = (SELECT array_agg(serial #>> '{}') FROM jsonb_array_elements(new.covers::jsonb) AS serial)
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS new (library_id, id, event_id, covers)
WHERE notification.library_id = new.library_id AND notification.id = new.id
"""
_THROUGH = """
SELECT intent.work_id FROM intent
WHERE intent.event_id = ANY ($1::text[]) AND intent.ended_at IS NULL
  AND intent.size <= (SELECT count(DISTINCT serial_number)
                      FROM notification, unnest(covers) AS serial_number
                      WHERE notification.event_id = intent.event_id)
"""
_HASTEN = "UPDATE work SET due_at = $2 WHERE id = ANY ($1::uuid[]) AND due_at > $2"
_FORGET = """
DELETE FROM notification
WHERE ctid = ANY (ARRAY(SELECT ctid FROM notification WHERE processed_at < $1 LIMIT $2))
"""


@dataclass(frozen=True, slots=True)
class Unread:
    """A stored notification."""

    library_id: str
    notification_id: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Read:
    """What a notification said: about which event, and whose tasks are through; None where about none."""

    library_id: str
    notification_id: str
    event_id: str | None
    covers_json: str


async def store(tx: Transaction, library_id: str, notification_id: str, sealed: bytes) -> bool:
    """Store a notification; return False for one that came before."""
    return await tx.raw.fetchval(_INSERT, library_id, notification_id, sealed, tx.now) is not None


async def unread(tx: Transaction, limit: int) -> list[Unread]:
    """Lock the oldest that nobody has read yet."""
    return [Unread(*row) for row in await tx.raw.fetch(_NEW, limit)]


async def mark_read(tx: Transaction, notices: Sequence[Read]) -> None:
    """Store what notifications said."""
    await tx.raw.execute(
        _READ,
        [each.library_id for each in notices],
        [each.notification_id for each in notices],
        [each.event_id for each in notices],
        [each.covers_json for each in notices],
        tx.now,
    )


async def work_of_covered(tx: Transaction, event_ids: Sequence[str]) -> list[UUID]:
    """Return the work rows of the events whose every task has been told of."""
    return [row["work_id"] for row in await tx.raw.fetch(_THROUGH, event_ids)]


async def hasten(tx: Transaction, work_ids: Sequence[UUID]) -> None:
    """Let these be done now."""
    await tx.raw.execute(_HASTEN, work_ids, tx.now)
    tx.after_commit(tx.nudges.work.ring)


async def forget(tx: Transaction, before: datetime, *, limit: int) -> int:
    """Delete those that were read before then; return how many."""
    return int((await tx.raw.execute(_FORGET, before, limit)).split()[-1])
