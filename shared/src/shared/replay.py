"""Replay: parked records are handled again, in the order of their key, when somebody asks or a new build can."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import structlog

from shared import inbox
from shared.batches import Place, Received, receive
from shared.database import Database, Transaction, unavailable
from shared.errors import Poison
from shared.events.registry import REGISTRY
from shared.handling import Handling, NothingWorked, Piece, trouble
from shared.outbox import unpack
from shared.parking import FAILED, FOLLOWS, WHOLE, Parcel, lock, remove
from shared.retry import Backoff
from shared.targets import cut, joined
from shared.waiting import pause

_log = structlog.get_logger(__name__)

_ASKED = """
SELECT key FROM parked WHERE consumer = $1 AND replay_asked_at IS NOT NULL
GROUP BY key ORDER BY min(replay_asked_at) LIMIT 100
"""
_OF_KEY = """
SELECT id, entitlement_ids, reason, replay_asked_at IS NOT NULL AS asked FROM parked
WHERE consumer = $1 AND key = $2 ORDER BY topic, record_offset, part
"""
_ANSWERED = "UPDATE parked SET replay_asked_at = NULL WHERE id = ANY ($1::uuid[])"
_ASK_FOR_TYPES = """
UPDATE parked SET replay_asked_at = $2
WHERE consumer = $1 AND reason = 'unknown_version' AND event_type = ANY ($3::text[])
"""
_ASK_FOR_ALL = "UPDATE parked SET replay_asked_at = $2 WHERE consumer = $1"


class Replay:
    """Handles again the parked rows whose replay was asked for; those that follow them come along."""

    def __init__(self, database: Database, handling: Handling, *, every_seconds: float = 1.0) -> None:
        self._database = database
        self._handling = handling
        self._parking = handling.parking
        self._every_seconds = every_seconds

    async def run(self, stop: asyncio.Event) -> None:
        """Look for rows to replay until `stop` is set; first, for those that an earlier build was too old for."""
        waits = Backoff()
        look = self.ask_for_known_versions
        while not stop.is_set():
            wait = self._every_seconds
            try:
                await look()
                look = self.replay_asked
                waits.reset()
            except Exception as error:
                if not unavailable(error):
                    raise
                _log.warning("replay: the database does not answer", cause=type(error).__name__)
                wait = waits.next()
            await pause(stop, wait)

    async def ask_for_known_versions(self) -> int:
        """Ask for the records of types that this build knows, and an earlier one did not know this version of."""
        async with self._database.transaction() as tx:
            return _count(
                await tx.raw.execute(_ASK_FOR_TYPES, self._parking.consumer, tx.now, list(REGISTRY))
            )

    async def replay_asked(self) -> int:
        """Replay every key of which a row was asked for; return how many rows are parked no more."""
        async with self._database.reading() as tx:
            keys = [row["key"] for row in await tx.raw.fetch(_ASKED, self._parking.consumer)]
        return sum([await self._replay_key(key) for key in keys])

    async def _replay_key(self, key: bytes) -> int:
        """Replay one key's rows in their order; what fails again, or was not asked for, keeps its followers."""
        async with self._database.reading() as tx:
            rows = await tx.raw.fetch(_OF_KEY, self._parking.consumer, key)
        done: list[UUID] = []
        stuck: set[UUID] = set()
        for row in rows:
            may_go = stuck.isdisjoint(row["entitlement_ids"]) and (row["asked"] or row["reason"] == FOLLOWS)
            if may_go and await self._replay_row(row["id"], key):
                done.append(row["id"])
            else:
                stuck.update(row["entitlement_ids"])
        asked = [row["id"] for row in rows if row["asked"]]
        async with self._database.transaction() as tx:
            await tx.raw.execute(_ANSWERED, asked)
        return len(done)

    async def _replay_row(self, row_id: UUID, key: bytes) -> bool:
        """Handle one row; return whether it is parked no more. Some of its targets may be, and some not."""
        async with self._database.transaction() as tx:
            await lock(tx, self._parking.consumer, [key])
            row = await tx.raw.fetchrow("SELECT * FROM parked WHERE id = $1", row_id)
            if row is None:
                return True  # another replica was faster, or somebody discarded it
            left = await self._handle(tx, row)
            if left is None:
                await remove(tx, row_id)
                return True
            _log.warning("replay: a record failed again", parked_id=str(row_id), reason=left.trouble.reason)
            await self._parking.keep(tx, row_id, left)
        return False

    async def _handle(self, tx: Transaction, row: Mapping[str, Any]) -> Parcel | None:
        """Return what is left to be parked, None for nothing."""
        record = self._read(row)
        if record.heard is None:
            poison = record.poison or Poison("unknown_type", "no build of this service hears this type")
            return Parcel(record, trouble(poison), row["part"])
        if type(record.heard.event) not in self._handling.handlers:
            return None
        try:
            async with tx.savepoint():
                if row["part"] == WHOLE and not await inbox.claim(
                    tx, self._parking.consumer, [row["event_id"]]
                ):
                    return None  # done meanwhile
                failed = await self._handling.do_possible(tx, record.heard)
        except NothingWorked as nothing:
            return Parcel(record, trouble(nothing.first), row["part"])
        return _rest(record, failed, row["part"]) if failed else None

    def _read(self, row: Mapping[str, Any]) -> Received:
        place = Place(row["topic"], row["partition"], row["record_offset"])
        value = self._parking.content(row)
        return receive(place, key=row["key"], headers=unpack(row["headers"]), value=value)


async def ask_for_all(database: Database, consumer: str) -> int:
    """Ask for everything that a consumer has parked; return how many rows. A worker replays them."""
    async with database.transaction() as tx:
        return _count(await tx.raw.execute(_ASK_FOR_ALL, consumer, tx.now))


def _rest(record: Received, failed: Sequence[Piece], part: int) -> Parcel:
    """Return the parcel of the targets that failed, where others did not."""
    left = joined(piece for piece, _ in failed)
    number = FAILED if part == WHOLE else part
    return Parcel(replace(record, heard=left), trouble(failed[0][1]), number, cut(record.value, left))


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])
