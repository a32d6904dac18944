"""Relays that are killed, frozen, doubled or cut off from their broker: nothing is lost, and nothing overtakes."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from local.broker import Api, EmbeddedBroker
from shared import outbox
from shared.database import Database
from shared.ids import new_id
from shared.kafka import KafkaConnection
from shared.leases import Leases
from shared.outbox import Record
from shared.publisher import ToPublish
from shared.relay import Relay, RelaySettings
from shared.tables import BUCKETS
from shared.topics import ASSIGNMENT_EVENTS, LICENSING_EVENTS, MDM_PUSH_EVENTS
from tests.shared.conftest import fetch, serials_heard, write_down
from tests.shared.consuming import QUICK, ask, consuming, until_heard
from tests.shared.probe import Probe, probing

TOPIC = MDM_PUSH_EVENTS.name
IMPATIENT = RelaySettings(send_deadline_seconds=1.0, trouble_seconds=0.2)


@pytest.fixture
async def kafka(mortal: EmbeddedBroker, mortal_kafka: KafkaConnection) -> KafkaConnection:
    """A broker that may be taken down."""
    for topic in (MDM_PUSH_EVENTS, ASSIGNMENT_EVENTS, LICENSING_EVENTS):
        mortal.create_topic(topic.name, partitions=2)
    return mortal_kafka


@asynccontextmanager
async def relaying(*relays: Relay) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [asyncio.create_task(relay.run(stop)) for relay in relays]
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(15):
            await asyncio.gather(*tasks)


def record(number: int, *, key: str = "key", size: int = 10) -> Record:
    return Record(TOPIC, key.encode(), [("number", str(number).encode())], bytes(size))


async def append(database: Database, *records: Record) -> None:
    async with database.transaction() as tx:
        await outbox.append_records(tx, records)


def numbers(records: Iterable[Any]) -> list[int]:
    return [int(dict(each.headers)["number"]) for each in records]


def first_by_key(records: Iterable[Any]) -> dict[bytes, list[int]]:
    """Return the numbers of each key in the order in which each came first."""
    found: dict[bytes, dict[int, None]] = defaultdict(dict)
    for each in records:
        found[each.key].setdefault(int(dict(each.headers)["number"]))
    return {key: list(each) for key, each in found.items()}


async def until_seen(probe: Probe, wanted: Sequence[int]) -> None:
    """Return once all of these came, however often."""
    async with asyncio.timeout(20):
        while not set(wanted) <= set(numbers(probe.records)):
            await probe.until(len(probe.records) + 1)


async def empty(database: Database) -> bool:
    return not await fetch(database, "SELECT id FROM outbox LIMIT 1")


async def test_a_broker_that_goes_and_comes_back_gets_everything_in_order(
    database: Database, mortal: EmbeddedBroker, kafka: KafkaConnection
) -> None:
    async with probing(kafka, TOPIC) as probe:
        async with relaying(Relay(database, kafka, IMPATIENT)):
            for wave in range(4):
                await append(database, *(record(100 * wave + n, key=f"k{n % 7}") for n in range(50)))
                mortal.down()
                await append(database, *(record(100 * wave + n, key=f"k{n % 7}") for n in range(50, 100)))
                await asyncio.sleep(0.2)
                mortal.up()
            await until_seen(probe, range(400))
        assert await empty(database)
    assert all(each == sorted(each) for each in first_by_key(probe.records).values())


async def test_whatever_the_broker_answers_every_event_arrives_in_order(
    database: Database, mortal: EmbeddedBroker, kafka: KafkaConnection
) -> None:
    """Not the leader, timed out, too few replicas (before and after), too large, out of sequence, fenced, forbidden."""
    codes = (6, 7, 19, 20, 10, 45, 47, 29)
    async with probing(kafka, TOPIC) as probe:
        async with relaying(Relay(database, kafka, IMPATIENT)):
            for number, code in enumerate(codes):
                mortal.push_errors(Api.PRODUCE, code)
                await append(database, record(number))
                await until_seen(probe, [number])
        assert await empty(database)
    assert first_by_key(probe.records) == {b"key": list(range(len(codes)))}


async def test_a_stop_does_not_wait_for_a_broker_that_is_away(
    database: Database, mortal: EmbeddedBroker, kafka: KafkaConnection
) -> None:
    mortal.down()
    async with relaying(Relay(database, kafka)):
        await append(database, record(1))
        await asyncio.sleep(0.3)
        began = time.monotonic()
    assert time.monotonic() - began < 6
    assert not await empty(database)
    assert await fetch(database, "SELECT bucket FROM outbox_lease WHERE owner IS NOT NULL") == []


async def test_a_commit_wakes_the_relay_of_its_process(database: Database, kafka: KafkaConnection) -> None:
    settings = RelaySettings(fastest_seconds=60, slowest_seconds=60)
    async with probing(kafka, TOPIC) as probe, relaying(Relay(database, kafka, settings)):
        for number in range(3):
            await asyncio.sleep(0.2)
            await append(database, record(number))
            await probe.until(number + 1, seconds=15)
        database.nudges.outbox.ring()  # else it would look for the stop after its minute


async def test_what_another_process_wrote_is_found_by_looking(
    database: Database, kafka: KafkaConnection
) -> None:
    async with probing(kafka, TOPIC) as probe, relaying(Relay(database, kafka)):
        await asyncio.sleep(0.5)
        await fetch(
            database,
            "INSERT INTO outbox (bucket, topic, key, headers, value, created_at)"
            " VALUES (1, $1, 'k', '[[\"number\", \"1\"]]', NULL, now())",
            TOPIC,
        )
        assert numbers(await probe.until(1, seconds=15)) == [1]


async def test_a_read_that_ends_early_for_its_size_lets_nothing_overtake(
    database: Database, kafka: KafkaConnection
) -> None:
    """A record without a value weighs nothing, and still waits for the heavy ones before it."""
    heavy = [record(number, size=300_000) for number in range(9)]
    await append(database, *heavy, Record(TOPIC, b"key", [("number", b"9")], None), record(10))
    relay = Relay(database, kafka, RelaySettings(batch_bytes=500_000))
    async with probing(kafka, TOPIC) as probe:
        assert await relay.drain() == 11
        assert numbers(await probe.until(11)) == list(range(11))
    await relay.close()
    assert await empty(database)


async def test_a_record_that_the_broker_would_refuse_never_reaches_the_outbox(database: Database) -> None:
    with pytest.raises(ValueError, match="too large"):
        await append(database, record(1, size=outbox.MOST_BYTES))
    assert await empty(database)


async def test_a_relay_that_died_is_succeeded_when_its_lease_ends(database: Database) -> None:
    dead = Leases(database, owner=new_id(), seconds=2.0)
    await dead.renew()
    heir = Leases(database, owner=new_id(), seconds=2.0)
    await heir.renew()
    assert heir.held() == []
    async with asyncio.timeout(20):
        while len(heir.held()) < BUCKETS:
            await asyncio.sleep(0.1)
            await heir.renew()
    assert dead.held() == []
    epochs = await fetch(database, "SELECT DISTINCT epoch FROM outbox_lease")
    assert [row["epoch"] for row in epochs] == [2]


class Sleeper(Relay):
    """A relay that is stopped after it has read, and before it sends."""

    def __init__(self, database: Database, kafka: KafkaConnection, settings: RelaySettings) -> None:
        super().__init__(database, kafka, settings)
        self.asleep, self.woken = asyncio.Event(), asyncio.Event()
        self._really_publish = self._publisher.publish
        self._publisher.publish = self._publish_later  # type: ignore[method-assign]

    async def _publish_later(self, events: Sequence[ToPublish]) -> list[int]:
        self.asleep.set()
        await self.woken.wait()
        return await self._really_publish(events)


async def test_scenario_26_a_stopped_relay_that_wakes_sends_again_and_changes_nothing(
    database: Database, kafka: KafkaConnection
) -> None:
    settings = RelaySettings(lease_seconds=0.5)
    serials = [str(new_id()) for _ in range(10)]
    sleeper = Sleeper(database, kafka, settings)
    async with probing(kafka, ASSIGNMENT_EVENTS.name) as probe, relaying(sleeper):
        await ask(database, *serials[:5])
        await sleeper.asleep.wait()
        async with consuming(database, kafka, write_down, QUICK):  # with a relay of its own
            await ask(database, *serials[5:])
            await until_heard(database, serials)
            sleeper.woken.set()
            await probe.until(15)
            later = str(new_id())
            await ask(database, later)
            await until_heard(database, [later])
            await probe.until(16)
    assert await serials_heard(database) == [*serials, later]
    assert len({dict(each.headers)["ce_id"] for each in probe.records}) == 11


async def test_a_relay_whose_lease_ended_while_it_read_sends_nothing(
    database: Database, kafka: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A successor has sent it: on a compacted topic the older one would stay as the last."""
    relay = Relay(database, kafka, RelaySettings(lease_seconds=2.0))
    read = database.fetch

    async def read_slowly(statement: str, *values: object) -> list[Any]:
        rows = await read(statement, *values)
        await asyncio.sleep(2.1)
        return rows

    await append(database, record(1))
    monkeypatch.setattr(database, "fetch", read_slowly)
    assert await relay.drain() == 0
    monkeypatch.undo()
    await asyncio.sleep(0.1)
    assert await relay.drain() == 1
    await relay.close()


async def test_two_relays_that_both_believe_to_own_every_bucket_keep_the_order(
    database: Database, kafka: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sends what it reads from the beginning on: whatever comes twice, nothing comes too early."""
    monkeypatch.setattr(Leases, "held", lambda _: list(range(BUCKETS)))
    keys, settings = "abc", RelaySettings(batch=7)
    async with probing(kafka, TOPIC) as probe:
        async with relaying(*(Relay(database, kafka, settings) for _ in range(2))):
            for number in range(150):
                await append(
                    database, *(record(3 * number + place, key=key) for place, key in enumerate(keys))
                )
            await until_seen(probe, range(450))
        assert await empty(database)
    assert first_by_key(probe.records) == {
        key.encode(): list(range(place, 450, 3)) for place, key in enumerate(keys)
    }
