"""Replay: parked records are handled again, in the order of their key, when somebody asks or a new build can."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

import structlog

from shared import inbox
from shared.batches import Place, Received, receive
from shared.database import Database, Transaction, unavailable
from shared.errors import Poison
from shared.events.registry import REGISTRY
from shared.handling import Handling, NothingWorked, Piece, trouble
from shared.outbox import unpack
from shared.parking import FAILED, FOLLOWING, FOLLOWS, WAITS, WHOLE, Parcel, Trouble, lock, remove
from shared.retry import Backoff
from shared.targets import Part, cut, divide, joined
from shared.vault import KeyUnknown, SealBroken
from shared.waiting import pause

_log = structlog.get_logger(__name__)

_ASKED = """
SELECT key FROM parked WHERE consumer = $1 AND replay_asked_at IS NOT NULL
GROUP BY key ORDER BY min(replay_asked_at) LIMIT 100
"""
_OF_KEY = """
SELECT id, entitlement_ids, reason, replay_asked_at FROM parked
WHERE consumer = $1 AND key = $2 ORDER BY topic, record_offset, part
"""
# What was asked for anew meanwhile stays asked for: what it waited behind may be gone by now.
_ANSWERED = """
UPDATE parked SET replay_asked_at = NULL
FROM unnest($1::uuid[], $2::timestamptz[]) AS seen (id, asked_at)
WHERE parked.id = seen.id AND parked.replay_asked_at = seen.asked_at
"""
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
        done = 0
        stuck: set[UUID] = set()
        for row in rows:
            left: Collection[UUID] | None = row["entitlement_ids"]
            if row["replay_asked_at"] is not None or row["reason"] == FOLLOWS:
                left = await self._replay_row(row["id"], key, stuck)
            stuck.update(left or ())
            done += left is None
        asked = [row for row in rows if row["replay_asked_at"] is not None]
        async with self._database.transaction() as tx:
            await tx.raw.execute(
                _ANSWERED, [row["id"] for row in asked], [row["replay_asked_at"] for row in asked]
            )
        return done

    async def _replay_row(
        self, row_id: UUID, key: bytes, stuck: AbstractSet[UUID]
    ) -> Collection[UUID] | None:
        """Handle what of a row is not stuck; return the entitlements that still wait, None if it is parked no more."""
        async with self._database.transaction() as tx:
            await lock(tx, self._parking.consumer, [key])
            row = await tx.raw.fetchrow("SELECT * FROM parked WHERE id = $1", row_id)
            if row is None:
                return None  # another replica was faster, or somebody discarded it
            if row["entitlement_ids"] and stuck >= set(row["entitlement_ids"]):
                return cast("list[UUID]", row["entitlement_ids"])
            try:
                record = self._read(row)
            except (KeyUnknown, SealBroken) as error:
                _log.error("replay: a sealed record does not open", parked_id=str(row_id), problem=error)
                await self._parking.refuse(tx, row_id, Trouble("cannot_be_opened", str(error)))
                return cast("list[UUID]", row["entitlement_ids"])
            left = await self._handle(tx, row, record, stuck)
            if left is None:
                await remove(tx, row_id)
                return None
            _log.warning("replay: something is left", parked_id=str(row_id), reason=left.trouble.reason)
            await self._parking.keep(tx, row_id, left)
        return left.entitlement_ids()

    async def _handle(
        self, tx: Transaction, row: Mapping[str, Any], record: Received, stuck: AbstractSet[UUID]
    ) -> Parcel | None:
        """Return what is left to be parked, None for nothing."""
        if record.heard is None:
            poison = record.poison or Poison("unknown_type", "no build of this service hears this type")
            return Parcel(record, trouble(poison), row["part"])
        if type(record.heard.event) not in self._handling.handlers:
            return None
        going, staying = divide(record.heard, stuck)
        try:
            async with tx.savepoint():
                if row["part"] == WHOLE and not await inbox.claim(
                    tx, self._parking.consumer, [row["event_id"]]
                ):
                    return None  # done meanwhile
                failed = await self._handling.do_possible(tx, going) if going is not None else []
        except NothingWorked as nothing:
            return Parcel(record, trouble(nothing.first), row["part"])
        return _rest(record, failed, staying, row["part"])

    def _read(self, row: Mapping[str, Any]) -> Received:
        """Return the record as it came. Raises KeyUnknown, SealBroken."""
        place = Place(row["topic"], row["partition"], row["record_offset"])
        value = self._parking.content(row)
        return receive(place, key=row["key"], headers=unpack(row["headers"]), value=value)


async def ask_for_all(database: Database, consumer: str) -> int:
    """Ask for everything that a consumer has parked; return how many rows. A worker replays them."""
    async with database.transaction() as tx:
        return _count(await tx.raw.execute(_ASK_FOR_ALL, consumer, tx.now))


def _rest(record: Received, failed: Sequence[Piece], staying: Part | None, part: int) -> Parcel | None:
    """Return the parcel of the targets that failed and of those that still wait, where others had their turn."""
    parts = [*(piece for piece, _ in failed), *([staying] if staying is not None else [])]
    if not parts:
        return None
    left = joined(parts)
    why, number = (trouble(failed[0][1]), FAILED) if failed else (WAITS, FOLLOWING)
    value = cut(record.value, left)
    return Parcel(replace(record, heard=left), why, number if part == WHOLE else part, value)


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])
