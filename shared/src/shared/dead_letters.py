"""Parked records over HTTP: see them with their cause, ask for their replay, or discard them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Query
from pydantic import BaseModel

from shared import inbox
from shared.auth import requires
from shared.database import Database
from shared.errors import NotFound
from shared.parking import lock, remove
from shared.web.paging import Cursor, Limit, Page, decode_cursor, encode_cursor

_log = structlog.get_logger(__name__)

_COLUMNS = """
id, consumer, event_id, part, topic, partition, record_offset, key, event_type, entitlement_ids, reason, detail,
attempts, parked_at, replay_asked_at
"""
_LIST = f"""
SELECT {_COLUMNS} FROM parked
WHERE ($1::uuid IS NULL OR id > $1) AND ($2::text IS NULL OR reason = $2) AND ($3::text IS NULL OR event_type = $3)
ORDER BY id LIMIT $4
"""
_ONE = f"SELECT {_COLUMNS} FROM parked WHERE id = $1"
_REPLAY = f"UPDATE parked SET replay_asked_at = $2 WHERE id = $1 RETURNING {_COLUMNS}"


class DeadLetter(BaseModel):
    """A parked record, without its content: that may be about a person.

    `part` 0 is the whole event, 1 those targets of it that failed, 2 those that wait behind another dead letter.
    """

    id: UUID
    consumer: str
    event_id: UUID
    part: int
    topic: str
    partition: int
    record_offset: int
    key: str
    event_type: str
    entitlement_ids: list[UUID]
    reason: str
    detail: str
    attempts: int
    parked_at: datetime
    replay_asked_at: datetime | None


def dead_letters_router(database: Database) -> APIRouter:
    """Return the routes under /v1/dead-letters."""
    router = APIRouter(
        prefix="/v1/dead-letters", tags=["dead letters"], dependencies=[requires("ops:replay")]
    )

    @router.get("")
    async def list_dead_letters(
        limit: Limit = 100,
        cursor: Cursor = None,
        reason: Annotated[str | None, Query(description="only those with this reason, a slug")] = None,
        event_type: Annotated[str | None, Query(description="only events of this type")] = None,
    ) -> Page[DeadLetter]:
        """List what is parked, oldest first."""
        after = decode_cursor(cursor, UUID)
        async with database.reading() as tx:
            rows = await tx.raw.fetch(_LIST, after[0] if after else None, reason, event_type, limit + 1)
        items = [_dead_letter(row) for row in rows[:limit]]
        return Page(items=items, next_cursor=encode_cursor(items[-1].id) if len(rows) > limit else None)

    @router.get("/{dead_letter_id}")
    async def get_dead_letter(dead_letter_id: UUID) -> DeadLetter:
        """Show one parked record and its cause."""
        async with database.reading() as tx:
            return _dead_letter(_found(await tx.raw.fetchrow(_ONE, dead_letter_id)))

    @router.post("/{dead_letter_id}/replay", status_code=202)
    async def replay_dead_letter(dead_letter_id: UUID) -> DeadLetter:
        """Ask for it to be handled again, and what waits behind it with it; a worker does so within seconds."""
        async with database.transaction() as tx:
            return _dead_letter(_found(await tx.raw.fetchrow(_REPLAY, dead_letter_id, tx.now)))

    @router.delete("/{dead_letter_id}", status_code=204)
    async def discard_dead_letter(dead_letter_id: UUID) -> None:
        """Give it up for good; what waits behind it goes on, and whoever asked asks again at his deadline."""
        async with database.transaction() as tx:
            row = _found(await tx.raw.fetchrow(_ONE, dead_letter_id))
            await lock(tx, row["consumer"], [row["key"]])
            await inbox.claim(tx, row["consumer"], [row["event_id"]])  # should it be delivered again
            await remove(tx, dead_letter_id)
        _log.warning("a dead letter was discarded", dead_letter_id=dead_letter_id, event_id=row["event_id"])

    return router


def _found(row: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if row is None:
        raise NotFound("unknown_dead_letter", "nothing is parked under this id")
    return row


def _dead_letter(row: Mapping[str, Any]) -> DeadLetter:
    return DeadLetter(**{**row, "key": row["key"].decode("utf-8", "replace")})
