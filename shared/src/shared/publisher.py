"""One idempotent producer behind a deadline: it publishes whole batches, or says which part was taken."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.partitioner import murmur2

from shared.kafka import KafkaConnection

_BATCH_BYTES = 950_000
"""Below the broker's own limit of 1 MiB for one batch."""

_CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ToPublish:
    """A row of the outbox as a Kafka record."""

    id: int
    topic: str
    key: bytes
    headers: Sequence[tuple[str, bytes]]
    value: bytes | None


class PublishFailed(Exception):
    """Some events were not acknowledged; `acknowledged` were. The rest may or may not have arrived."""

    def __init__(self, cause: str, acknowledged: list[int]) -> None:
        super().__init__(cause)
        self.cause = cause
        self.acknowledged = acknowledged


class Publisher:
    """Sends at most one batch per partition at a time, so that a failed one is never overtaken.

    A producer with an unknown outcome is thrown away: an idempotent aiokafka producer never expires a send
    while brokers are down, and may stay out of sequence after trouble (aiokafka issues 1101, 1013, 1017).
    """

    def __init__(self, kafka: KafkaConnection, *, deadline_seconds: float) -> None:
        self._kafka = kafka
        self._deadline_seconds = deadline_seconds
        self._batch_bytes = _BATCH_BYTES
        self._producer: AIOKafkaProducer | None = None
        self._buried: set[asyncio.Task[None]] = set()

    async def publish(self, events: Sequence[ToPublish]) -> list[int]:
        """Publish the events in order; return the ids of those that were acknowledged.

        What does not fit into its partition's batch is left for the next call. Raises PublishFailed.
        """
        sending: dict[asyncio.Future[Any], list[int]] = {}
        if not events:
            return []
        try:
            async with asyncio.timeout(self._deadline_seconds):
                producer = await self._started()
                for place, (batch, ids) in (await self._batches(producer, events)).items():
                    sending[await producer.send_batch(batch, place[0], partition=place[1])] = ids
                await asyncio.wait(sending)
        except (TimeoutError, KafkaError, OSError) as error:
            self._throw_away()
            raise PublishFailed(type(error).__name__, _taken(sending)) from error
        acknowledged = _taken(sending)
        errors = [each for future in sending if (each := future.exception()) is not None]
        if errors:
            self._throw_away()
            self._make_smaller(errors)
            raise PublishFailed(type(errors[0]).__name__, acknowledged) from errors[0]
        return acknowledged

    async def close(self) -> None:
        """Close the producer, in bounded time."""
        self._throw_away()
        if self._buried:
            _, late = await asyncio.wait(self._buried, timeout=_CLOSE_SECONDS)
            for task in late:
                task.cancel()

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            self._producer = AIOKafkaProducer(**producer_settings(self._kafka, self._batch_bytes))
            await self._producer.start()
        return self._producer

    async def _batches(
        self, producer: AIOKafkaProducer, events: Iterable[ToPublish]
    ) -> Mapping[tuple[str, int], tuple[Any, list[int]]]:
        """Return one batch for each partition, with the outbox ids in it."""
        partitions: dict[str, int] = {}
        batches: dict[tuple[str, int], tuple[Any, list[int]]] = {}
        for event in events:
            if event.topic not in partitions:
                partitions[event.topic] = len(await producer.partitions_for(event.topic))
            place = (event.topic, partition_of(event.key, partitions[event.topic]))
            if place not in batches:
                batches[place] = (producer.create_batch(), [])
            batch, ids = batches[place]
            # A batch that once was full takes nothing more, so nothing overtakes what it refused.
            if (
                batch.append(key=event.key, value=event.value, timestamp=None, headers=event.headers)
                is not None
            ):
                ids.append(event.id)
        return batches

    def _make_smaller(self, errors: Iterable[BaseException]) -> None:
        """Try with smaller batches where a topic's own limit is lower than the broker's default."""
        if any(isinstance(error, MessageSizeTooLargeError) for error in errors):
            self._batch_bytes = max(self._batch_bytes // 2, 1)

    def _throw_away(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            burial = asyncio.create_task(_bury(producer))
            self._buried.add(burial)
            burial.add_done_callback(self._buried.discard)


def producer_settings(kafka: KafkaConnection, batch_bytes: int = _BATCH_BYTES) -> dict[str, Any]:
    """Return the settings of every producer: acknowledged by all replicas, and nothing twice on a retry."""
    return {
        **kafka.options(),
        "enable_idempotence": True,
        "acks": "all",
        "compression_type": "lz4",
        "max_batch_size": batch_bytes,
        "max_request_size": 8 * _BATCH_BYTES,
    }


async def _bury(producer: AIOKafkaProducer) -> None:
    """End a producer without a flush, which might never come to its end.

    The requests that are under way come to theirs within the request timeout; what waits is not sent any more.
    """
    producer._closed = True  # noqa: SLF001 - stop() would flush
    sender = producer._sender.sender_task  # noqa: SLF001
    if sender is not None:
        sender.cancel()
        await asyncio.wait({sender})
    await producer.client.close()


def _taken(sending: Mapping[asyncio.Future[Any], list[int]]) -> list[int]:
    """Return the ids whose batches were acknowledged."""
    return [
        outbox_id
        for future, ids in sending.items()
        if future.done() and not future.cancelled() and future.exception() is None
        for outbox_id in ids
    ]


@lru_cache(maxsize=65_536)
def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition that Kafka's default partitioner gives this key."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions
