"""aiokafka's edges, as far as they are the producer's; each is named with the issue that tells of it."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from local.broker import Api, EmbeddedBroker
from shared.ids import new_id
from shared.kafka import KafkaConnection
from shared.publisher import Publisher, PublishFailed, ToPublish, partition_of
from tests.shared.consuming import until

NOT_LEADER, TIMED_OUT, NOT_ENOUGH_REPLICAS = 6, 7, 19
MESSAGE_TOO_LARGE = 10
OUT_OF_ORDER_SEQUENCE = 45
KEY = b"key"


@pytest.fixture
def topic(mortal: EmbeddedBroker) -> str:
    name = f"publisher-{new_id()}"
    mortal.create_topic(name, partitions=2)
    return name


@asynccontextmanager
async def publishing(kafka: KafkaConnection, *, deadline_seconds: float = 20.0) -> AsyncIterator[Publisher]:
    publisher = Publisher(kafka, deadline_seconds=deadline_seconds)
    try:
        yield publisher
    finally:
        await publisher.close()


@contextmanager
def impatient(publisher: Publisher, *, seconds: float) -> Iterator[None]:
    """Let what is published meanwhile have this deadline."""
    patience, publisher._deadline_seconds = publisher._deadline_seconds, seconds
    yield
    publisher._deadline_seconds = patience


def events(topic: str, *ids: int, key: bytes = KEY, size: int = 10) -> list[ToPublish]:
    return [ToPublish(each, topic, key, [("n", b"v")], str(each).encode().zfill(size)) for each in ids]


async def published(kafka: KafkaConnection, topic: str, count: int) -> list[int]:
    """Return the ids on a topic, once there are so many, and those that come within a moment."""
    found: list[int] = []
    consumer = AIOKafkaConsumer(
        topic, **kafka.options(), auto_offset_reset="earliest", fetch_max_wait_ms=20, group_id=None
    )
    await consumer.start()
    try:
        end = time.monotonic() + 15
        while len(found) < count and time.monotonic() < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [int(record.value[-9:]) for record in records]
        for records in (await consumer.getmany(timeout_ms=500)).values():
            found += [int(record.value[-9:]) for record in records]
    finally:
        await consumer.stop()
    return found


def firsts(ids: Sequence[int]) -> list[int]:
    """Return ids in the order in which each came first."""
    return list(dict.fromkeys(ids))


async def test_what_was_published_is_acknowledged_in_order(mortal_kafka: KafkaConnection, topic: str) -> None:
    async with publishing(mortal_kafka) as publisher:
        assert await publisher.publish(events(topic, *range(100))) == list(range(100))
    assert await published(mortal_kafka, topic, 100) == list(range(100))


async def test_what_the_broker_calls_retriable_is_retried(
    mortal: EmbeddedBroker, mortal_kafka: KafkaConnection, topic: str
) -> None:
    async with publishing(mortal_kafka) as publisher:
        await publisher.publish(events(topic, 1))
        mortal.push_errors(Api.PRODUCE, NOT_LEADER, TIMED_OUT, NOT_ENOUGH_REPLICAS)
        assert await publisher.publish(events(topic, 2)) == [2]
    assert await published(mortal_kafka, topic, 2) == [1, 2]


async def test_a_send_gives_up_at_its_deadline_and_its_producer_sends_no_more(
    mortal: EmbeddedBroker, mortal_kafka: KafkaConnection, topic: str
) -> None:
    """An idempotent send never expires, nor does a stop with one, and it would go out later (1101, 1013)."""
    tasks = {task for task in asyncio.all_tasks() if not task.done()}
    async with publishing(mortal_kafka) as publisher:
        await publisher.publish(events(topic, 1))
        mortal.down()
        began = time.monotonic()
        with impatient(publisher, seconds=1.0), pytest.raises(PublishFailed) as failed:
            await publisher.publish(events(topic, 2))
        assert time.monotonic() - began < 5
        assert failed.value.acknowledged == []
        mortal.up()
        assert await publisher.publish(events(topic, 2, 3)) == [2, 3]
    assert await published(mortal_kafka, topic, 3) == [1, 2, 3]
    await until(lambda: {task for task in asyncio.all_tasks() if not task.done()} <= tasks)


async def test_a_producer_that_is_out_of_sequence_is_replaced(
    mortal: EmbeddedBroker, mortal_kafka: KafkaConnection, topic: str
) -> None:
    """It may stay so until it is restarted (aiokafka issue 1017)."""
    async with publishing(mortal_kafka) as publisher:
        await publisher.publish(events(topic, 1))
        spoiled = publisher._producer
        mortal.push_errors(Api.PRODUCE, OUT_OF_ORDER_SEQUENCE)
        with pytest.raises(PublishFailed, match="OutOfOrderSequenceNumber"):
            await publisher.publish(events(topic, 2))
        assert await publisher.publish(events(topic, 2)) == [2]
        assert publisher._producer is not spoiled
    assert await published(mortal_kafka, topic, 2) == [1, 2]


async def test_what_was_acknowledged_before_a_failure_is_known(
    embedded_broker: EmbeddedBroker,
) -> None:
    kafka = KafkaConnection(embedded_broker.bootstrap_servers, keeps_log=False)
    topic = f"publisher-{new_id()}"
    embedded_broker.create_topic(topic, partitions=2)
    embedded_broker.move_leader(topic, 0, broker=1)
    embedded_broker.move_leader(topic, 1, broker=2)
    keys = {partition_of(key, 2): key for key in (b"a", b"b", b"c", b"d", b"e")}
    async with publishing(kafka) as publisher:
        await publisher.publish(events(topic, 1, key=keys[0]) + events(topic, 2, key=keys[1]))
        embedded_broker.set_rtt(8000, broker=2)
        with impatient(publisher, seconds=3.0), pytest.raises(PublishFailed) as failed:
            await publisher.publish(events(topic, 3, key=keys[0]) + events(topic, 4, key=keys[1]))
        assert failed.value.acknowledged == [3]
        embedded_broker.set_rtt(0, broker=2)


async def test_batches_become_smaller_where_a_topic_takes_less(
    mortal: EmbeddedBroker, mortal_kafka: KafkaConnection, topic: str
) -> None:
    async with publishing(mortal_kafka) as publisher:
        mortal.push_errors(Api.PRODUCE, MESSAGE_TOO_LARGE, MESSAGE_TOO_LARGE)
        for _ in range(2):
            with pytest.raises(PublishFailed, match="MessageSizeTooLarge"):
                await publisher.publish(events(topic, *range(5), size=100_000))
        taken = await publisher.publish(events(topic, *range(5), size=100_000))
        assert taken == [0, 1]
        assert await publisher.publish(events(topic, 2, 3, 4, size=100_000)) == [2, 3]


async def test_nothing_overtakes_what_did_not_fit_into_the_batch(
    mortal_kafka: KafkaConnection, topic: str
) -> None:
    large, small = events(topic, 1, 2, 3, size=400_000), events(topic, 4)
    async with publishing(mortal_kafka) as publisher:
        assert await publisher.publish(large + small) == [1, 2]
        assert await publisher.publish(large[2:] + small) == [3, 4]
    assert await published(mortal_kafka, topic, 4) == [1, 2, 3, 4]


async def test_a_broker_that_answers_too_late_makes_duplicates_and_no_disorder(
    mortal: EmbeddedBroker, mortal_kafka: KafkaConnection, topic: str
) -> None:
    async with publishing(mortal_kafka) as publisher:
        await publisher.publish(events(topic, 1))
        mortal.set_rtt(1500)
        with impatient(publisher, seconds=0.5), pytest.raises(PublishFailed, match="TimeoutError"):
            await publisher.publish(events(topic, 2, 3))
        mortal.set_rtt(0)
        await asyncio.sleep(1.2)
        assert await publisher.publish(events(topic, 2, 3, 4)) == [2, 3, 4]
    assert firsts(await published(mortal_kafka, topic, 4)) == [1, 2, 3, 4]


async def test_a_start_that_fails_leaves_nothing_open(
    mortal: EmbeddedBroker, mortal_kafka: KafkaConnection, topic: str
) -> None:
    mortal.down()
    async with publishing(mortal_kafka, deadline_seconds=1.0) as publisher:
        with pytest.raises(PublishFailed):
            await publisher.publish(events(topic, 1))
    gc.collect()  # an unclosed producer complains when it goes, and complaints are errors here


async def test_nothing_to_publish_is_no_reason_to_connect() -> None:
    publisher = Publisher(KafkaConnection("127.0.0.1:1"), deadline_seconds=1)
    assert await publisher.publish([]) == []


@given(st.binary(max_size=60), st.integers(1, 64))
def test_keys_go_where_any_other_client_would_send_them(key: bytes, partitions: int) -> None:
    everywhere = list(range(partitions))
    assert partition_of(key, partitions) == DefaultPartitioner()(key, everywhere, everywhere)
