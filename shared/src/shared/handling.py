"""One batch, one transaction: claim, handle, park what cannot be handled; a failing batch is halved."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import structlog

from shared import inbox, metrics
from shared.batches import Batch, Received
from shared.database import Database, Transaction, unavailable
from shared.errors import Poison
from shared.events.event import Event, EventAboutMany, Heard
from shared.events.registry import encode
from shared.parking import FOLLOWS, SOME_TARGETS, Parking, Trouble, waits_behind

_log = structlog.get_logger(__name__)

Handler = Callable[[Transaction, Sequence[Heard[Any]]], Awaitable[None]]
"""Does one set of events of one type inside the given transaction; never commits, never calls outside."""

Handlers = Mapping[type[Event], Handler]


class Handling:
    """Brings batches to their handlers, exactly once in effect."""

    def __init__(self, database: Database, handlers: Handlers, parking: Parking) -> None:
        self.handlers = handlers
        self.parking = parking
        self._database = database

    async def do(self, batch: Batch) -> int:
        """Handle a batch to its end and return how many of its records were parked for their own fault.

        Raises what `shared.database.unavailable` calls unavailable: nothing was done then.
        """
        if batch.kind is None:
            return await self._park_all(batch.records)
        return await self._halving(batch.kind, batch.records)

    async def _park_all(self, records: Sequence[Received]) -> int:
        async with self._database.transaction() as tx:
            for record in records:
                poison = record.poison or Poison("unreadable", "the record cannot be read")
                await self.parking.park(tx, record, Trouble(poison.reason, poison.detail))
        metrics.EVENTS_PARKED.labels(self.parking.consumer).inc(len(records))
        return len(records)

    async def _halving(self, kind: type[Event], records: Sequence[Received]) -> int:
        """Do all of it in one transaction; if that fails, each half in its own."""
        try:
            async with self._database.transaction() as tx:
                await self._together(tx, kind, records)
        except Exception as error:
            if unavailable(error):
                raise
            if len(records) == 1:
                return await self._alone(kind, records[0], error)
            middle = len(records) // 2
            parked = await self._halving(kind, records[:middle])
            return parked + await self._halving(kind, records[middle:])
        metrics.EVENTS_HANDLED.labels(self.parking.consumer, kind.__name__).inc(len(records))
        return 0

    async def _together(self, tx: Transaction, kind: type[Event], records: Sequence[Received]) -> None:
        fresh = await self._unparked(tx, records)
        claimed = await inbox.claim(tx, self.parking.consumer, [_event_id(record) for record in fresh])
        todo = []
        for record in fresh:
            if _event_id(record) in claimed:
                claimed.discard(_event_id(record))  # a record twice in one batch is done once
                todo.append(_heard(record))
        if todo:
            await self.handlers[kind](tx, todo)

    async def _unparked(self, tx: Transaction, records: Sequence[Received]) -> list[Received]:
        """Return the records that may go on; those behind a parked one of their entitlements are parked too."""
        crowded = await self.parking.crowded(tx, [record.key for record in records])
        if not crowded:
            return list(records)
        free = []
        for record in records:
            rows = crowded.get(record.key, [])
            if any(row.event_id == _event_id(record) for row in rows):
                continue  # redelivered: it is parked already
            if waits_behind(rows).isdisjoint(_heard(record).event.entitlement_ids()):
                free.append(record)
            else:
                await self.parking.park(tx, record, Trouble(FOLLOWS, "waits behind a parked record"))
                crowded[record.key] = await self.parking.locked(tx, record.key)
        return free

    async def _alone(self, kind: type[Event], record: Received, error: Exception) -> int:
        """Do what can be done of one bad event: its good targets with the claim, the bad ones parked."""
        heard = _heard(record)
        if isinstance(heard.event, EventAboutMany) and len(heard.event.targets) > 1:
            try:
                return await self._target_by_target(kind, record, heard.event)
            except _NothingWorkedError as nothing:
                error = nothing.first
        async with self._database.transaction() as tx:
            await self.parking.park(tx, record, _trouble(error))
        metrics.EVENTS_PARKED.labels(self.parking.consumer).inc()
        return 1

    async def _target_by_target(self, kind: type[Event], record: Received, event: EventAboutMany[Any]) -> int:
        """Return how many records were parked. Raises _NothingWorkedError if no target could be handled."""
        async with self._database.transaction() as tx:
            if not await inbox.claim(tx, self.parking.consumer, [_event_id(record)]):
                return 0
            bad = await self._halving_targets(tx, kind, _heard(record), event.targets)
            if len(bad) == len(event.targets):
                raise _NothingWorkedError(bad[0][1])
            if not bad:
                return 0
            left = event.model_copy(update={"targets": tuple(target for target, _ in bad)})
            parked = replace(record, heard=replace(_heard(record), event=left))
            await self.parking.park(tx, parked, _trouble(bad[0][1]), part=SOME_TARGETS, value=encode(left))
        metrics.EVENTS_PARKED.labels(self.parking.consumer).inc()
        return 1

    async def _halving_targets(
        self, tx: Transaction, kind: type[Event], heard: Heard[Any], targets: tuple[Any, ...]
    ) -> list[tuple[Any, Exception]]:
        """Handle these targets under a savepoint, else each half; return those that failed, each with why."""
        try:
            async with tx.savepoint():
                part = heard.event.model_copy(update={"targets": targets})
                await self.handlers[kind](tx, [replace(heard, event=part)])
        except Exception as error:
            if unavailable(error):
                raise
            if len(targets) == 1:
                return [(targets[0], error)]
        else:
            tx.climb_again()
            return []
        middle = len(targets) // 2
        bad = await self._halving_targets(tx, kind, heard, targets[:middle])
        rest = replace(heard, unreadable=())  # answered with the first half
        return bad + await self._halving_targets(tx, kind, rest, targets[middle:])


class _NothingWorkedError(Exception):
    """Not a single target could be handled: the whole event is parked, and nothing is claimed."""

    def __init__(self, first: Exception) -> None:
        super().__init__(str(first))
        self.first = first


def _heard(record: Received) -> Heard[Event]:
    if record.heard is None:
        raise Poison("unreadable", "a record without an event reached its handler")
    return record.heard


def _event_id(record: Received) -> UUID:
    return _heard(record).envelope.event_id


def _trouble(error: Exception) -> Trouble:
    """Name the trouble; a fault of ours shows its type only, for its text may carry values of the record."""
    if isinstance(error, Poison):
        return Trouble(error.reason, error.detail)
    _log.error("an event could not be handled", error=type(error).__name__, exc_info=error)
    return Trouble("handler_failed", type(error).__name__)
