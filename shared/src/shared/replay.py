"""Replay: parked records are handled again, in the order of their key, when somebody asks or a new build can."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import structlog

from shared import inbox
from shared.batches import Place, Received, receive
from shared.database import Database, Transaction, unavailable
from shared.errors import Poison
from shared.events.event import Event
from shared.events.registry import REGISTRY
from shared.handling import Handling
from shared.parking import FOLLOWS, WHOLE, ParkedRow
from shared.retry import Backoff

_log = structlog.get_logger(__name__)

_ASKED = """
SELECT key FROM parked WHERE consumer = $1 AND replay_asked_at IS NOT NULL
GROUP BY key ORDER BY min(replay_asked_at) LIMIT 100
"""


class Replay:
    """Handles again the parked rows whose replay was asked for; those that follow them come along."""

    def __init__(self, database: Database, handling: Handling, *, every_seconds: float = 1.0) -> None:
        self._database = database
        self._handling = handling
        self._parking = handling.parking
        self._every_seconds = every_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Look for rows to replay until `stop` is set."""
        trouble = Backoff()
        await self._ask_for_versions_known_now()
        while not stop.is_set():
            try:
                await self.replay_asked()
                trouble.reset()
            except Exception as error:
                if not unavailable(error):
                    raise
                await asyncio.sleep(trouble.next())
            try:
                async with asyncio.timeout(self._every_seconds):
                    await stop.wait()
            except TimeoutError:
                continue

    async def replay_asked(self) -> int:
        """Replay every key of which a row was asked for; return how many rows are parked no more."""
        async with self._database.transaction() as tx:
            keys = [row["key"] for row in await tx.raw.fetch(_ASKED, self._parking.consumer)]
        return sum([await self._replay_key(key) for key in keys])

    async def _replay_key(self, key: bytes) -> int:
        """Replay one key's rows in their order; what fails again keeps its followers waiting."""
        done = 0
        stuck: set[UUID] = set()
        async with self._database.transaction() as tx:
            rows = await self._parking.locked(tx, key)
        for row in rows:
            may_go = stuck.isdisjoint(row.entitlement_ids) and (row.replay_asked or row.reason == FOLLOWS)
            if may_go and await self._replay_row(row):
                done += 1
            else:
                stuck |= row.entitlement_ids
        return done

    async def _replay_row(self, row: ParkedRow) -> bool:
        try:
            async with self._database.transaction() as tx:
                if row.id not in {each.id for each in await self._parking.locked(tx, row.received["key"])}:
                    return True  # another replica was faster
                await self._handle(tx, row)
                await tx.raw.execute("DELETE FROM parked WHERE id = $1", row.id)
        except Exception as error:
            if unavailable(error):
                raise
            await self._failed_again(row, error)
            return False
        return True

    async def _handle(self, tx: Transaction, row: ParkedRow) -> None:
        record = self._read(row.received, self._parking.value_of(row))
        if record.poison is not None:
            raise record.poison
        if record.heard is None:
            raise Poison("unknown_type", "no build of this service hears this type")
        kind: type[Event] = type(record.heard.event)
        if kind not in self._handling.handlers:
            return
        if row.part == WHOLE and not await inbox.claim(tx, self._parking.consumer, [row.event_id]):
            return
        await self._handling.handlers[kind](tx, [record.heard])

    def _read(self, received: Mapping[str, Any], value: bytes | None) -> Received:
        place = Place(received["topic"], received["partition"], received["record_offset"])
        return receive(place, key=received["key"], headers=received["headers"], value=value)

    async def _failed_again(self, row: ParkedRow, error: Exception) -> None:
        reason = error.reason if isinstance(error, Poison) else "handler_failed"
        detail = error.detail if isinstance(error, Poison) else type(error).__name__
        _log.warning("a replay failed", parked_id=str(row.id), reason=reason)
        async with self._database.transaction() as tx:
            await tx.raw.execute(
                "UPDATE parked SET attempts = attempts + 1, replay_asked_at = NULL, reason = $2, detail = $3"
                " WHERE id = $1",
                row.id,
                reason,
                detail,
            )

    async def _ask_for_versions_known_now(self) -> None:
        """Ask for records that an earlier build was too old for."""
        async with self._database.transaction() as tx:
            await tx.raw.execute(
                "UPDATE parked SET replay_asked_at = $2 WHERE consumer = $1 AND reason = 'unknown_version'"
                " AND event_type = ANY ($3::text[])",
                self._parking.consumer,
                tx.now,
                list(REGISTRY),
            )
