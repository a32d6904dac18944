"""One idempotent producer behind a deadline: it publishes whole batches, or says which part was taken."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from shared.kafka import KafkaConnection

ToPublish = tuple[int, str, bytes, list[tuple[str, bytes]], bytes | None]
"""Outbox id, topic, key, headers, value."""

_BATCH_BYTES = 900_000
"""Below the broker's default limit of 1 MiB for one batch."""

_CLOSE_SECONDS = 5.0


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
        self._producer: AIOKafkaProducer | None = None

    async def publish(self, events: Sequence[ToPublish]) -> list[int]:
        """Publish the events in order; return the ids of those that were acknowledged.

        What does not fit into its partition's batch is left for the next call. Raises PublishFailed.
        """
        acknowledged: list[int] = []
        sending: dict[asyncio.Future[object], list[int]] = {}
        try:
            async with asyncio.timeout(self._deadline_seconds):
                producer = await self._started()
                sending = await self._send(producer, events)
                await asyncio.wait(sending)
        except (TimeoutError, KafkaError, OSError) as error:
            await self._discard()
            raise PublishFailed(type(error).__name__, _taken(sending)) from error
        acknowledged = _taken(sending)
        failed = [future for future in sending if future.exception() is not None]
        if failed:
            await self._discard()
            raise PublishFailed(type(failed[0].exception()).__name__, acknowledged)
        return acknowledged

    async def close(self) -> None:
        """Close the producer, in bounded time."""
        await self._discard()

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._kafka.options(),
                enable_idempotence=True,
                acks="all",
                compression_type="lz4",
                max_batch_size=_BATCH_BYTES,
                max_request_size=8 * _BATCH_BYTES,
            )
            self._producer = producer
            await producer.start()
        return self._producer

    async def _send(
        self, producer: AIOKafkaProducer, events: Sequence[ToPublish]
    ) -> dict[asyncio.Future[object], list[int]]:
        batches: dict[tuple[str, int], tuple[object, list[int]]] = {}
        full: set[tuple[str, int]] = set()
        for outbox_id, topic, key, headers, value in events:
            partitions = len(await producer.partitions_for(topic))
            place = (topic, partition_of(key, partitions))
            if place in full:
                continue
            if place not in batches:
                batches[place] = (producer.create_batch(), [])
            batch, ids = batches[place]
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:  # type: ignore[attr-defined]
                full.add(place)
            else:
                ids.append(outbox_id)
        return {
            await producer.send_batch(batch, topic, partition=partition): ids
            for (topic, partition), (batch, ids) in batches.items()
        }

    async def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        with suppress(TimeoutError, KafkaError, OSError):
            await asyncio.wait_for(producer.stop(), _CLOSE_SECONDS)


def _taken(sending: dict[asyncio.Future[object], list[int]]) -> list[int]:
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
