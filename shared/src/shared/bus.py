"""The consumer loop: poll, group, handle, commit; it stands still rather than skip, and says so."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog
from aiokafka.errors import KafkaError

from shared import metrics
from shared.batches import Batch
from shared.database import Database, unavailable
from shared.errors import ManagedDistributionError
from shared.feed import Feed, FeedSettings, Polled
from shared.handling import Handling, TooManyParked
from shared.intake import batches_of
from shared.kafka import KafkaConnection
from shared.retry import Backoff
from shared.topics import named
from shared.waiting import done_before, pause

_log = structlog.get_logger(__name__)

_STUCK_SECONDS = 120.0
_HEALTHY_SECONDS = 60.0
"""A consumer that lived so long was no failed start: the next trouble is a new one."""

_LOOK_SECONDS = 0.2
_TRIES_AS_A_WHOLE = 3
"""Then a batch that the database does not get done is cut in two: it may be too much for its timeouts."""


@dataclass(frozen=True, slots=True)
class ConsumerSettings:
    """`parked_in_a_row` records parked with none handled in between make the consumer stand still.

    After `quiet_seconds` without a record, and again that long, the consumer asks whether there are any: if there
    are, it is built anew.
    """

    poll_seconds: float = 0.5
    most_events: int = 500
    most_targets: int = 20_000
    parked_in_a_row: int = 50
    quiet_seconds: float = 60.0
    feed: FeedSettings = field(default_factory=FeedSettings)


class LogLost(ManagedDistributionError):
    """The broker in memory forgot records that were not read yet: nothing can make up for them there."""


class Stalled(KafkaError):  # type: ignore[misc]
    """Records wait, and polls bring none of them (aiokafka issues 625 and 712)."""


class Consumer:
    """Reads every topic of its handlers' events as the consumer group of one service."""

    def __init__(
        self,
        database: Database,
        kafka: KafkaConnection,
        handling: Handling,
        *,
        on_lost: Callable[[], Awaitable[object]] | None,
        settings: ConsumerSettings | None = None,
    ) -> None:
        """`on_lost` asks again for everything open; it is called when records were gone before they were read."""
        self._database = database
        self._kafka = kafka
        self._handling = handling
        self._on_lost = on_lost
        self._settings = settings or ConsumerSettings()
        self._topics = {kind.topic.name for kind in handling.handlers}
        self._clock = database.clock
        self._turned_at = self._clock.monotonic()
        self._heard_at = self._turned_at
        self._suspected = False
        self._halted: str | None = None

    def not_ready(self) -> str | None:
        """Return as a slug why this consumer does not consume, None while it does."""
        return self._halted

    def progressing(self) -> bool:
        """Say whether the loop still turns; waiting for a broker or a database counts as turning."""
        turned_at = max(self._turned_at, self._handling.turned_at)
        return self._clock.monotonic() - turned_at < _STUCK_SECONDS

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set; the transaction at hand is finished. Raises LogLost."""
        trouble = Backoff()
        while not stop.is_set():
            began_at = self._clock.monotonic()
            try:
                await self._live(stop)
            except (KafkaError, TimeoutError, OSError) as error:
                _log.warning("bus: the consumer is built anew", cause=type(error).__name__)
                metrics.CONSUMER_REBUILDS.labels(self._handling.parking.consumer).inc()
                if self._clock.monotonic() - began_at > _HEALTHY_SECONDS:
                    trouble.reset()
                await pause(stop, trouble.next())

    async def _live(self, stop: asyncio.Event) -> None:
        """Lead one aiokafka consumer from its start to its end. Raises KafkaError, TimeoutError and OSError."""
        feed = Feed(
            self._kafka,
            group=self._handling.parking.consumer,
            topics=self._topics,
            settings=self._settings.feed,
        )
        try:
            if await self._joined(feed, stop):
                await self._consume(feed, stop)
        finally:
            feed.idle()
            await feed.stop()

    async def _joined(self, feed: Feed, stop: asyncio.Event) -> bool:
        """Join the group, however long that takes; return whether it happened before `stop`."""
        joining = asyncio.create_task(feed.start())
        while not await done_before(stop, joining, seconds=1.0):
            self._turned()
            if stop.is_set():
                joining.cancel()
                await asyncio.wait({joining})
                return False
        joining.result()
        return True

    async def _consume(self, feed: Feed, stop: asyncio.Event) -> None:
        self._heard()
        self._halted = None
        while not stop.is_set():
            self._turned()
            if len(self._handling.parked_in_a_row) >= self._settings.parked_in_a_row:
                await self._stand_still(feed, stop)
            polled = await feed.poll(stop, self._settings.poll_seconds)
            if polled.lost:
                await self._say_lost(feed, polled, stop)
            if polled.records:
                self._heard()
                await self._handle(feed, polled, stop)
            else:
                await feed.commit()
                await self._look_at_silence(feed)

    async def _handle(self, feed: Feed, polled: Polled, stop: asyncio.Event) -> None:
        feed.busy()
        try:
            async for batch in batches_of(
                polled,
                self._handling.handlers,
                consumer=self._handling.parking.consumer,
                most_events=self._settings.most_events,
                most_targets=self._settings.most_targets,
            ):
                if not await self._do(feed, batch, stop):
                    return
            await feed.done({partition: got[-1].offset + 1 for partition, got in polled.records.items()})
        finally:
            feed.idle()

    async def _do(
        self, feed: Feed, batch: Batch, stop: asyncio.Event, tries: int = _TRIES_AS_A_WHOLE
    ) -> bool:
        """Handle one batch, waiting out whatever is unavailable; return False if `stop` came first."""
        began_at = self._clock.monotonic()
        trouble = Backoff()
        while not stop.is_set():
            try:
                await self._handling.do(batch, most_in_a_row=self._settings.parked_in_a_row)
            except TooManyParked:
                await self._stand_still(feed, stop)
            except Exception as error:
                if not unavailable(error):
                    raise
                _log.warning("bus: waiting", cause=type(error).__name__, event_type=batch.name())
                if self._clock.monotonic() - began_at > _STUCK_SECONDS:
                    self._halted = "batch_waits"
                await self._rest(feed, stop, trouble.next())
                tries -= 1
            else:
                self._halted = None
                return True
            if tries <= 0 and len(batch.records) > 1:
                first, second = batch.halves()
                return await self._do(feed, first, stop, 1) and await self._do(feed, second, stop, 1)
        return False

    async def _rest(self, feed: Feed, stop: asyncio.Event, seconds: float) -> None:
        self._turned()
        await feed.rest(stop, seconds)

    async def _stand_still(self, feed: Feed, stop: asyncio.Event) -> None:
        """Past the limit of parked records in a row: consume nothing until one of them was replayed or discarded."""
        self._halted = "too_many_dead_letters"
        _log.error("bus: too many dead letters in a row", parked=len(self._handling.parked_in_a_row))
        while not stop.is_set() and await self._all_still_parked():
            await self._rest(feed, stop, 1.0)
        self._handling.parked_in_a_row.clear()
        self._halted = None

    async def _all_still_parked(self) -> bool:
        """Say whether nobody has looked after them; where the database does not answer, nobody has."""
        handling = self._handling
        try:
            async with self._database.reading() as tx:
                still = await handling.parking.still(tx, handling.parked_in_a_row)
                return still.issuperset(handling.parked_in_a_row)
        except Exception as error:
            if not unavailable(error):
                raise
            return True

    async def _say_lost(self, feed: Feed, polled: Polled, stop: asyncio.Event) -> None:
        """Tell that records are gone unread, and let everything open ask again: so it heals (promise 4).

        Compacted topics forget by design.
        """
        lost = {place: begin for place, begin in polled.lost.items() if not named(place.topic).compacted}
        if not lost:
            return
        places = ", ".join(f"{place.topic}/{place.partition}" for place in lost)
        metrics.RECORDS_LOST.labels(self._handling.parking.consumer).inc(len(lost))
        if not self._kafka.keeps_log:
            raise LogLost(f"the broker in memory forgot records of {places} that were not read yet")
        self._halted = "records_lost"
        _log.error("bus: records are gone, asking again for everything open", places=places)
        asking = asyncio.create_task(self._ask_again())
        try:
            while not asking.done() and not stop.is_set():
                await self._rest(feed, stop, _LOOK_SECONDS)
        finally:
            asking.cancel()
            await asyncio.wait({asking})
        if not asking.cancelled():
            asking.result()
            await feed.done(lost)
            self._halted = None

    async def _ask_again(self) -> None:
        """Ask again for everything open, waiting out a database that does not answer."""
        trouble = Backoff()
        while self._on_lost is not None:
            try:
                await self._on_lost()
            except Exception as error:
                if not unavailable(error):
                    raise
                _log.warning("bus: asking again waits", cause=type(error).__name__)
                await self._clock.sleep(trouble.next())
            else:
                return

    async def _look_at_silence(self, feed: Feed) -> None:
        """After a quiet time ask whether records wait; if they do, and none came after as long, raise Stalled."""
        now = self._clock.monotonic()
        if now - self._heard_at < self._settings.quiet_seconds:
            return
        behind = await feed.behind()
        if behind and self._suspected:
            raise Stalled("records wait, and polls bring none of them")
        self._suspected = behind
        self._heard_at = now

    def _turned(self) -> None:
        self._turned_at = self._clock.monotonic()

    def _heard(self) -> None:
        self._heard_at = self._clock.monotonic()
        self._suspected = False
