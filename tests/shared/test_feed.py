"""aiokafka's edges, as far as they are the consumer's; each is named with the issue that tells of it."""

import asyncio
import gc
import socket
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from local.broker import Api, Broker, EmbeddedBroker
from shared.feed import Feed, FeedSettings
from shared.ids import new_id
from shared.kafka import KafkaConnection
from shared.publisher import producer_settings
from tests.conftest import TOPIC_PARTITIONS, NewTopicName
from tests.shared.consuming import until

QUICK = FeedSettings(session=2.0, rebalance=3.0, heartbeat=0.2, lookup=1.0, stop=1.0)
IMPATIENT = FeedSettings(session=6.0, rebalance=3.0, heartbeat=0.2, between_polls=1.5, lookup=5.0)
NEVER = asyncio.Event()

NOT_COORDINATOR = 16


def connection(broker: Broker, *, request_seconds: float = 5.0) -> KafkaConnection:
    return KafkaConnection(
        broker.bootstrap_servers, keeps_log=broker.keeps_log, request_seconds=request_seconds
    )


def topic_on(broker: EmbeddedBroker, *, partitions: int = 1) -> str:
    name = f"feed-{new_id()}"
    broker.create_topic(name, partitions=partitions)
    return name


@asynccontextmanager
async def feeding(
    broker: Broker,
    topic: str,
    *,
    group: str | None = None,
    settings: FeedSettings = QUICK,
    request_seconds: float = 5.0,
) -> AsyncIterator[Feed]:
    kafka = connection(broker, request_seconds=request_seconds)
    feed = Feed(kafka, group=group or f"group-{new_id()}", topics=[topic], settings=settings)
    try:
        await feed.start()
        yield feed
    finally:
        await feed.stop()


async def send(broker: Broker, topic: str, values: Iterable[int], *, everywhere: bool = False) -> None:
    """Send values to the first partition, or `everywhere` each to the partition of its number."""
    async with AIOKafkaProducer(**producer_settings(connection(broker))) as producer:
        for value in values:
            await producer.send_and_wait(topic, str(value).encode(), partition=value if everywhere else 0)


async def read(feed: Feed, count: int) -> list[int]:
    """Return the next values."""
    values: list[int] = []
    async with asyncio.timeout(30):
        while len(values) < count:
            polled = await feed.poll(NEVER, 0.2)
            values += [int(record.value) for got in polled.records.values() for record in got]
    return values


def assigned(feed: Feed) -> frozenset[TopicPartition]:
    assert feed._consumer is not None
    partitions: frozenset[TopicPartition] = feed._consumer.assignment()
    return partitions


def own_tasks() -> set[asyncio.Task[object]]:
    return {task for task in asyncio.all_tasks() if not task.done()}


async def until_only(tasks: set[asyncio.Task[object]]) -> None:
    """Return once none but these tasks is left: the last ones may take a turn more to end."""
    await until(lambda: own_tasks() <= tasks)


async def test_a_poll_that_a_stop_comes_before_is_left_to_end_by_itself(
    embedded_broker: EmbeddedBroker,
) -> None:
    """A cancelled `getmany` leaks the counter by which aiokafka knows that it is polled at all."""
    async with feeding(embedded_broker, topic_on(embedded_broker)) as feed:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, stop.set)
        began = time.monotonic()
        assert not (await feed.poll(stop, 3.0)).records
        assert time.monotonic() - began < 2
        polling = feed._poll
        assert polling is not None
        await polling
        assert feed._consumer is not None
        await asyncio.sleep(0.05)
        assert feed._consumer._subscription._fetch_count == 0
        assert feed._consumer._subscription.fetcher_idle_time > 0


async def test_a_poll_after_a_stop_goes_on_where_it_was_left(embedded_broker: EmbeddedBroker) -> None:
    topic = topic_on(embedded_broker)
    async with feeding(embedded_broker, topic) as feed:
        stopped = asyncio.Event()
        stopped.set()
        assert not (await feed.poll(stopped, 0.5)).records
        await send(embedded_broker, topic, range(3))
        assert await read(feed, 3) == [0, 1, 2]


async def test_a_poll_that_a_rebalance_holds_up_holds_up_no_stop(embedded_broker: EmbeddedBroker) -> None:
    """While partitions are given out anew `getmany` waits longer than its timeout, and is not told of a stop."""
    tasks = own_tasks()
    async with feeding(embedded_broker, topic_on(embedded_broker)) as feed:
        assert feed._consumer is not None
        feed._consumer._subscription.begin_reassignment()
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.3, stop.set)
        began = time.monotonic()
        assert not (await feed.poll(stop, 0.05)).records
        assert time.monotonic() - began >= 0.25
    await until_only(tasks)


async def test_a_commit_gives_up_in_time(embedded_broker: EmbeddedBroker) -> None:
    """`commit` retries for ever what the broker calls retriable."""
    topic = topic_on(embedded_broker)
    await send(embedded_broker, topic, [1])
    async with feeding(embedded_broker, topic) as feed:
        await read(feed, 1)
        embedded_broker.push_errors(Api.OFFSET_COMMIT, *[NOT_COORDINATOR] * 100)
        began = time.monotonic()
        await feed.done({TopicPartition(topic, 0): 1})
        assert 0.9 < time.monotonic() - began < 5
        embedded_broker.clear_errors(Api.OFFSET_COMMIT)


async def test_what_was_committed_is_not_read_again(embedded_broker: EmbeddedBroker) -> None:
    topic, group = topic_on(embedded_broker), f"group-{new_id()}"
    await send(embedded_broker, topic, range(4))
    async with feeding(embedded_broker, topic, group=group) as feed:
        assert await read(feed, 4) == [0, 1, 2, 3]
        await feed.done({TopicPartition(topic, 0): 2})
        await feed.done({TopicPartition(topic, 0): 3, TopicPartition(topic, 7): 9})
    async with feeding(embedded_broker, topic, group=group) as feed:
        assert await read(feed, 1) == [3]


async def test_under_load_offsets_are_committed_now_and_then_before_partitions_go_and_at_the_end(
    embedded_broker: EmbeddedBroker,
) -> None:
    topic, group = topic_on(embedded_broker), f"group-{new_id()}"
    place = TopicPartition(topic, 0)
    await send(embedded_broker, topic, range(4))
    async with feeding(embedded_broker, topic, group=group) as feed:
        await read(feed, 4)
        assert feed._consumer is not None
        for offset in (1, 2, 3):
            await feed.done({place: offset})
        assert await feed._consumer.committed(place) == 1
    async with feeding(embedded_broker, topic, group=group) as feed:
        assert feed._consumer is not None
        assert await feed._consumer.committed(place) == 3
        await read(feed, 1)
        for offset in (3, 4):
            await feed.done({place: offset})
        assert await feed._consumer.committed(place) == 3
        await feed._listener.on_partitions_revoked([place])
        assert await feed._consumer.committed(place) == 4


async def test_a_stop_with_a_fetch_in_back_off_closes_the_client(mortal: EmbeddedBroker) -> None:
    """It raises CancelledError and leaves the connections open (aiokafka issue 647)."""
    topic = topic_on(mortal)
    tasks = own_tasks()
    async with feeding(mortal, topic) as feed:
        await send(mortal, topic, [1])
        await read(feed, 1)
        consumer = feed._consumer
        assert consumer is not None
        mortal.down()
        await asyncio.sleep(0.3)
        mortal.up()
        await asyncio.sleep(0.02)
    assert not [conn for conn in consumer._client._conns.values() if conn.connected()]
    await until_only(tasks)


async def test_a_stop_is_bounded_while_no_broker_answers(mortal: EmbeddedBroker) -> None:
    topic = topic_on(mortal)
    await send(mortal, topic, range(3))
    tasks = own_tasks()
    async with feeding(mortal, topic, request_seconds=30) as feed:
        await read(feed, 3)
        mortal.set_rtt(30_000)
        polling = asyncio.create_task(feed.poll(NEVER, 0.1))
        await asyncio.sleep(0.3)
        began = time.monotonic()
        await feed.stop()
        assert time.monotonic() - began < 10
        polling.cancel()
    mortal.set_rtt(0)
    await asyncio.wait({polling})
    await until_only(tasks)


async def test_a_start_that_fails_leaves_nothing_open(mortal: EmbeddedBroker) -> None:
    topic = topic_on(mortal)
    tasks = own_tasks()
    mortal.down()
    feed = Feed(connection(mortal), group="g", topics=[topic], settings=QUICK)
    with pytest.raises(KafkaError):
        await feed.start()
    await feed.stop()
    del feed
    gc.collect()  # an unclosed consumer complains when it goes, and complaints are errors here
    await until_only(tasks)


async def test_a_start_that_is_cancelled_leaves_nothing_open(mortal: EmbeddedBroker) -> None:
    """`start` waits for the first assignment without any bound."""
    topic = topic_on(mortal)
    tasks = own_tasks()
    feed = Feed(connection(mortal), group="g", topics=[topic], settings=QUICK)
    mortal.push_errors(Api.JOIN_GROUP, *[NOT_COORDINATOR] * 100)
    starting = asyncio.create_task(feed.start())
    await asyncio.sleep(0.3)
    assert not starting.done()
    starting.cancel()
    await asyncio.wait({starting})
    await feed.stop()
    del feed
    gc.collect()
    await until_only(tasks)


async def test_a_rest_keeps_the_membership_and_loses_nothing(embedded_broker: EmbeddedBroker) -> None:
    topic = topic_on(embedded_broker)
    async with feeding(embedded_broker, topic) as feed:
        await send(embedded_broker, topic, [0])
        assert await read(feed, 1) == [0]
        assert feed._consumer is not None
        generation = feed._consumer._coordinator.generation
        resting = asyncio.create_task(feed.rest(NEVER, 1.2))
        await send(embedded_broker, topic, range(1, 5))
        await resting
        assert await read(feed, 4) == [1, 2, 3, 4]
        assert feed._consumer._coordinator.generation == generation


async def test_a_rest_gives_back_what_a_rebalance_brings(embedded_broker: EmbeddedBroker) -> None:
    """Newly assigned partitions are not paused: what comes of them during the rest is read again later."""
    topic = topic_on(embedded_broker)
    async with feeding(embedded_broker, topic) as feed:
        assert feed._consumer is not None
        resting = asyncio.create_task(feed.rest(NEVER, 1.5))
        await asyncio.sleep(0.1)
        feed._consumer._coordinator.request_rejoin()
        await send(embedded_broker, topic, range(3))
        await resting
        assert await read(feed, 3) == [0, 1, 2]


async def test_a_rest_ends_with_the_stop(embedded_broker: EmbeddedBroker) -> None:
    async with feeding(embedded_broker, topic_on(embedded_broker)) as feed:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.1, stop.set)
        began = time.monotonic()
        await feed.rest(stop, 30)
        assert time.monotonic() - began < 10


async def test_a_rebalance_waits_for_the_work_at_hand_but_not_for_ever(
    embedded_broker: EmbeddedBroker,
) -> None:
    """A listener's exceptions are swallowed and its locks would deadlock: it only waits, for a bounded time."""
    settings = FeedSettings(session=6.0, rebalance=1.0, heartbeat=0.2)
    async with feeding(embedded_broker, topic_on(embedded_broker), settings=settings) as feed:
        feed.busy()
        began = time.monotonic()
        await feed._listener.on_partitions_revoked([])
        assert time.monotonic() - began > 0.4
        feed._listener._patience = 30.0
        asyncio.get_running_loop().call_later(0.1, feed.idle)
        began = time.monotonic()
        await feed._listener.on_partitions_revoked([])
        assert time.monotonic() - began < 10


async def test_slow_work_and_a_slow_commit_hold_up_a_rebalance_no_longer_than_the_group_does(
    embedded_broker: EmbeddedBroker,
) -> None:
    """A member that joins again too late is left out, and every partition it had is read again."""
    topic = topic_on(embedded_broker)
    await send(embedded_broker, topic, [1])
    settings = FeedSettings(session=6.0, rebalance=5.0, heartbeat=0.2, commit_every=60.0)
    async with feeding(embedded_broker, topic, settings=settings) as feed:
        await read(feed, 1)
        feed._committed_at = time.monotonic()
        await feed.done({TopicPartition(topic, 0): 1})
        feed.busy()
        embedded_broker.push_errors(Api.OFFSET_COMMIT, *[NOT_COORDINATOR] * 100)
        began = time.monotonic()
        await feed._listener.on_partitions_revoked([])
        assert time.monotonic() - began < settings.rebalance
        embedded_broker.clear_errors(Api.OFFSET_COMMIT)
        feed.idle()


async def test_work_that_outlasts_its_partitions_commits_nothing(embedded_broker: EmbeddedBroker) -> None:
    """They may have come back meanwhile; whoever had them in between may have read on."""
    topic = topic_on(embedded_broker)
    place = TopicPartition(topic, 0)
    await send(embedded_broker, topic, range(3))
    async with feeding(embedded_broker, topic) as feed:
        await read(feed, 3)
        await feed._listener.on_partitions_revoked([place])
        await feed.done({place: 3})
        await feed.commit()
        assert feed._consumer is not None
        assert await feed._consumer.committed(place) is None


async def test_a_commit_under_way_does_not_outlast_its_partitions(embedded_broker: EmbeddedBroker) -> None:
    """aiokafka repeats a commit under whatever generation it is a member of by then."""
    topic = topic_on(embedded_broker)
    place = TopicPartition(topic, 0)
    await send(embedded_broker, topic, range(3))
    settings = FeedSettings(session=6.0, rebalance=1.0, heartbeat=0.2)
    async with feeding(embedded_broker, topic, settings=settings) as feed:
        await read(feed, 3)
        embedded_broker.push_errors(Api.OFFSET_COMMIT, *[NOT_COORDINATOR] * 100)
        committing = asyncio.create_task(feed.done({place: 3}))
        await asyncio.sleep(0.2)
        await feed._listener.on_partitions_revoked([place])
        await asyncio.sleep(0.5)  # a request that was on its way before still gets its error
        embedded_broker.clear_errors(Api.OFFSET_COMMIT)
        await committing
        await feed.commit()
        await asyncio.sleep(0.3)
        assert feed._consumer is not None
        assert await feed._consumer.committed(place) is None


async def test_partitions_that_went_and_came_back_keep_what_others_committed_meanwhile(
    broker: Broker, new_topic: NewTopicName
) -> None:
    if isinstance(broker, EmbeddedBroker):
        pytest.skip("the embedded broker has one member per group")
    topic, group = await new_topic("feed"), f"group-{new_id()}"
    settings = FeedSettings(session=6.0, rebalance=3.0, heartbeat=0.2, lookup=3.0, commit_every=0.0)
    await send(broker, topic, range(TOPIC_PARTITIONS), everywhere=True)
    async with feeding(broker, topic, group=group, settings=settings) as slow:
        assert sorted(await read(slow, TOPIC_PARTITIONS)) == [0, 1, 2, 3]
        slow.busy()
        mine = assigned(slow)
        async with feeding(broker, topic, group=group, settings=settings) as quick:
            [gone, *_] = assigned(quick)
            await send(broker, topic, range(TOPIC_PARTITIONS), everywhere=True)
            await read(quick, 2 * len(assigned(quick)))
            await quick.done(dict.fromkeys(assigned(quick), 2))
        await until(lambda: assigned(slow) == mine)
        slow.idle()
        await slow.done(dict.fromkeys(mine, 1))  # what it had polled before all this
        assert slow._consumer is not None
        assert await slow._consumer.committed(gone) == 2


async def test_a_member_without_a_partition_stays_and_takes_over(
    broker: Broker, new_topic: NewTopicName
) -> None:
    """One that exceeds the interval between polls can never join again (aiokafka issue 1187): so it goes on polling."""
    if isinstance(broker, EmbeddedBroker):
        pytest.skip("the embedded broker has one member per group")
    topic, group = await new_topic("feed"), f"group-{new_id()}"
    feeds = [
        Feed(connection(broker), group=group, topics=[topic], settings=IMPATIENT)
        for _ in range(TOPIC_PARTITIONS + 1)
    ]
    await asyncio.gather(*(feed.start() for feed in feeds))
    long_enough = time.monotonic() + 2 * IMPATIENT.between_polls
    idle: list[Feed] = []
    async with asyncio.timeout(30):
        while time.monotonic() < long_enough or len(idle) != 1:
            await asyncio.gather(*(feed.poll(NEVER, 0.2) for feed in feeds))
            idle = [feed for feed in feeds if not assigned(feed)]
    [patient] = idle
    await asyncio.gather(*(feed.stop() for feed in feeds if feed is not patient))
    await send(broker, topic, range(3))
    assert await read(patient, 3) == [0, 1, 2]
    await patient.stop()


async def test_a_consumer_that_ends_as_if_cancelled_fails_with_an_error(
    embedded_broker: EmbeddedBroker,
) -> None:
    """So it does when it leaves the group for want of polls just as it is asked to rejoin."""
    async with feeding(embedded_broker, topic_on(embedded_broker)) as feed:
        assert feed._consumer is not None
        coordination = feed._consumer._coordinator._coordination_task
        coordination.cancel()
        await asyncio.wait({coordination})
        with pytest.raises(KafkaError):
            await feed.poll(NEVER, 0.2)
        with pytest.raises(KafkaError):
            await feed.rest(NEVER, 0.2)


def test_a_feed_is_no_static_member_and_offers_one_assignor() -> None:
    """FENCED_INSTANCE_ID is not known to aiokafka (issue 1186), and each assignor would send its own JoinGroup."""
    feed = Feed(KafkaConnection("127.0.0.1:1"), group="g", topics=["t"], settings=FeedSettings())
    assert "group_instance_id" not in feed._options
    assert len(feed._options["partition_assignment_strategy"]) == 1


def test_requests_take_longer_than_a_rebalance_and_less_than_a_session() -> None:
    """A JoinGroup is answered when all members have joined; and connections are made one after the other."""
    settings = FeedSettings()
    seconds = KafkaConnection("127.0.0.1:1").options()["request_timeout_ms"] / 1000
    assert settings.rebalance < seconds < settings.session


async def test_a_broker_that_swallows_everything_holds_up_the_others_for_a_request_only(
    embedded_broker: EmbeddedBroker,
) -> None:
    topic = topic_on(embedded_broker)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        kafka = KafkaConnection(
            f"{address},{embedded_broker.bootstrap_servers}", keeps_log=False, request_seconds=1.0
        )
        feed = Feed(kafka, group=f"group-{new_id()}", topics=[topic], settings=QUICK)
        began = time.monotonic()
        await feed.start()
        assert time.monotonic() - began < 3.0
        await feed.stop()


async def test_records_that_no_poll_brings_are_noticed(embedded_broker: EmbeddedBroker) -> None:
    topic = topic_on(embedded_broker)
    async with feeding(embedded_broker, topic) as feed:
        await feed.poll(NEVER, 0.2)
        assert not await feed.behind()
        await send(embedded_broker, topic, range(2))
        assert await feed.behind()
        await read(feed, 2)
        assert not await feed.behind()


async def test_what_comes_after_records_that_were_handled_slowly_is_fetched_at_once(
    broker: Broker, new_topic: NewTopicName
) -> None:
    """aiokafka waits 0.1 s for its records to be taken, then fetches without their partition."""
    if isinstance(broker, EmbeddedBroker):
        pytest.skip("the embedded broker answers a fetch that waits at its end only")
    topic = await new_topic("feed")
    kafka = connection(broker, request_seconds=20)
    feed = Feed(kafka, group=f"group-{new_id()}", topics=[topic], settings=FeedSettings())
    try:
        await feed.start()
        await send(broker, topic, [0])
        assert await read(feed, 1) == [0]
        assert feed._consumer is not None
        # How long such a fetch would keep the next record waiting.
        feed._consumer._fetcher._fetch_max_wait_ms = 10_000
        await send(broker, topic, [1])
        await asyncio.sleep(0.5)
        assert await read(feed, 1) == [1]
        began = time.monotonic()
        await send(broker, topic, [2])
        assert await read(feed, 1) == [2]
        assert time.monotonic() - began < 6
    finally:
        await feed.stop()
