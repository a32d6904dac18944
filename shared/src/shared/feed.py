"""One aiokafka consumer with its edges guarded: polls are never cancelled, commits and stops are bounded."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from shared.bookmarks import Bookmarks, Places
from shared.guards import failure, own, stop_within
from shared.kafka import KafkaConnection
from shared.waiting import done_before

_log = structlog.get_logger(__name__)

_EMBEDDED_SESSION = 6.0
"""The broker in memory lets a member join again only after its session time: after a crash that is long enough."""

_FOR_WORK, _FOR_COMMIT = 0.5, 0.3
"""The shares of a rebalance that the work at hand and the last commit may take: who takes longer than all of it is
left out of the group."""


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """The consumer's times, in seconds.

    `rebalance` is what the group waits for a member: half of it the work at hand may hold up the others. `lookup`
    bounds a commit or a question about offsets, `stop` taking leave. Under load offsets are committed every
    `commit_every`.
    """

    poll_records: int = 500
    session: float = 45.0
    rebalance: float = 15.0
    heartbeat: float = 2.0
    between_polls: float = 300.0
    lookup: float = 5.0
    commit_every: float = 1.0
    stop: float = 5.0


@dataclass(frozen=True, slots=True)
class Polled:
    """Records of one poll by partition, and where the log begins now in partitions that lost unread ones."""

    records: Mapping[TopicPartition, list[Any]] = field(default_factory=dict)
    lost: Mapping[TopicPartition, int] = field(default_factory=dict)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Waits for the work at hand before partitions go; takes no lock, raises nothing.

    (aiokafka logs and ignores what a listener raises, and a lock shared with the poll loop would deadlock.)
    """

    def __init__(
        self, idle: asyncio.Event, patience: float, before_they_go: Callable[[], Awaitable[None]]
    ) -> None:
        self._idle = idle
        self._patience = patience
        self._before_they_go = before_they_go

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let the work at hand come to its end, for a bounded time; the inbox covers what is too slow."""
        del revoked
        try:
            async with asyncio.timeout(self._patience):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("bus: partitions go while their work is still at hand")
        await self._before_they_go()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Do nothing: the next poll finds them without a bookmark."""
        del assigned


class Feed:
    """A member of the consumer group `group`, reading `topics`; no static membership, one assignor.

    After any KafkaError or TimeoutError out of `poll` or `rest` a feed is to be stopped and built anew: aiokafka
    may have moved past records that it never handed out, and its own check for a stuck poll is off.
    """

    def __init__(
        self, kafka: KafkaConnection, *, group: str, topics: Iterable[str], settings: FeedSettings
    ) -> None:
        session = settings.session if kafka.keeps_log else min(settings.session, _EMBEDDED_SESSION)
        self._settings = settings
        self._idle = asyncio.Event()
        self._idle.set()
        self._bookmarks = Bookmarks()
        self._done: Places = {}
        self._committed_at = 0.0
        self._listener = _Listener(self._idle, settings.rebalance * _FOR_WORK, self._let_go)
        self._poll: asyncio.Task[Polled] | None = None
        self._committing: asyncio.Task[None] | None = None
        self._topics = sorted(topics)
        self._options: dict[str, Any] = {
            **kafka.options(),
            "group_id": group,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "partition_assignment_strategy": (StickyPartitionAssignor,),
            "session_timeout_ms": round(session * 1000),
            "rebalance_timeout_ms": round(settings.rebalance * 1000),
            "heartbeat_interval_ms": round(settings.heartbeat * 1000),
            "max_poll_interval_ms": round(settings.between_polls * 1000),
            "fetch_max_wait_ms": 500 if kafka.keeps_log else 20,
            "max_partition_fetch_bytes": 4 * 1024 * 1024,
        }
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Join the group. Blocks until the first assignment, so it runs in the background of readiness.

        Raises KafkaError and OSError; `stop` is due then too, and when this was cancelled.
        """
        self._consumer = AIOKafkaConsumer(**self._options)
        self._consumer.subscribe(self._topics, listener=self._listener)
        await own(self._consumer.start())
        # While records are handled no fetch goes out: it would leave their partition out, and what comes there next
        # would wait until that fetch returns, for as long as nothing comes elsewhere. aiokafka has no setting for it.
        self._consumer._fetcher._prefetch_backoff = self._settings.between_polls  # noqa: SLF001

    async def poll(self, stop: asyncio.Event, seconds: float) -> Polled:
        """Return the next records, or none after about this many seconds or once `stop` is set.

        The poll itself is never cancelled (that would switch off aiokafka's own protection): when `stop`
        comes first, it is left to end by itself. Raises KafkaError and TimeoutError.
        """
        if self._poll is None:
            self._poll = asyncio.create_task(self._next(self._joined(), seconds))
        if not await done_before(stop, self._poll):
            return Polled()
        polled, self._poll = self._poll, None
        return polled.result()

    async def behind(self) -> bool:
        """Say whether there are records beyond those polled. Raises KafkaError and TimeoutError."""
        consumer = self._joined()
        async with asyncio.timeout(self._settings.lookup):
            ends = await consumer.end_offsets(consumer.assignment())
            return any([await consumer.position(partition) < end for partition, end in ends.items()])

    def busy(self) -> None:
        """Say that records are being handled: a rebalance waits for `idle`."""
        self._idle.clear()

    def idle(self) -> None:
        """Say that nothing is being handled."""
        self._idle.set()

    async def done(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Say how far the records of the last poll are handled. It is committed now and then, and at the end.

        Partitions that went since that poll do not count, even if they came back: others may have read on in them.
        """
        self._done.update(self._bookmarks.standing(offsets))
        if asyncio.get_running_loop().time() - self._committed_at >= self._settings.commit_every:
            await self.commit()

    async def commit(self) -> None:
        """Commit what is done; what cannot be committed in time is read again one day, and the inbox knows it."""
        await self._commit_within(self._settings.lookup)

    async def rest(self, stop: asyncio.Event, seconds: float) -> None:
        """Fetch nothing for a while or until `stop`, but stay a member: what is assigned is paused and polled.

        Nothing is under way meanwhile, so a rebalance does not wait. Raises KafkaError.
        """
        consumer = self._joined()
        was_busy = not self._idle.is_set()
        self.idle()
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left := until - loop.time()) > 0 and not stop.is_set():
            consumer.pause(*consumer.assignment())
            records = await own(consumer.getmany(timeout_ms=max(1, round(min(left, 1.0) * 1000))))
            for partition, got in records.items():  # came with a rebalance: read again later
                consumer.seek(partition, got[0].offset)
        consumer.resume(*consumer.assignment())
        if was_busy:
            self.busy()

    async def stop(self) -> None:
        """Leave the group, in bounded time. Harmless when it was never joined."""
        if self._consumer is None:
            return
        await self.commit()
        consumer, self._consumer = self._consumer, None
        await stop_within(consumer, self._settings.stop)
        if self._poll is not None:
            self._poll.cancel()  # it may wait for an assignment that never comes; nobody polls this one again
            await asyncio.wait({self._poll})
            failure(self._poll)

    async def _let_go(self) -> None:
        """Commit what is done of the partitions that go, and forget where we were in them.

        A commit under way is ended first: aiokafka would repeat it as a member of the next generation, which may
        take back what others have committed by then.
        """
        if self._committing is not None:
            self._committing.cancel()
        await self._commit_within(min(self._settings.lookup, self._settings.rebalance * _FOR_COMMIT))
        self._done = {}
        self._bookmarks.forget()

    async def _commit_within(self, seconds: float) -> None:
        done = dict(self._done)
        if not done:
            return
        committing = self._committing = asyncio.create_task(self._joined().commit(done))
        try:
            await asyncio.wait({committing}, timeout=seconds)
        finally:
            committing.cancel()
        if cause := failure(committing):
            _log.warning("bus: offsets were not committed", cause=cause)
        else:
            self._done = {place: at for place, at in self._done.items() if done.get(place) != at}
        self._committed_at = asyncio.get_running_loop().time()

    def _joined(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("the feed is polled before it was started")
        return self._consumer

    async def _next(self, consumer: AIOKafkaConsumer, seconds: float) -> Polled:
        records = await own(
            consumer.getmany(timeout_ms=round(seconds * 1000), max_records=self._settings.poll_records)
        )
        lost = await self._look_up(consumer)
        return Polled(records, {**lost, **self._bookmarks.move(records)})

    async def _look_up(self, consumer: AIOKafkaConsumer) -> Places:
        """Place the bookmarks of partitions that are new to us; return those that lost records unread."""
        new = self._bookmarks.missing(consumer.assignment())
        if not new:
            return {}
        async with asyncio.timeout(self._settings.lookup):
            committed = await asyncio.gather(*(consumer.committed(partition) for partition in new))
            begins = await consumer.beginning_offsets(new)
        return self._bookmarks.place(dict(zip(new, committed, strict=True)), begins)
