import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from local.broker import (
    DISCONNECT,
    ApacheBroker,
    Api,
    Broker,
    EmbeddedBroker,
    ExternalBroker,
    apache_available,
    choose,
)
from tests.conftest import CACHE, NewTopicName
from tests.local.orphans import orphan

needs_apache = pytest.mark.skipif(not apache_available(), reason="java and mvn are not both on the PATH")

NOT_LEADER, TIMED_OUT, TOO_LARGE, NOT_ENOUGH_REPLICAS = 6, 7, 10, 19


@asynccontextmanager
async def producer(broker: Broker) -> AsyncIterator[AIOKafkaProducer]:
    client = AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap_servers, enable_idempotence=True, retry_backoff_ms=20
    )
    try:
        await client.start()
        yield client
    finally:
        await client.stop()


@asynccontextmanager
async def consumer(broker: Broker, topic: str, group: str | None = None) -> AsyncIterator[AIOKafkaConsumer]:
    async with AIOKafkaConsumer(
        topic,
        bootstrap_servers=broker.bootstrap_servers,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=20,
    ) as client:
        yield client


async def send(broker: Broker, topic: str, *values: bytes) -> None:
    async with producer(broker) as client:
        for value in values:
            await client.send_and_wait(topic, value)


async def receive(broker: Broker, topic: str, count: int, *, group: str | None = None) -> set[bytes]:
    async with consumer(broker, topic, group) as client:
        return {(await client.getone()).value for _ in range(count)}


async def create_topic(broker: ApacheBroker, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 4, replication_factor=1)])
    finally:
        await admin.close()


@pytest.fixture
async def own() -> AsyncIterator[EmbeddedBroker]:
    """An embedded broker for this test alone, with the topic `events`."""
    broker = EmbeddedBroker()
    await broker.start()
    broker.create_topic("events")
    yield broker
    await broker.stop()


@pytest.fixture
async def apache(tmp_path: Path) -> AsyncIterator[ApacheBroker]:
    """An Apache Kafka for this test alone, with the topic `events`."""
    broker = ApacheBroker(tmp_path / "apache", cache=CACHE)
    await broker.start()
    await create_topic(broker, "events")
    yield broker
    await broker.discard()


async def test_what_is_sent_is_received(broker: Broker, new_topic: NewTopicName) -> None:
    topic = await new_topic("round.trip")
    await send(broker, topic, b"1", b"2", b"3")
    assert await receive(broker, topic, 3, group=topic) == {b"1", b"2", b"3"}


class TestEmbedded:
    async def test_what_is_sent_is_received(self, embedded_broker: EmbeddedBroker) -> None:
        embedded_broker.create_topic("round.trip")
        await send(embedded_broker, "round.trip", b"1", b"2", b"3")
        assert await receive(embedded_broker, "round.trip", 3, group="g") == {b"1", b"2", b"3"}

    async def test_the_first_member_of_a_group_does_not_wait_for_others(self, own: EmbeddedBroker) -> None:
        began = time.monotonic()
        async with consumer(own, "events", "g") as client:
            assert len(client.assignment()) == 4
        assert time.monotonic() - began < 2

    async def test_a_topic_has_the_partitions_asked_for_and_is_made_once(self, own: EmbeddedBroker) -> None:
        own.create_topic("wide", partitions=24)
        own.create_topic("wide", partitions=4)
        async with producer(own) as client:
            assert len(await client.partitions_for("wide")) == 24

    async def test_pushed_errors_are_met_once_each_and_then_all_is_well(self, own: EmbeddedBroker) -> None:
        own.push_errors(Api.PRODUCE, NOT_LEADER, TIMED_OUT, NOT_ENOUGH_REPLICAS, DISCONNECT)
        async with producer(own) as client:
            assert (await client.send_and_wait("events", b"1", partition=0)).offset == 0
        own.push_errors(Api.PRODUCE, TOO_LARGE)
        async with producer(own) as client:
            with pytest.raises(MessageSizeTooLargeError):
                await client.send_and_wait("events", b"2", partition=0)

    async def test_errors_that_were_cleared_are_met_by_nobody(self, own: EmbeddedBroker) -> None:
        own.push_errors(Api.PRODUCE, TOO_LARGE)
        own.clear_errors(Api.PRODUCE)
        await send(own, "events", b"1")

    async def test_a_broker_that_is_down_refuses_and_one_that_is_up_again_remembers(
        self, own: EmbeddedBroker
    ) -> None:
        await send(own, "events", b"before")
        own.down()
        with pytest.raises(KafkaConnectionError):
            await send(own, "events", b"lost")
        own.up()
        await send(own, "events", b"after")
        assert await receive(own, "events", 2) == {b"before", b"after"}

    async def test_every_answer_is_late_by_the_round_trip_set(self, own: EmbeddedBroker) -> None:
        async with producer(own) as client:
            await client.send_and_wait("events", b"quick", partition=0)
            own.set_rtt(300)
            began = time.monotonic()
            await client.send_and_wait("events", b"slow", partition=0)
            assert time.monotonic() - began >= 0.3
            own.set_rtt(0)

    async def test_a_consumer_finds_a_coordinator_that_moved(self, own: EmbeddedBroker) -> None:
        async with consumer(own, "events", "g") as client:
            for broker in (1, 2, 3):
                own.move_coordinator("g", broker=broker)
                await asyncio.wait_for(client.commit({TopicPartition("events", 0): broker}), 10)
                assert await client.committed(TopicPartition("events", 0)) == broker

    async def test_a_producer_finds_a_leader_that_moved(self, own: EmbeddedBroker) -> None:
        async with producer(own) as client:
            for broker in (1, 2, 3):
                own.move_leader("events", 0, broker=broker)
                sent = await asyncio.wait_for(client.send_and_wait("events", b"1", partition=0), 10)
                assert sent.offset == broker - 1

    async def test_a_broker_that_is_not_there_cannot_be_spoiled(self, own: EmbeddedBroker) -> None:
        with pytest.raises(ValueError, match="BROKER"):
            own.down(7)

    async def test_each_start_is_empty_and_a_stopped_one_says_so(self) -> None:
        broker = EmbeddedBroker(brokers=1)
        for _ in range(2):
            await broker.start()
            broker.create_topic("events")
            await send(broker, "events", b"1")
            assert await receive(broker, "events", 1) == {b"1"}
            await broker.stop()
        await broker.stop()
        with pytest.raises(RuntimeError, match="down"):
            broker.down()
        assert not broker.keeps_log


@needs_apache
class TestApache:
    async def test_records_and_address_outlive_a_stop(self, apache: ApacheBroker) -> None:
        address = apache.bootstrap_servers
        await send(apache, "events", b"1", b"2")
        await apache.stop()
        await apache.stop()
        with pytest.raises(KafkaConnectionError):
            await send(apache, "events", b"lost")
        await apache.start()
        assert apache.bootstrap_servers == address
        assert await receive(apache, "events", 2, group="g") == {b"1", b"2"}

    async def test_acknowledged_records_outlive_a_kill(self, apache: ApacheBroker) -> None:
        values = {str(number).encode() for number in range(200)}
        await send(apache, "events", *values)
        await apache.kill()
        await apache.start()
        assert await receive(apache, "events", len(values)) == values
        await send(apache, "events", b"after")

    async def test_a_topic_nobody_made_does_not_come_by_itself(self, apache: ApacheBroker) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=apache.bootstrap_servers)
        await admin.start()
        await admin.describe_topics(["misspelt"])
        assert "misspelt" not in await admin.list_topics()
        await admin.close()

    async def test_the_node_ends_when_whoever_started_it_is_killed(self, tmp_path: Path) -> None:
        await orphan(f"""
import pathlib
from local.broker import ApacheBroker
broker = ApacheBroker(pathlib.Path({str(tmp_path)!r}), cache=pathlib.Path({str(CACHE)!r}))
await broker.start()
print(broker.pid, flush=True)
""")


class TestChoice:
    def test_the_embedded_broker_is_the_one_nobody_has_to_choose(self, tmp_path: Path) -> None:
        assert isinstance(choose({}, directory=tmp_path, cache=tmp_path), EmbeddedBroker)

    @pytest.mark.parametrize(
        ("name", "kind", "keeps_log"),
        [
            ("embedded", EmbeddedBroker, False),
            ("apache", ApacheBroker, True),
            ("external", ExternalBroker, True),
        ],
    )
    def test_broker_names_it(self, tmp_path: Path, name: str, kind: type, *, keeps_log: bool) -> None:
        environment = {"BROKER": name, "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"}
        broker = choose(environment, directory=tmp_path, cache=tmp_path)
        assert isinstance(broker, kind)
        assert broker.keeps_log is keeps_log

    def test_an_unknown_broker_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="rabbit"):
            choose({"BROKER": "rabbit"}, directory=tmp_path, cache=tmp_path)

    async def test_an_external_broker_needs_its_address_and_nothing_else(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="KAFKA_BOOTSTRAP_SERVERS"):
            choose({"BROKER": "external"}, directory=tmp_path, cache=tmp_path)
        broker = ExternalBroker("kafka:9092")
        await broker.start()
        await broker.stop()
        assert broker.bootstrap_servers == "kafka:9092"
