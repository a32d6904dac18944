"""One batch, one transaction: claim, handle, park what cannot be handled; a failing batch is halved."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

import structlog

from shared import inbox, metrics
from shared.batches import Batch, Received
from shared.database import Database, Transaction, unavailable
from shared.errors import ManagedDistributionError, Poison
from shared.events.event import Event, Heard
from shared.parking import FAILED, FOLLOWING, WAITS, WHOLE, Crowd, Parcel, Parking, Trouble
from shared.targets import cut, divide, halves, joined
from shared.trace import traces_heard

_log = structlog.get_logger(__name__)

Handler = Callable[[Transaction, Sequence[Heard[Any]]], Awaitable[None]]
"""Does one set of events of one type inside the given transaction; never commits, never calls outside."""

Handlers = Mapping[type[Event], Handler]

Piece = tuple[Heard[Any], Exception]
"""What could not be handled, down to one target, and why."""


class TooManyParked(ManagedDistributionError):
    """So many records in a row could not be handled that the fault is hardly theirs; nothing was skipped."""


class NothingWorked(ManagedDistributionError):
    """Nothing of an event could be handled; `first` is why its first part could not."""

    def __init__(self, first: Exception) -> None:
        super().__init__(type(first).__name__)
        self.first = first


class Handling:
    """Brings batches to their handlers, exactly once in effect.

    `parked_in_a_row` are the ids of the events parked for a fault of their own with none handled in between;
    `turned_at` is when the last transaction ended, on the monotonic clock.
    """

    def __init__(self, database: Database, handlers: Handlers, parking: Parking) -> None:
        self.handlers = handlers
        self.parking = parking
        self.parked_in_a_row: list[UUID] = []
        self.turned_at = database.clock.monotonic()
        self._database = database

    async def do(self, batch: Batch, *, most_in_a_row: int | None = None) -> int:
        """Handle a batch to its end and return how many of its records were parked for their own fault.

        Raises what `shared.database.unavailable` calls unavailable, and TooManyParked when the next one would be
        more than `most_in_a_row`. The batch can be done again then: what was done of it is known.
        """
        if batch.kind is None:
            return await self._park_unreadable(batch.records, most_in_a_row)
        return await self._halving(batch.kind, batch.records, most_in_a_row)

    async def do_possible(self, tx: Transaction, heard: Heard[Any]) -> list[Piece]:
        """Handle an event target by target if need be, inside `tx`; return the targets that failed.

        Raises NothingWorked when the event is to be kept whole: all of it failed, or what could not be read of it
        was not answered. Raises what is unavailable.
        """
        failed = await self._in_pieces(tx, heard)
        targets = getattr(heard.event, "targets", (heard.event,))
        all_failed = len(failed) == len(targets) and not heard.unreadable
        if failed and (all_failed or any(piece.unreadable for piece, _ in failed)):
            raise NothingWorked(failed[0][1])
        return failed

    async def _in_pieces(self, tx: Transaction, heard: Heard[Any]) -> list[Piece]:
        """Handle an event under a savepoint; if that fails, each half of its targets."""
        failure: Exception | None = None
        try:
            async with tx.savepoint():
                await self._call(tx, [heard])
        except Exception as error:
            if unavailable(error):
                raise
            failure = error
        finally:
            self.turned_at = self._database.clock.monotonic()
        if failure is None:
            tx.climb_again()
            return []
        parts = halves(heard)
        if not parts:
            return [(heard, failure)]
        return [piece for part in parts for piece in await self._in_pieces(tx, part)]

    async def _park_unreadable(self, records: Sequence[Received], most_in_a_row: int | None) -> int:
        for record in records:
            poison = record.poison or Poison("unreadable", "the record cannot be read")
            await self._park(record, poison, most_in_a_row)
        return len(records)

    async def _halving(
        self, kind: type[Event], records: Sequence[Received], most_in_a_row: int | None
    ) -> int:
        """Do all of it in one transaction; if that fails, each half in its own."""
        failure: Exception | None = None
        try:
            async with self._database.transaction() as tx:
                handled = await self._together(tx, kind, records)
            self._handled(kind, handled)
        except Exception as error:
            if unavailable(error):
                raise
            failure = error
        finally:
            self.turned_at = self._database.clock.monotonic()
        if failure is None:
            return 0
        if len(records) == 1:
            return await self._alone(records[0], failure, most_in_a_row)
        middle = len(records) // 2
        parked = await self._halving(kind, records[:middle], most_in_a_row)
        return parked + await self._halving(kind, records[middle:], most_in_a_row)

    async def _together(self, tx: Transaction, kind: type[Event], records: Sequence[Received]) -> int:
        """Claim and handle the records whose turn it is; return how many those were."""
        todo = await self._claimed(tx, await self._in_turn(tx, records))
        if todo:
            await self._call(tx, [_heard(record) for record in todo])
        if kind.tombstone:
            await self.parking.forget(tx, [record.key for record in todo])
        return len(todo)

    async def _call(self, tx: Transaction, events: Sequence[Heard[Event]]) -> None:
        """Call the handler; what it tells goes on with the traces of what it heard."""
        heard = traces_heard.set(
            {
                each.envelope.event_id: each.envelope.traceparent
                for each in events
                if each.envelope.traceparent
            }
        )
        try:
            await self.handlers[type(events[0].event)](tx, events)
        finally:
            traces_heard.reset(heard)

    async def _in_turn(self, tx: Transaction, records: Sequence[Received]) -> list[Received]:
        """Return the records that may go on, without their targets behind parked ones: those are parked too."""
        crowds = await self.parking.crowds(tx, [record.key for record in records])
        if not crowds:
            return list(records)
        done = await inbox.done(tx, self.parking.consumer, [_event_id(record) for record in records])
        going: list[Received] = []
        staying: list[Parcel] = []
        for record in records:
            crowd = crowds.get(record.key, Crowd())
            if _event_id(record) in done or _event_id(record) in crowd.event_ids:
                continue  # delivered again: it was done before, or is parked already
            goes, stays = divide(_heard(record), crowd.waiting)
            if goes is not None:
                going.append(replace(record, heard=goes))
            if stays is not None:
                crowd.waiting.update(stays.event.entitlement_ids())
                staying.append(_parcel(record, stays, WAITS, WHOLE if goes is None else FOLLOWING))
        await self.parking.park(tx, staying)
        return going

    async def _claimed(self, tx: Transaction, records: Sequence[Received]) -> list[Received]:
        """Return the records that nobody has done before; one that comes twice in a batch is done once."""
        claimed = await inbox.claim(tx, self.parking.consumer, [_event_id(record) for record in records])
        fresh = []
        for record in records:
            if _event_id(record) in claimed:
                claimed.discard(_event_id(record))
                fresh.append(record)
        return fresh

    async def _alone(self, record: Received, error: Exception, most_in_a_row: int | None) -> int:
        """Do what can be done of one bad event: its good targets with the claim, the bad ones parked."""
        if halves(_heard(record)):
            with suppress(NothingWorked):
                return await self._target_by_target(record)
        await self._park(record, error, most_in_a_row)
        return 1

    async def _target_by_target(self, record: Received) -> int:
        """Return how many records were parked. Raises NothingWorked if nothing of it could be handled."""
        async with self._database.transaction() as tx:
            todo = await self._claimed(tx, await self._in_turn(tx, [record]))
            if not todo:
                return 0
            heard = _heard(todo[0])
            failed = await self.do_possible(tx, heard)
            if failed:
                left = joined(piece for piece, _ in failed)
                await self.parking.park(tx, [_parcel(record, left, trouble(failed[0][1]), FAILED)])
        self._handled(type(heard.event), 1)
        metrics.EVENTS_PARKED.labels(self.parking.consumer).inc(bool(failed))
        return int(bool(failed))

    async def _park(self, record: Received, error: Exception, most_in_a_row: int | None) -> None:
        if most_in_a_row is not None and len(self.parked_in_a_row) >= most_in_a_row:
            raise TooManyParked(f"{len(self.parked_in_a_row)} records in a row could not be handled")
        parcel = Parcel(record, trouble(error))
        async with self._database.transaction() as tx:
            parked = await self.parking.park(tx, [parcel])
        if parked:
            self.parked_in_a_row.append(parcel.event_id())
        metrics.EVENTS_PARKED.labels(self.parking.consumer).inc(parked)

    def _handled(self, kind: type[Event], count: int) -> None:
        if count:
            self.parked_in_a_row.clear()
            metrics.EVENTS_HANDLED.labels(self.parking.consumer, kind.__name__).inc(count)


def trouble(error: Exception) -> Trouble:
    """Name the trouble; a fault of ours shows its type only, for its text may carry values of the record."""
    if isinstance(error, Poison):
        return Trouble(error.reason, error.detail)
    _log.error("an event could not be handled", error=type(error).__name__, exc_info=error)
    return Trouble("handler_failed", type(error).__name__)


def _parcel(record: Received, part: Heard[Any], why: Trouble, number: int) -> Parcel:
    """Return the parcel of a part of a record; the whole record keeps its bytes."""
    value = None if number == WHOLE else cut(record.value, part)
    return Parcel(replace(record, heard=part), why, number, value)


def _heard(record: Received) -> Heard[Event]:
    if record.heard is None:
        raise Poison("unreadable", "a record without an event reached its handler")
    return record.heard


def _event_id(record: Received) -> UUID:
    return _heard(record).envelope.event_id
