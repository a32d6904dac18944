"""Apple's notifications: stored raw and sealed first, read afterwards."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.database import Transaction

_HASHES = "SELECT id, notification_hash, offered_hash FROM library WHERE id = ANY ($1::text[])"
# In one order: two replicas that are brought the same ones must not wait for each other.
_INSERT = """
INSERT INTO notification (library_id, id, sealed, received_at)
SELECT library_id, id, sealed, $4 FROM unnest($1::text[], $2::text[], $3::bytea[]) AS new (library_id, id, sealed)
ORDER BY library_id, id ON CONFLICT DO NOTHING
"""
_INSERT_MALFORMED = """
INSERT INTO malformed_notification (id, library_id, sealed, size, received_at)
SELECT new.*, $5 FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::int[]) AS new
"""
_KEEP_LAST = """
DELETE FROM malformed_notification
WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY library_id ORDER BY id DESC) AS age
                             FROM malformed_notification WHERE library_id = ANY ($1::text[])) AS kept
             WHERE age > $2)
"""
_UNREAD = """
SELECT library_id, id, sealed FROM notification WHERE processed_at IS NULL
ORDER BY received_at LIMIT $1 FOR UPDATE SKIP LOCKED
"""
_READ = """
UPDATE notification SET processed_at = $5, sealed = NULL, event_id = new.event_id,
       covers = (SELECT array_agg(holder #>> '{}') FROM jsonb_array_elements(new.covers::jsonb) AS holder)
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS new (library_id, id, event_id, covers)
WHERE notification.library_id = new.library_id AND notification.id = new.id
"""
_THROUGH = """
SELECT intent.work_id FROM intent JOIN pool ON pool.id = intent.pool_id
WHERE intent.event_id = ANY ($1::text[]) AND intent.ended_at IS NULL
  AND intent.size <= (SELECT count(DISTINCT holder)
                      FROM notification, unnest(covers) AS holder
                      WHERE notification.event_id = intent.event_id
                        AND notification.library_id = pool.library_id)
UNION ALL
SELECT work_id FROM user_write
WHERE user_write.event_id = ANY ($1::text[]) AND ended_at IS NULL
  AND (SELECT count(*) FROM apple_user WHERE write_id = user_write.id)
      <= (SELECT count(DISTINCT holder)
          FROM notification, unnest(covers) AS holder
          WHERE notification.event_id = user_write.event_id
            AND notification.library_id = user_write.library_id)
"""
_FORGET = """
DELETE FROM notification
WHERE ctid = ANY (ARRAY(SELECT ctid FROM notification WHERE processed_at < $1 LIMIT $2))
"""
_FORGET_MALFORMED = "DELETE FROM malformed_notification WHERE received_at < $1"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A notification as it is stored."""

    library_id: str
    notification_id: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Malformed:
    """What came with the library's secret and is no notification; `size` in bytes before it was sealed."""

    malformed_id: UUID
    library_id: str
    sealed: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Read:
    """What a notification said: about which event, and whose tasks are through; None where about none."""

    library_id: str
    notification_id: str
    event_id: str | None = None
    covers: Sequence[str] = ()


async def secret_hashes(tx: Transaction, library_ids: Collection[str]) -> Mapping[str, list[bytes]]:
    """Return the hashes of the secrets that Apple may show for each of these libraries, as far as they are known."""
    rows = await tx.raw.fetch(_HASHES, list(library_ids))
    return {row[0]: [value for value in row[1:] if value is not None] for row in rows}


async def store(tx: Transaction, arrived: Sequence[Sealed]) -> None:
    """Store notifications; one that came before stays as it came first."""
    await tx.raw.execute(
        _INSERT,
        [each.library_id for each in arrived],
        [each.notification_id for each in arrived],
        [each.sealed for each in arrived],
        tx.now,
    )


async def store_malformed(tx: Transaction, arrived: Sequence[Malformed], *, kept: int) -> None:
    """Store what is to be inspected: of each library the last so many."""
    libraries = [each.library_id for each in arrived]
    await tx.raw.execute(
        _INSERT_MALFORMED,
        [each.malformed_id for each in arrived],
        libraries,
        [each.sealed for each in arrived],
        [each.size for each in arrived],
        tx.now,
    )
    await tx.raw.execute(_KEEP_LAST, libraries, kept)


async def unread(tx: Transaction, limit: int) -> list[Sealed]:
    """Lock the oldest that nobody has read yet."""
    return [Sealed(*row) for row in await tx.raw.fetch(_UNREAD, limit)]


async def mark_read(tx: Transaction, notices: Sequence[Read]) -> None:
    """Store what notifications said, in the place of their bodies: those may name people."""
    await tx.raw.execute(
        _READ,
        [each.library_id for each in notices],
        [each.notification_id for each in notices],
        [each.event_id for each in notices],
        [json.dumps(each.covers) for each in notices],
        tx.now,
    )


async def work_of_covered(tx: Transaction, event_ids: Sequence[str]) -> list[UUID]:
    """Return the work rows of the events whose every task has been told of, by the library that they belong to."""
    return [row["work_id"] for row in await tx.raw.fetch(_THROUGH, event_ids)]


async def forget(tx: Transaction, before: datetime, *, limit: int) -> int:
    """Delete those that were read before then; return how many."""
    return int((await tx.raw.execute(_FORGET, before, limit)).split()[-1])


async def forget_malformed(tx: Transaction, before: datetime) -> None:
    """Delete those that came before then; there are few."""
    await tx.raw.execute(_FORGET_MALFORMED, before)
