"""The consumer loop: poll, group, handle, commit; it stands still rather than skip, and says so."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from shared import metrics
from shared.batches import Batch, Place, Received, receive, to_batches
from shared.database import Database, unavailable
from shared.feed import Feed, FeedSettings, Polled
from shared.handling import Handling
from shared.kafka import KafkaConnection
from shared.retry import Backoff
from shared.topics import named

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ConsumerSettings:
    """`parked_in_a_row` records parked with none handled in between make the consumer stand still."""

    poll_seconds: float = 0.5
    most_events: int = 500
    most_targets: int = 20_000
    parked_in_a_row: int = 50
    rebuild_after_errors: int = 3
    feed: FeedSettings = field(default_factory=FeedSettings)


class LogLost(Exception):
    """The broker in memory forgot records that were not read yet: nothing can make up for them there."""


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
        self._database = database
        self._kafka = kafka
        self._handling = handling
        self._on_lost = on_lost
        self._settings = settings or ConsumerSettings()
        self._topics = {kind.topic.name for kind in handling.handlers}
        self._errors_in_a_row = 0
        self._parked_in_a_row = 0
        self._turned_at = database.clock.monotonic()
        self._halted: str | None = None

    def not_ready(self) -> str | None:
        """Return why this consumer does not consume, None while it does."""
        return self._halted

    def progressing(self) -> bool:
        """Say whether the loop still turns; waiting for a broker or a database counts as turning."""
        return self._database.clock.monotonic() - self._turned_at < 120

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set; the batch at hand is finished and committed. Raises LogLost."""
        trouble = Backoff()
        while not stop.is_set():
            feed = Feed(
                self._kafka,
                group=self._handling.parking.consumer,
                topics=self._topics,
                settings=self._settings.feed,
            )
            try:
                if await self._joined(feed, stop):
                    trouble.reset()
                    await self._consume(feed, stop)
            except (KafkaError, OSError) as error:
                _log.warning("bus: the consumer is built anew", cause=type(error).__name__)
                metrics.CONSUMER_REBUILDS.labels(self._handling.parking.consumer).inc()
                await asyncio.wait({asyncio.create_task(stop.wait())}, timeout=trouble.next())
            finally:
                feed.idle()
                await feed.stop()

    async def _joined(self, feed: Feed, stop: asyncio.Event) -> bool:
        """Join the group, however long that takes; return whether it happened before `stop`."""
        joining = asyncio.create_task(feed.start())
        stopping = asyncio.create_task(stop.wait())
        while not joining.done() and not stopping.done():
            await asyncio.wait({joining, stopping}, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
            self._turned_at = self._database.clock.monotonic()
        stopping.cancel()
        if joining.done():
            joining.result()
            return True
        joining.cancel()
        await asyncio.wait({joining}, timeout=2.0)
        return False

    async def _consume(self, feed: Feed, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._turned_at = self._database.clock.monotonic()
            try:
                polled = await feed.poll(stop, self._settings.poll_seconds)
                self._errors_in_a_row = 0
            except KafkaError as error:
                # The coordinator's errors are raised once here, then coordination goes on.
                self._errors_in_a_row += 1
                if self._errors_in_a_row >= self._settings.rebuild_after_errors:
                    raise
                _log.warning("bus: a poll failed", cause=type(error).__name__)
                continue
            if polled.lost:
                await self._say_lost(polled)
            if polled.records:
                await self._handle(feed, polled, stop)
            await self._stand_still(feed, stop)

    async def _handle(self, feed: Feed, polled: Polled, stop: asyncio.Event) -> None:
        received = [
            _receive(partition, record) for partition, got in polled.records.items() for record in got
        ]
        batches = to_batches(
            received,
            self._handling.handlers,
            most_events=self._settings.most_events,
            most_targets=self._settings.most_targets,
        )
        feed.busy()
        try:
            for batch in batches:
                if not await self._do(feed, batch, stop):
                    return
            await feed.commit({partition: got[-1].offset + 1 for partition, got in polled.records.items()})
        finally:
            feed.idle()

    async def _do(self, feed: Feed, batch: Batch, stop: asyncio.Event) -> bool:
        """Handle one batch, waiting out whatever is unavailable; return False if `stop` came first."""
        trouble = Backoff()
        while True:
            try:
                parked = await self._handling.do(batch)
            except Exception as error:
                if not unavailable(error):
                    raise
                _log.warning("bus: waiting", cause=type(error).__name__, event_type=_name(batch))
                self._turned_at = self._database.clock.monotonic()
                if stop.is_set():
                    return False
                feed.idle()  # nothing is done and nothing committed: a rebalance need not wait for us
                await feed.rest(trouble.next())
                feed.busy()
                continue
            self._parked_in_a_row = self._parked_in_a_row + parked if parked == len(batch.records) else parked
            return True

    async def _stand_still(self, feed: Feed, stop: asyncio.Event) -> None:
        """Past the limit of parked records in a row: consume nothing until one was replayed or discarded."""
        if self._parked_in_a_row < self._settings.parked_in_a_row:
            return
        self._halted = f"{self._parked_in_a_row} records in a row were parked; replay or discard them"
        _log.error("bus: too many dead letters in a row", parked=self._parked_in_a_row)
        before = await self._parked_now()
        while not stop.is_set() and await self._parked_now() >= before:
            self._turned_at = self._database.clock.monotonic()
            await feed.rest(1.0)
        self._halted = None
        self._parked_in_a_row = 0

    async def _parked_now(self) -> int:
        try:
            async with self._database.transaction() as tx:
                count: int = await tx.raw.fetchval(
                    "SELECT count(*) FROM parked WHERE consumer = $1", self._handling.parking.consumer
                )
        except Exception as error:
            if not unavailable(error):
                raise
            return 2**31
        return count

    async def _say_lost(self, polled: Polled) -> None:
        """Tell that records are gone unread, and let everything open ask again: so it heals (promise 4)."""
        lost = [partition for partition in polled.lost if not named(partition.topic).compacted]
        if not lost:
            return
        places = ", ".join(f"{partition.topic}/{partition.partition}" for partition in lost)
        metrics.RECORDS_LOST.labels(self._handling.parking.consumer).inc(len(lost))
        if not self._kafka.keeps_log:
            raise LogLost(f"the broker in memory forgot records of {places} that were not read yet")
        self._halted = f"records of {places} were gone before they were read; open asks are being repeated"
        _log.error("bus: records are gone, asking again for everything open", places=places)
        if self._on_lost is not None:
            await self._on_lost()
        self._halted = None


def _receive(partition: TopicPartition, record: object) -> Received:
    place = Place(partition.topic, partition.partition, record.offset)  # type: ignore[attr-defined]
    return receive(place, key=record.key or b"", headers=record.headers, value=record.value)  # type: ignore[attr-defined]


def _name(batch: Batch) -> str:
    return batch.kind.__name__ if batch.kind is not None else "unreadable"
