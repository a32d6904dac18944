"""One aiokafka consumer with its edges guarded: polls are never cancelled, commits and stops are bounded."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

from shared.kafka import KafkaConnection

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """The consumer's times, in seconds. `rebalance` bounds how long work at hand may hold up a rebalance."""

    poll_records: int = 500
    session: float = 45.0
    rebalance: float = 15.0
    heartbeat: float = 2.0
    between_polls: float = 300.0
    commit: float = 10.0
    stop: float = 10.0


@dataclass(frozen=True, slots=True)
class Polled:
    """Records of one poll by partition, and the partitions whose log lost records before we read them."""

    records: Mapping[TopicPartition, list[Any]] = field(default_factory=dict)
    lost: tuple[TopicPartition, ...] = ()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Waits for the work at hand before partitions go; sets flags, takes no lock, raises nothing.

    (aiokafka logs and ignores what a listener raises, and a lock shared with the poll loop would deadlock.)
    """

    def __init__(self, idle: asyncio.Event, patience: float) -> None:
        self.assigned: set[TopicPartition] = set()
        self._idle = idle
        self._patience = patience

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let the work at hand come to its end, for a bounded time; the inbox covers what is too slow."""
        del revoked
        try:
            async with asyncio.timeout(self._patience):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("bus: partitions go while their work is still at hand")

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Remember what came: its place in the log is checked before the first record is handled."""
        self.assigned = set(assigned)


class Feed:
    """A member of the consumer group `group`, reading `topics`; no static membership, one assignor."""

    def __init__(
        self, kafka: KafkaConnection, *, group: str, topics: Iterable[str], settings: FeedSettings
    ) -> None:
        self._settings = settings
        self._idle = asyncio.Event()
        self._idle.set()
        self._listener = _Listener(self._idle, settings.rebalance * 0.8)
        self._poll: asyncio.Task[dict[TopicPartition, list[Any]]] | None = None
        self._next: dict[TopicPartition, int] = {}
        self._topics = sorted(topics)
        self._options: dict[str, Any] = {
            **kafka.options(),
            "group_id": group,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "partition_assignment_strategy": (StickyPartitionAssignor,),
            "session_timeout_ms": round(settings.session * 1000),
            "rebalance_timeout_ms": round(settings.rebalance * 1000),
            "heartbeat_interval_ms": round(settings.heartbeat * 1000),
            "max_poll_interval_ms": round(settings.between_polls * 1000),
            "fetch_max_wait_ms": 500 if kafka.keeps_log else 20,
            "max_partition_fetch_bytes": 4 * 1024 * 1024,
        }
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Join the group. Blocks until the first assignment, so it runs in the background of readiness."""
        self._consumer = AIOKafkaConsumer(**self._options)
        self._consumer.subscribe(self._topics, listener=self._listener)
        await self._consumer.start()

    async def poll(self, stop: asyncio.Event, seconds: float) -> Polled:
        """Return the next records, or none after about this many seconds or once `stop` is set.

        The poll itself is never cancelled (that would switch off aiokafka's own protection): when `stop`
        comes first, it is left to end by itself. Raises KafkaError.
        """
        consumer = self._joined()
        if self._poll is None:
            self._poll = asyncio.create_task(
                consumer.getmany(timeout_ms=round(seconds * 1000), max_records=self._settings.poll_records)
            )
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({self._poll, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        if not self._poll.done():
            return Polled()
        polled, self._poll = self._poll, None
        records = polled.result()
        lost = await self._lost(consumer, records)
        self._next.update({partition: got[-1].offset + 1 for partition, got in records.items() if got})
        return Polled(records, lost)

    def busy(self) -> None:
        """Say that records are being handled: a rebalance waits for `idle`."""
        self._idle.clear()

    def idle(self) -> None:
        """Say that nothing is being handled."""
        self._idle.set()

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit; what cannot be committed in time is done again after a restart, and the inbox knows it."""
        mine = self._joined().assignment()
        wanted = {partition: offset for partition, offset in offsets.items() if partition in mine}
        if not wanted:
            return
        try:
            async with asyncio.timeout(self._settings.commit):
                await self._joined().commit(wanted)
        except (TimeoutError, KafkaError) as error:
            _log.warning("bus: offsets were not committed", cause=type(error).__name__)

    async def rest(self, seconds: float) -> None:
        """Fetch nothing for a while, but stay a member: everything assigned is paused and polled empty."""
        consumer = self._joined()
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0:
            consumer.pause(*consumer.assignment())
            records = await consumer.getmany(timeout_ms=max(1, round(min(left, 1.0) * 1000)))
            for partition, got in records.items():  # came with a rebalance: read again later
                consumer.seek(partition, got[0].offset)
        consumer.resume(*consumer.assignment())

    async def stop(self) -> None:
        """Leave the group, in bounded time."""
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            return
        if self._poll is not None:
            await asyncio.wait({self._poll}, timeout=1.0)
        stopping = asyncio.create_task(consumer.stop())
        await asyncio.wait({stopping}, timeout=self._settings.stop)
        # A fetch in back-off makes stop() raise CancelledError and skip closing the client (aiokafka 647).
        if not stopping.done() or stopping.cancelled() or stopping.exception() is not None:
            stopping.cancel()
            await asyncio.wait({asyncio.create_task(consumer._client.close())}, timeout=2.0)  # noqa: SLF001
        if self._poll is not None and self._poll.done() and not self._poll.cancelled():
            self._poll.exception()  # seen: it ended with the consumer

    def _joined(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("the feed is polled before it was started")
        return self._consumer

    async def _lost(
        self, consumer: AIOKafkaConsumer, records: Mapping[TopicPartition, list[Any]]
    ) -> tuple[TopicPartition, ...]:
        """Return the partitions of which records are gone that we had not read.

        Compare where we meant to go on with where the log begins (after an assignment) and with what came.
        """
        new, self._listener.assigned = self._listener.assigned, set()
        for partition in new & consumer.assignment():
            committed = await consumer.committed(partition)
            if committed is not None:
                self._next[partition] = committed
            else:
                self._next.pop(partition, None)
        begins = await consumer.beginning_offsets(sorted(new)) if new else {}
        first = {**begins, **{partition: got[0].offset for partition, got in records.items() if got}}
        return tuple(
            partition for partition, offset in sorted(first.items())
            if offset > self._next.get(partition, offset)
        )  # fmt: skip
