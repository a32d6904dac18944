"""One aiokafka consumer with its edges guarded: polls are never cancelled, commits and stops are bounded."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaError

from shared.bookmarks import Bookmarks, Places
from shared.kafka import KafkaConnection
from shared.waiting import done_before

_log = structlog.get_logger(__name__)

T = TypeVar("T")

_EMBEDDED_SESSION = 6.0
"""The broker in memory lets a member join again only after its session time: after a crash that is long enough."""

_LAST_SECONDS = 2.0
"""What a consumer that does not stop gets to unwind, once its tasks were cancelled."""


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """The consumer's times, in seconds.

    `rebalance` bounds how long work at hand may hold up a rebalance, `lookup` what a commit or a question about
    offsets may take, `stop` how long taking leave may take. Under load offsets are committed every `commit_every`.
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
        self._listener = _Listener(self._idle, settings.rebalance * 0.8, self._let_go)
        self._poll: asyncio.Task[Polled] | None = None
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
        await _own(self._consumer.start())
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
        """Say how far the records are handled. It is committed now and then, before partitions go and at the stop."""
        self._done.update(offsets)
        if asyncio.get_running_loop().time() - self._committed_at >= self._settings.commit_every:
            await self.commit()

    async def commit(self) -> None:
        """Commit what is done; what cannot be committed in time is read again one day, and the inbox knows it."""
        mine = self._joined().assignment()
        done = {partition: offset for partition, offset in self._done.items() if partition in mine}
        self._done = {}
        if not done:
            return
        try:
            async with asyncio.timeout(self._settings.lookup):
                await self._joined().commit(done)
        except (TimeoutError, KafkaError) as error:
            self._done = {**done, **self._done}
            _log.warning("bus: offsets were not committed", cause=type(error).__name__)
        self._committed_at = asyncio.get_running_loop().time()

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
            records = await _own(consumer.getmany(timeout_ms=max(1, round(min(left, 1.0) * 1000))))
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
        stopping = asyncio.create_task(consumer.stop())
        await asyncio.wait({stopping}, timeout=self._settings.stop)
        if not _ended_well(stopping):
            await _tear_down(consumer, stopping)
        if self._poll is not None:
            self._poll.cancel()  # it may wait for an assignment that never comes; nobody polls this one again
            await asyncio.wait({self._poll})
            _ended_well(self._poll)

    async def _let_go(self) -> None:
        """Commit what is done of the partitions that go, and forget where we were in them."""
        await self.commit()
        self._done = {}
        self._bookmarks.forget()

    def _joined(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("the feed is polled before it was started")
        return self._consumer

    async def _next(self, consumer: AIOKafkaConsumer, seconds: float) -> Polled:
        records = await _own(
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


async def _own(of_aiokafka: Coroutine[Any, Any, T]) -> T:
    """Await something of aiokafka's. Raises KafkaError where it says that it was cancelled, and was not by us.

    (Its coordination ends so, for instance, when it is asked to rejoin while it leaves the group.)
    """
    task = asyncio.create_task(of_aiokafka)
    try:
        await asyncio.wait({task})
    finally:
        task.cancel()
    if task.cancelled():
        raise KafkaError("the consumer came to its end by itself")
    return task.result()


async def _tear_down(consumer: AIOKafkaConsumer, stopping: asyncio.Task[None]) -> None:
    """End what a stop left: its tasks would go on and connect again.

    A stop hangs while brokers are down; a fetch in back-off makes it raise CancelledError and skip closing the
    client (aiokafka issue 647).
    """
    tasks = {task for task in (stopping, *_tasks_of(consumer)) if not task.done()}
    for task in tasks:
        task.cancel()
    closing = asyncio.create_task(consumer._client.close())  # noqa: SLF001 - there is no public way
    await asyncio.wait({closing, *tasks}, timeout=_LAST_SECONDS)
    _ended_well(stopping)


def _tasks_of(consumer: AIOKafkaConsumer) -> Iterable[asyncio.Task[Any]]:
    """Return the tasks that a consumer keeps to itself."""
    parts = [getattr(consumer, part) for part in ("_coordinator", "_fetcher")]
    names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_fetch_task")
    tasks = [getattr(part, name, None) for part in parts for name in names]
    return [task for task in (*tasks, *getattr(parts[1], "_pending_tasks", ())) if task is not None]


def _ended_well(task: asyncio.Task[Any]) -> bool:
    """Say so, and take note of its exception, which asyncio would complain of otherwise."""
    return task.done() and not task.cancelled() and task.exception() is None
