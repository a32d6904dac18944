"""How fast events leave the outbox for Apache Kafka, beside aiokafka's own `send` of the same bytes."""

import asyncio
import secrets
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from aiokafka import AIOKafkaProducer

from bench.figures import Figure, Size
from local.broker.apache import FULL_SPEED, ApacheBroker
from local.postgres import DURABLE, EmbeddedPostgres
from shared.database import Database
from shared.events.envelope import Envelope
from shared.ids import new_id, new_ids
from shared.kafka import KafkaConnection
from shared.outbox import Record, append_records
from shared.publisher import producer_settings
from shared.relay import Relay
from shared.tables import bus_tables
from shared.topic_admin import ensure_topics
from shared.topics import LICENSING_EVENTS

_CACHE = Path(__file__).parents[1] / ".cache"
_SMALL = 100_000
_LARGE = 2_000
_KEYS = 64
_APPENDED_AT_ONCE = 500


async def measure(size: Size) -> list[Figure]:
    """Measure `relay`, events of 1 KiB, and `relay-90kb`, as large as 1,000 targets make them, per second."""
    async with _servers() as (database, kafka):
        await _measure(database, kafka, size.of(_SMALL) // 10, 1024)  # warms up both sides
        return [
            await _figure("relay", database, kafka, (size.of(_SMALL), 1024), size),
            await _figure("relay-90kb", database, kafka, (size.of(_LARGE), 90_000), size),
        ]


async def _figure(
    name: str, database: Database, kafka: KafkaConnection, load: tuple[int, int], size: Size
) -> Figure:
    count, size_of_event = load
    value, yardstick = await _measure(database, kafka, count, size_of_event)
    note = f"{count:,} events of {size_of_event:,} bytes on {_KEYS} keys; yardstick: aiokafka's send of the same bytes"
    return Figure(name, value, "events/s", yardstick, size.note(note))


async def _measure(database: Database, kafka: KafkaConnection, count: int, size: int) -> tuple[float, float]:
    """Return the events per second of the relay, and of `send`."""
    records = _records(count, size)
    async with asyncio.timeout(600):
        sending = await _send(kafka, records)
        for start in range(0, count, _APPENDED_AT_ONCE):
            async with database.transaction() as tx:
                await append_records(tx, records[start : start + _APPENDED_AT_ONCE])
        relaying = await _drain(database, kafka, count)
    return count / relaying, count / sending


async def _drain(database: Database, kafka: KafkaConnection, count: int) -> float:
    """Return the seconds from the first read to the last row deleted."""
    relay = Relay(database, kafka)
    began = time.perf_counter()
    published = await relay.drain()
    seconds = time.perf_counter() - began
    await relay.close()
    async with database.reading() as tx:
        left = await tx.raw.fetchval("SELECT count(*) FROM outbox")
    if (published, left) != (count, 0):
        raise RuntimeError(f"{published} of {count} events were published, {left} are left")
    return seconds


async def _send(kafka: KafkaConnection, records: list[Record]) -> float:
    """Return the seconds until all is acknowledged that aiokafka's `send` was given record by record."""
    producer = AIOKafkaProducer(**producer_settings(kafka))
    await producer.start()
    await producer.partitions_for(LICENSING_EVENTS.name)
    began = time.perf_counter()
    sent = [
        await producer.send(record.topic, record.value, key=record.key, headers=list(record.headers))
        for record in records
    ]
    await asyncio.gather(*sent)
    seconds = time.perf_counter() - began
    await producer.stop()
    return seconds


def _records(count: int, size: int) -> list[Record]:
    """Return records as an event of that size makes them; half of the bytes cannot be compressed."""
    keys = [str(key).encode() for key in new_ids(_KEYS)]
    text = secrets.token_hex(size)
    return [
        Record(
            LICENSING_EVENTS.name,
            keys[number % _KEYS],
            _envelope(keys[number % _KEYS].decode()).headers(),
            text[number % size : number % size + size].encode(),
        )
        for number in range(count)
    ]


def _envelope(key: str) -> Envelope:
    return Envelope(
        event_id=new_id(),
        source="licensing",
        type="LicenseReserved",
        version=1,
        time=datetime.now(UTC),
        subject=key,
        correlation_id=UUID(key),
        causation_id=UUID(key),
    )


@asynccontextmanager
async def _servers() -> AsyncIterator[tuple[Database, KafkaConnection]]:
    """Start PostgreSQL as durable as it is by default, and Apache Kafka at full speed, for one measurement."""
    with tempfile.TemporaryDirectory() as folder:
        server = await EmbeddedPostgres.start(Path(folder) / "postgres", settings=DURABLE)
        broker = ApacheBroker(Path(folder) / "kafka", cache=_CACHE, jvm_options=FULL_SPEED)
        try:
            await broker.start()
            kafka = KafkaConnection(broker.bootstrap_servers)
            await ensure_topics(kafka, [LICENSING_EVENTS])
            database = Database(await server.create_database("bench", "bench"))
            metadata = sa.MetaData()
            bus_tables(metadata)
            async with database.engine.begin() as connection:
                await connection.run_sync(metadata.create_all)
            yield database, kafka
            await database.close()
        finally:
            await broker.stop()
            await server.discard()
