import asyncio
import random
from collections import defaultdict

import pytest

from shared import outbox
from shared.database import Database
from shared.errors import LockOrderBroken
from shared.events import Outgoing
from shared.events.envelope import read_envelope
from shared.events.mdm_push import DeviceUnenrolled
from shared.events.words import UnenrollReason
from shared.ids import new_id, new_ids
from shared.kafka import KafkaConnection
from shared.leases import Leases
from shared.locks import Rung
from shared.relay import Relay
from shared.tables import BUCKETS
from shared.topic_admin import ensure_topics
from shared.topics import MDM_PUSH_EVENTS
from tests.shared.conftest import fetch
from tests.shared.probe import probing

ENROLLMENTS = new_ids(5)


@pytest.fixture(autouse=True)
async def topic(kafka: KafkaConnection) -> None:
    await ensure_topics(kafka, [MDM_PUSH_EVENTS])


def told(enrollment: int, version: int) -> Outgoing:
    event = DeviceUnenrolled(
        enrollment_id=ENROLLMENTS[enrollment],
        generation=1,
        serial_number=f"S{enrollment}",
        reason=UnenrollReason.REMOVED,
    )
    return Outgoing(event, new_id(), sequence=version)


async def test_what_is_appended_is_published_in_order_and_deleted(
    database: Database, kafka: KafkaConnection
) -> None:
    async with probing(kafka, MDM_PUSH_EVENTS.name) as probe:
        async with database.transaction() as tx:
            await outbox.append(tx, [told(0, version) for version in range(100)])
        relay = Relay(database, kafka)
        stop = asyncio.Event()
        running = asyncio.create_task(relay.run(stop))
        records = await probe.until(100)
        stop.set()
        await running
    assert [read_envelope(record.headers).sequence for record in records] == list(range(100))
    assert await fetch(database, "SELECT * FROM outbox") == []


async def test_a_rollback_takes_its_events_back(database: Database, kafka: KafkaConnection) -> None:
    with pytest.raises(RuntimeError):
        async with database.transaction() as tx:
            await outbox.append(tx, [told(0, 1)])
            raise RuntimeError
    assert await Relay(database, kafka).drain() == 0


async def test_no_lock_is_taken_after_the_outbox(database: Database) -> None:
    async with database.transaction() as tx:
        await outbox.append(tx, [told(0, 1)])
        with pytest.raises(LockOrderBroken, match="POOLS is locked before OUTBOX"):
            tx.reach(Rung.POOLS)


async def test_scenario_11_versions_rise_and_none_is_lost_under_many_writers(
    database: Database, kafka: KafkaConnection
) -> None:
    """Writers take the row lock first, delay their commits at random, and append after the last lock."""
    await fetch(database, "CREATE TABLE versions (place int PRIMARY KEY, version int NOT NULL)")
    await fetch(database, "INSERT INTO versions SELECT place, 0 FROM generate_series(0, 4) AS place")
    dice = random.Random(11)

    async def write() -> None:
        for _ in range(40):
            place = dice.randrange(5)
            async with database.transaction() as tx:
                if dice.random() < 0.5:
                    await tx.raw.execute("SELECT pg_current_xact_id()")
                    await asyncio.sleep(dice.random() * 0.004)
                version = await tx.raw.fetchval(
                    "UPDATE versions SET version = version + 1 WHERE place = $1 RETURNING version", place
                )
                await outbox.append(tx, [told(place, version)])
                if dice.random() < 0.3:
                    await asyncio.sleep(dice.random() * 0.01)

    stop = asyncio.Event()
    async with probing(kafka, MDM_PUSH_EVENTS.name) as probe:
        relays = [asyncio.create_task(Relay(database, kafka).run(stop)) for _ in range(2)]
        await asyncio.gather(*(write() for _ in range(6)))
        records = await probe.until(240)
        stop.set()
        await asyncio.gather(*relays)
    seen: dict[bytes, list[int]] = defaultdict(list)
    for record in records:
        seen[record.key].append(read_envelope(record.headers).sequence or 0)
    assert sum(len(versions) for versions in seen.values()) == 240
    assert all(versions == sorted(set(versions)) for versions in seen.values())


async def test_two_relays_share_the_buckets_and_one_takes_over_when_the_other_leaves(
    database: Database,
) -> None:
    first = Leases(database, owner=new_id(), seconds=15)
    second = Leases(database, owner=new_id(), seconds=15)
    await first.renew()
    assert len(first.held()) == BUCKETS
    await second.renew()
    await first.renew()
    await second.renew()
    assert sorted(first.held() + second.held()) == list(range(BUCKETS))
    assert len(first.held()) == len(second.held())
    await first.give_back()
    await second.renew()
    assert len(second.held()) == BUCKETS


async def test_a_relay_that_slept_past_its_lease_holds_nothing(database: Database) -> None:
    leases = Leases(database, owner=new_id(), seconds=0.2)
    await leases.renew()
    await asyncio.sleep(0.25)
    assert leases.held() == []


async def test_what_was_sent_is_deleted_before_its_bucket_may_be_given_up(
    database: Database, kafka: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the bucket's next relay would send it again."""
    relay = Relay(database, kafka)
    async with database.transaction() as tx:
        await outbox.append(tx, [told(place, 1) for place in range(5)])
    assert await relay._publish_batch() == 5
    left: list[int] = []
    renew = relay._leases.renew

    async def watched() -> None:
        left.append(len(await fetch(database, "SELECT id FROM outbox")))
        await renew()

    monkeypatch.setattr(relay._leases, "due", lambda: True)
    monkeypatch.setattr(relay._leases, "renew", watched)
    assert await relay._publish_batch() == 0
    assert left == [0]
    await relay.close()
