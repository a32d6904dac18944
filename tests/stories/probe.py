"""A stranger on the bus: says what a service would say, and hears everything that any service said."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from shared.errors import Poison
from shared.events import Envelope, Event, Heard
from shared.events.envelope import Headers, read_envelope
from shared.events.registry import decode, encode
from shared.ids import new_id
from shared.kafka import KafkaConnection
from shared.topics import Topic

E = TypeVar("E", bound=Event)


@asynccontextmanager
async def probing(kafka: KafkaConnection) -> AsyncIterator["Probe"]:
    """Open a probe."""
    producer = AIOKafkaProducer(**kafka.options(), acks="all")
    await producer.start()
    try:
        yield Probe(kafka, producer)
    finally:
        await producer.stop()


class Probe:
    """Speaks and listens outside any consumer group."""

    def __init__(self, kafka: KafkaConnection, producer: AIOKafkaProducer) -> None:
        self._kafka = kafka
        self._producer = producer

    async def tell(self, event: Event, envelope: Envelope) -> None:
        """Say an event as its owner would."""
        await self.put(event.topic, event.key().encode(), encode(event), envelope.headers())

    async def put(self, topic: Topic, key: bytes, value: bytes | None, headers: Headers) -> None:
        """Put a record on a topic, whatever it holds."""
        await self._producer.send_and_wait(topic.name, key=key, value=value, headers=list(headers))

    async def records(self, topic: Topic) -> Sequence[Any]:
        """Return the records of a topic from its beginning to its present end."""
        consumer = AIOKafkaConsumer(**self._kafka.options(), auto_offset_reset="earliest")
        await consumer.start()
        try:
            partitions = await consumer._client._wait_on_metadata(topic.name)
            mine = [TopicPartition(topic.name, partition) for partition in partitions]
            consumer.assign(mine)
            ends = await consumer.end_offsets(mine)
            records: list[Any] = []
            while any([await consumer.position(partition) < ends[partition] for partition in mine]):
                for got in (await consumer.getmany(timeout_ms=100)).values():
                    records += got
        finally:
            await consumer.stop()
        return records

    async def heard(self, kind: type[E]) -> list[Heard[E]]:
        """Return all events of one kind so far; what a relay sent twice is there once."""
        read = [_read(record, kind) for record in await self.records(kind.topic)]
        return list({each.envelope.event_id: each for each in read if each is not None}.values())


def envelope_of(event: Event, **said: Any) -> Envelope:
    """Return a new envelope for an event, with some of its words said otherwise."""
    plain: dict[str, Any] = {
        "event_id": new_id(),
        "source": event.topic.owner,
        "type": type(event).__name__,
        "version": event.version,
        "time": datetime.now(UTC),
        "subject": event.subject(),
        "correlation_id": new_id(),
    }
    return Envelope(**plain | said)


def _read(record: Any, kind: type[E]) -> Heard[Any] | None:
    """Return the event of a record, None where it is of another kind or one that a story spoiled."""
    if dict(record.headers).get("ce_type") != kind.__name__.encode():
        return None
    try:
        return decode(kind, read_envelope(record.headers), key=record.key, value=record.value)
    except Poison:
        return None
