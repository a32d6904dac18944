"""A consumer outside any group, which reads a topic from its beginning and keeps what it read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.kafka import KafkaConnection


class Probe:
    """Reads all partitions of one topic."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.records: list[Any] = []

    async def until(self, count: int, *, seconds: float = 20.0) -> list[Any]:
        """Return the records once there are at least `count`. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while len(self.records) < count:
                for records in (await self._consumer.getmany(timeout_ms=100)).values():
                    self.records.extend(records)
        return self.records


@asynccontextmanager
async def probing(kafka: KafkaConnection, topic: str) -> AsyncIterator[Probe]:
    """Open a probe on what will be published from now on."""
    consumer = AIOKafkaConsumer(**kafka.options(), auto_offset_reset="latest", fetch_max_wait_ms=20)
    await consumer.start()
    try:
        partitions = await consumer._client._wait_on_metadata(topic)
        mine = [TopicPartition(topic, partition) for partition in partitions]
        consumer.assign(mine)
        await consumer.seek_to_end(*mine)
        yield Probe(consumer)
    finally:
        await consumer.stop()
