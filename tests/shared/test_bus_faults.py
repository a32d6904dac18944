"""What the consumer does when its broker misbehaves: it goes on, loses nothing, and says what others lost."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from local.broker import ApacheBroker, Api, EmbeddedBroker, apache_available
from shared import metrics
from shared.bus import Consumer, LogLost
from shared.database import Database
from shared.errors import Unavailable
from shared.events.assignment import AssignmentRequested
from shared.handling import Handling
from shared.ids import new_id
from shared.kafka import KafkaConnection
from shared.parking import Parking
from shared.publisher import producer_settings
from shared.topic_admin import ensure_topics
from shared.topics import ASSIGNMENT_EVENTS, LICENSING_EVENTS, PARTITIONS
from tests.conftest import CACHE
from tests.shared.conftest import serials_heard, write_down
from tests.shared.consuming import QUICK, ask, consuming, until, until_heard, until_sent

UNKNOWN = -1
NOT_COORDINATOR = 16
GROUP_AUTHORIZATION_FAILED = 30
FENCED_INSTANCE_ID = 82
TOPIC = ASSIGNMENT_EVENTS.name


@pytest.fixture
async def kafka(mortal: EmbeddedBroker, mortal_kafka: KafkaConnection) -> KafkaConnection:
    """A broker with one partition per topic, that may be taken down."""
    for topic in (ASSIGNMENT_EVENTS, LICENSING_EVENTS):
        mortal.create_topic(topic.name, partitions=1)
    return mortal_kafka


def rebuilds(handling: Handling) -> float:
    count: float = metrics.CONSUMER_REBUILDS.labels(handling.parking.consumer)._value.get()
    return count


async def fill(kafka: KafkaConnection, *, megabytes: int) -> None:
    """Send so much that nobody understands."""
    async with AIOKafkaProducer(**{**producer_settings(kafka), "compression_type": None}) as producer:
        for _ in range(megabytes * 2):
            await producer.send_and_wait(TOPIC, bytes(500_000), key=b"k")


async def test_a_start_waits_for_a_broker_that_is_away(
    database: Database, mortal: EmbeddedBroker, kafka: KafkaConnection
) -> None:
    """It is no reason to call the process unready or stuck, and a stop ends the wait."""
    mortal.down()
    async with consuming(database, kafka, write_down, QUICK) as (consumer, _):
        await asyncio.sleep(0.5)
        assert consumer.progressing()
        assert consumer.not_ready() is None
        mortal.up()
        serial = str(new_id())
        await ask(database, serial)
        await until_heard(database, [serial])
        await until_sent(database)
        mortal.down()
        began = time.monotonic()
    assert time.monotonic() - began < 18
    mortal.up()


async def test_a_stop_ends_a_start_that_waits_for_its_first_assignment(
    database: Database, mortal: EmbeddedBroker, kafka: KafkaConnection
) -> None:
    """`start` waits for it without any bound."""
    mortal.push_errors(Api.JOIN_GROUP, *[NOT_COORDINATOR] * 1000)
    async with consuming(database, kafka, write_down, QUICK) as (consumer, _):
        await asyncio.sleep(1.0)
        assert consumer.progressing()
        began = time.monotonic()
    assert time.monotonic() - began < 5


async def test_a_broker_that_goes_and_comes_back_costs_nothing(
    database: Database, mortal: EmbeddedBroker, kafka: KafkaConnection
) -> None:
    serials = [str(new_id()) for _ in range(60)]
    async with consuming(database, kafka, write_down, QUICK):
        for third in range(3):
            await ask(database, *serials[third * 20 : third * 20 + 10])
            mortal.down()
            await ask(database, *serials[third * 20 + 10 : third * 20 + 20])
            await asyncio.sleep(0.3)
            mortal.up()
        await until_heard(database, serials)


@pytest.mark.parametrize("code", [GROUP_AUTHORIZATION_FAILED, FENCED_INSTANCE_ID])
async def test_a_coordinator_that_refuses_a_member_gets_a_new_one(
    database: Database, mortal: EmbeddedBroker, kafka: KafkaConnection, code: int
) -> None:
    """Such an error is raised once, at the next poll; of some codes aiokafka does not know the meaning."""
    serials = [str(new_id()), str(new_id())]
    async with consuming(database, kafka, write_down, QUICK) as (_, handling):
        await ask(database, serials[0])
        await until_heard(database, serials[:1])
        mortal.push_errors(Api.HEARTBEAT, code)
        await until(lambda: rebuilds(handling) == 1)
        await ask(database, serials[1])
        await until_heard(database, serials)


@pytest.mark.parametrize(
    ("api", "codes"),
    [
        (Api.FETCH, (1, 3, 6, 74)),  # out of range, unknown partition, not the leader, fenced leader epoch
        (
            Api.OFFSET_COMMIT,
            (14, 15, 16, 22, 25, 27),
        ),  # loading, away, moved, generation, member, rebalancing
        (Api.HEARTBEAT, (15, 16, 22, 25, 27)),
        (Api.LIST_OFFSETS, (3, 6)),
        (Api.OFFSET_FETCH, (14, 16)),
    ],
)
async def test_whatever_the_broker_answers_every_event_is_done_once(
    database: Database, mortal: EmbeddedBroker, kafka: KafkaConnection, api: Api, codes: tuple[int, ...]
) -> None:
    serials = [str(new_id()) for _ in codes]
    settings = replace(QUICK, feed=replace(QUICK.feed, commit_every=0.0))
    async with consuming(database, kafka, write_down, settings):
        for code, serial in zip(codes, serials, strict=True):
            mortal.push_errors(api, code)
            await ask(database, serial)
            await until_heard(database, [serial])
    assert await serials_heard(database) == serials


@pytest.mark.parametrize("api", [Api.JOIN_GROUP, Api.SYNC_GROUP, Api.FIND_COORDINATOR])
async def test_a_member_joins_however_often_it_is_refused(
    database: Database, mortal: EmbeddedBroker, kafka: KafkaConnection, api: Api
) -> None:
    mortal.push_errors(api, 15, 16, 25, GROUP_AUTHORIZATION_FAILED, 27)
    serial = str(new_id())
    async with consuming(database, kafka, write_down, QUICK):
        await ask(database, serial)
        await until_heard(database, [serial])


async def test_a_coordinator_that_moves_is_found(database: Database, embedded_broker: EmbeddedBroker) -> None:
    kafka = KafkaConnection(embedded_broker.bootstrap_servers, keeps_log=False, request_seconds=5)
    serials = [str(new_id()), str(new_id())]
    async with consuming(database, kafka, write_down, QUICK) as (_, handling):
        for serial, broker in zip(serials, (2, 3), strict=True):
            embedded_broker.move_coordinator(handling.parking.consumer, broker=broker)
            await ask(database, serial)
            await until_heard(database, [serial])


async def test_a_consumer_that_gets_nothing_of_what_waits_is_built_anew(
    database: Database, mortal: EmbeddedBroker, kafka: KafkaConnection
) -> None:
    """A consumer whose metadata went stale polls for ever and brings nothing (aiokafka issues 625 and 712)."""
    serial = str(new_id())
    settings = replace(QUICK, quiet_seconds=0.4)
    async with consuming(database, kafka, write_down, settings) as (_, handling):
        await asyncio.sleep(1.0)
        assert rebuilds(handling) == 0  # silence alone is no trouble
        mortal.push_errors(Api.FETCH, *[UNKNOWN] * 10_000)
        await ask(database, serial)
        await until(lambda: rebuilds(handling) == 1)
        mortal.clear_errors(Api.FETCH)
        await until_heard(database, [serial])


async def test_on_the_broker_in_memory_lost_records_end_the_process(
    database: Database, kafka: KafkaConnection
) -> None:
    await fill(kafka, megabytes=7)
    handling = Handling(database, {AssignmentRequested: write_down}, Parking("licensing", "licensing"))
    consumer = Consumer(database, kafka, handling, on_lost=None, settings=QUICK)
    with pytest.raises(LogLost, match=r"forgot records of assignment\.events/0 that were not read yet"):
        async with asyncio.timeout(20):
            await consumer.run(asyncio.Event())


class Asker:
    """Asks again for everything open: not at the first time, and then when it is let."""

    def __init__(self) -> None:
        self.times = 0
        self.let = asyncio.Event()

    async def __call__(self) -> None:
        self.times += 1
        if self.times == 1:
            raise Unavailable("the database does not answer")
        await self.let.wait()


async def test_lost_records_are_said_and_everything_open_is_asked_again(
    database: Database, kafka: KafkaConnection
) -> None:
    """Meanwhile the consumer is unready; it is said once, also when it starts again."""
    keeping = replace(kafka, keeps_log=True)  # says so, and forgets
    group = f"licensing-{new_id()}"
    asker = Asker()
    await fill(kafka, megabytes=7)
    async with consuming(database, keeping, write_down, QUICK, group=group, on_lost=asker) as (consumer, _):
        await until(lambda: asker.times == 2)
        assert consumer.not_ready() == "records_lost"
        asker.let.set()
        await until(lambda: consumer.not_ready() is None)
        serial = str(new_id())
        await ask(database, serial)
        await until_heard(database, [serial])
    async with consuming(database, keeping, write_down, QUICK, group=group, on_lost=asker):
        serial = str(new_id())
        await ask(database, serial)
        await until_heard(database, [serial])
    assert asker.times == 2


async def test_a_stop_does_not_wait_until_everything_was_asked_again(
    database: Database, kafka: KafkaConnection
) -> None:
    await fill(kafka, megabytes=7)
    asker = Asker()
    keeping = replace(kafka, keeps_log=True)
    async with consuming(database, keeping, write_down, QUICK, on_lost=asker):
        await until(lambda: asker.times == 2)
        began = time.monotonic()
    assert time.monotonic() - began < 5


@pytest.fixture
async def apache(tmp_path: Path) -> AsyncIterator[ApacheBroker]:
    """A broker whose log may be cut: the session's one is read from its beginning by others."""
    if not apache_available():
        pytest.skip("needs Apache Kafka")
    broker = ApacheBroker(tmp_path, cache=CACHE)
    await broker.start()
    yield broker
    await broker.stop()


async def test_scenario_18_a_consumer_that_was_away_for_longer_than_the_topic_keeps_asks_again(
    database: Database, apache: ApacheBroker
) -> None:
    kafka = KafkaConnection(apache.bootstrap_servers)
    await ensure_topics(kafka, [ASSIGNMENT_EVENTS, LICENSING_EVENTS])
    group = f"licensing-{new_id()}"
    serials = [str(new_id()) for _ in range(4)]
    asker = Asker()
    asker.let.set()
    async with consuming(database, kafka, write_down, group=group, on_lost=asker):
        await ask(database, *serials[:2])
        await until_heard(database, serials[:2])
    assert asker.times == 0
    async with consuming(database, kafka, write_down, on_lost=asker):  # another group's relay sends it
        await ask(database, *serials[2:])
        await until_heard(database, serials[2:])
    await cut(kafka)
    async with consuming(database, kafka, write_down, group=group, on_lost=asker) as (consumer, _):
        await until(lambda: asker.times == 2 and consumer.not_ready() is None)


async def cut(kafka: KafkaConnection) -> None:
    """Let retention take everything."""
    admin = AIOKafkaAdminClient(**kafka.options())
    await admin.start()
    try:
        everything = {TopicPartition(TOPIC, number): RecordsToDelete(-1) for number in range(PARTITIONS)}
        await admin.delete_records(everything)
    finally:
        await admin.close()
