"""Intents: every request to Apple is stored before it is sent (promise 6). Guarded by the pool's row."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from licensing.model import Fault, Intent, IntentKind, Proof
from licensing.store.license_rows import by_kind
from shared.database import Transaction

_OPEN = """
SELECT pool_id, kind, of_people, id, size FROM intent
WHERE pool_id = ANY ($1::uuid[]) AND joinable AND size < $2 AND sent_at IS NULL ORDER BY id
"""
_INSERT = """
INSERT INTO intent (id, pool_id, kind, of_people, attempt, joinable, size, work_id, created_at)
SELECT new.*, $9
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bool[], $5::smallint[], $6::bool[], $7::smallint[],
            $8::uuid[]) AS new
"""
_RESIZE = """
UPDATE intent SET size = size + new.change FROM unnest($1::uuid[], $2::int[]) AS new (id, change)
WHERE intent.id = new.id
"""
_SELECT = (
    "SELECT id, pool_id, kind, of_people, attempt, sent_at, event_id, ended_at, failures::text FROM intent"
)
_READ = f"{_SELECT} WHERE id = $1"
_ENDED_ONES = f"{_SELECT} WHERE pool_id = $1 AND ended_at IS NOT NULL ORDER BY id"
_SENT = "UPDATE intent SET sent_at = $2, joinable = false WHERE id = $1"
_UNSENT = "UPDATE intent SET sent_at = NULL WHERE id = $1"
_FOLLOWED = "UPDATE intent SET event_id = $2 WHERE id = $1"
_ENDED = "UPDATE intent SET ended_at = $2, failures = $3::jsonb WHERE id = $1"
_DELETE = "DELETE FROM intent WHERE id = $1"
_SETTLE = """
INSERT INTO settlement (id, kind, event_id, proof, sent_at, settled_at)
SELECT id, kind, event_id, $2, sent_at, $3 FROM intent WHERE id = $1
ON CONFLICT (id) DO UPDATE SET proof = excluded.proof, settled_at = excluded.settled_at
"""
_FORGET = """
DELETE FROM settlement WHERE id = ANY (ARRAY(
    SELECT id FROM settlement
    WHERE settled_at < $1 AND NOT EXISTS (SELECT FROM license WHERE license.settlement_id = settlement.id)
    LIMIT $2))
"""
_COVERED = """
SELECT count(DISTINCT holder) >= (SELECT size FROM intent WHERE id = $1)
FROM notification, unnest(covers) AS holder WHERE event_id = $2
"""


@dataclass(frozen=True, slots=True)
class NewIntent:
    """An intent to be stored; its work row exists."""

    intent_id: UUID
    pool_id: UUID
    kind: IntentKind
    of_people: bool
    attempt: int
    joinable: bool
    size: int
    work_id: UUID


async def with_room(
    tx: Transaction, pool_ids: Sequence[UUID], *, most: int
) -> list[tuple[UUID, IntentKind, bool, UUID, int]]:
    """Return unsent requests that may take more members: pool, kind, whether of people, intent and size."""
    rows = await tx.raw.fetch(_OPEN, pool_ids, most)
    return [(row[0], IntentKind(row[1]), *tuple(row)[2:]) for row in rows]


async def insert(tx: Transaction, intents: Sequence[NewIntent]) -> None:
    """Store new intents."""
    await tx.raw.execute(
        _INSERT,
        [intent.intent_id for intent in intents],
        [intent.pool_id for intent in intents],
        [str(intent.kind) for intent in intents],
        [intent.of_people for intent in intents],
        [intent.attempt for intent in intents],
        [intent.joinable for intent in intents],
        [intent.size for intent in intents],
        [intent.work_id for intent in intents],
        tx.now,
    )


async def resize(tx: Transaction, changes: Mapping[UUID, int]) -> None:
    """Count members that joined or left unsent intents."""
    await tx.raw.execute(_RESIZE, list(changes), list(changes.values()))


async def read(tx: Transaction, intent_id: UUID) -> Intent | None:
    """Return an intent; None when its outcome is known and it is gone."""
    row = await tx.raw.fetchrow(_READ, intent_id)
    return None if row is None else _intent(row)


async def ended(tx: Transaction, pool_id: UUID) -> list[Intent]:
    """Return the intents of a locked pool that a list can settle whose reading begins now (promise 6).

    The pool's lock says what ended before: the clocks of two replicas do not agree that closely.
    """
    return [_intent(row) for row in await tx.raw.fetch(_ENDED_ONES, pool_id)]


async def mark_sent(tx: Transaction, intent_id: UUID) -> None:
    """From now on Apple may have it."""
    await tx.raw.execute(_SENT, intent_id, tx.now)


async def mark_unsent(tx: Transaction, intent_id: UUID) -> None:
    """Apple has not got it, for certain."""
    await tx.raw.execute(_UNSENT, intent_id)


async def follow(tx: Transaction, intent_id: UUID, event_id: str) -> None:
    """Store the id of Apple's event."""
    await tx.raw.execute(_FOLLOWED, intent_id, event_id)


async def mark_ended(tx: Transaction, intent_id: UUID, faults: Sequence[Fault]) -> None:
    """From now on a list proves what became of it: its event ended, or its proof time has passed."""
    parted = [(fault.number, *by_kind(fault.holders)) for fault in faults]
    text = json.dumps(
        [[number, sorted(serials), sorted(map(str, people))] for number, serials, people in parted]
    )
    await tx.raw.execute(_ENDED, intent_id, tx.now, text)


async def covered(tx: Transaction, intent_id: UUID, event_id: str) -> bool:
    """Say whether notifications have told of every member's task."""
    return bool(await tx.raw.fetchval(_COVERED, intent_id, event_id))


async def settle(tx: Transaction, intent_id: UUID, proof: Proof) -> None:
    """Keep what proves the outcome of an intent, for all its members or some; who leaves it now is linked to it."""
    await tx.raw.execute(_SETTLE, intent_id, proof, tx.now)


async def delete(tx: Transaction, intent_id: UUID) -> None:
    """Forget an intent that all members left."""
    await tx.raw.execute(_DELETE, intent_id)


async def forget_settled(tx: Transaction, before: datetime, *, limit: int) -> int:
    """Delete proofs older than that of licences that are forgotten too; return how many."""
    return int((await tx.raw.execute(_FORGET, before, limit)).split()[-1])


def _intent(row: asyncpg.Record) -> Intent:
    faults = tuple(
        Fault(number, frozenset(serial_numbers) | frozenset(map(UUID, user_ids)))
        for number, serial_numbers, user_ids in json.loads(row["failures"] or "[]")
    )
    return Intent(
        row["id"],
        row["pool_id"],
        IntentKind(row["kind"]),
        row["of_people"],
        row["attempt"],
        row["sent_at"],
        row["event_id"],
        row["ended_at"],
        faults,
    )
