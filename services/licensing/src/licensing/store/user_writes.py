"""Requests to Apple about users: each is stored before it is sent (promise 6)."""

import json
from collections.abc import Collection, Sequence
from uuid import UUID

import asyncpg

from licensing.model import AppleFailure
from licensing.model.people import UserRequest, UserWrite
from shared.database import Transaction

_COLUMNS = "id, library_id, kind, sent_at, event_id, ended_at, failures::text AS failures"
_INSERT = "INSERT INTO user_write (id, library_id, kind, work_id, sent_at) VALUES ($1, $2, $3, $4, $5)"
_OF_WORK = f"SELECT {_COLUMNS} FROM user_write WHERE work_id = $1"
_ENDED = f"SELECT {_COLUMNS} FROM user_write WHERE library_id = $1 AND ended_at IS NOT NULL"
_FOLLOW = "UPDATE user_write SET event_id = $2 WHERE id = $1"
_END = "UPDATE user_write SET ended_at = $2, failures = $3::jsonb WHERE id = $1"
_DELETE = """
DELETE FROM user_write WHERE id = ANY ($1::uuid[])
  AND NOT EXISTS (SELECT FROM apple_user WHERE apple_user.write_id = user_write.id)
"""
_EMPTY = "SELECT NOT EXISTS (SELECT FROM apple_user WHERE write_id = $1)"


async def insert(tx: Transaction, write_id: UUID, library_id: str, kind: UserWrite, *, work_id: UUID) -> None:
    """Store a request that is about to be sent: Apple may have it from now on."""
    await tx.raw.execute(_INSERT, write_id, library_id, kind, work_id, tx.now)


async def of_work(tx: Transaction, work_id: UUID) -> UserRequest | None:
    """Return the request that a work row brings to its end; None before it was sent."""
    row = await tx.raw.fetchrow(_OF_WORK, work_id)
    return None if row is None else _request(row)


async def ended(tx: Transaction, library_id: str) -> list[UserRequest]:
    """Return the requests that a reading which begins now can settle."""
    return [_request(row) for row in await tx.raw.fetch(_ENDED, library_id)]


async def follow(tx: Transaction, write_id: UUID, event_id: str) -> None:
    """Store the id of Apple's event."""
    await tx.raw.execute(_FOLLOW, write_id, event_id)


async def end(tx: Transaction, write_id: UUID, failures: Sequence[AppleFailure]) -> None:
    """From now on a reading proves what became of it: its event ended, or its proof time has passed."""
    said = [[failure.number, sorted(failure.client_user_ids)] for failure in failures]
    await tx.raw.execute(_END, write_id, tx.now, json.dumps(said))


async def is_empty(tx: Transaction, write_id: UUID) -> bool:
    """Say whether a reading has shown what became of all its members already."""
    return bool(await tx.raw.fetchval(_EMPTY, write_id))


async def delete(tx: Transaction, write_ids: Collection[UUID]) -> None:
    """Forget those of these requests that all members left."""
    await tx.raw.execute(_DELETE, list(write_ids))


def _request(row: asyncpg.Record) -> UserRequest:
    failures = tuple(
        AppleFailure(number, client_user_ids=frozenset(names))
        for number, names in json.loads(row["failures"] or "[]")
    )
    return UserRequest(
        row["id"],
        row["library_id"],
        UserWrite(row["kind"]),
        row["sent_at"],
        row["event_id"],
        row["ended_at"],
        failures,
    )
