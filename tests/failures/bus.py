"""How a fault test speaks on the bus and listens to it, as services outside the test would."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from shared.batches import Place, receive
from shared.events import Envelope, Event, Heard
from shared.events.registry import encode
from shared.ids import new_id
from shared.kafka import KafkaConnection

E = TypeVar("E", bound=Event)


def telling(event: E, *, sequence: int | None = None, event_id: UUID | None = None) -> Heard[E]:
    """Return an event in an envelope of its own."""
    envelope = Envelope(
        event_id=event_id or new_id(),
        source=event.topic.owner,
        type=type(event).__name__,
        version=event.version,
        time=datetime.now(UTC),
        subject=event.subject(),
        correlation_id=new_id(),
        sequence=sequence,
    )
    return Heard(envelope, event)


@asynccontextmanager
async def speaking(kafka: KafkaConnection) -> AsyncIterator["Speaker"]:
    """Open a producer."""
    producer = AIOKafkaProducer(**kafka.options(), acks="all")
    await producer.start()
    try:
        yield Speaker(producer)
    finally:
        await producer.stop()


class Speaker:
    """Publishes events; each is acknowledged when the call returns."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def tell(self, *told: Heard[Any]) -> None:
        """Publish, in this order."""
        for heard in told:
            await self._producer.send_and_wait(
                heard.event.topic.name,
                key=heard.event.key().encode(),
                value=encode(heard.event),
                headers=heard.envelope.headers(),
            )


async def everything(kafka: KafkaConnection, topic: str) -> Sequence[Heard[Any]]:
    """Read a topic from its beginning to its present end, as a consumer outside any group."""
    consumer = AIOKafkaConsumer(**kafka.options(), auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = await consumer._client._wait_on_metadata(topic)
        mine = [TopicPartition(topic, partition) for partition in partitions]
        consumer.assign(mine)
        ends = await consumer.end_offsets(mine)
        records: list[Any] = []
        while any([await consumer.position(partition) < ends[partition] for partition in mine]):
            for got in (await consumer.getmany(timeout_ms=100)).values():
                records += got
    finally:
        await consumer.stop()
    return [_heard(record) for record in records]


def once(heard: Iterable[Heard[Any]]) -> list[Heard[Any]]:
    """Drop what a relay sent again: consumers know an event by its id."""
    return list({each.envelope.event_id: each for each in heard}.values())


def _heard(record: Any) -> Heard[Any]:
    place = Place(record.topic, record.partition, record.offset)
    received = receive(place, key=record.key, headers=record.headers, value=record.value)
    assert received.heard is not None, received.poison
    return received.heard
