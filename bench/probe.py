"""Listens to what licensing tells, outside any consumer group, and notes when the targets of a request were told."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.kafka import KafkaConnection
from shared.topics import LICENSING_EVENTS, PARTITIONS

_Told = tuple[str, str]
"""The type of an event, and the id of the request that it belongs to."""


class Probe:
    """Counts targets; `told_at` has the time of the last of them, as `time.perf_counter` gives it."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._news = asyncio.Event()
        self._targets: defaultdict[_Told, set[str]] = defaultdict(set)
        self._told_at: dict[_Told, float] = {}

    async def listen(self) -> None:
        """Read until cancelled."""
        while True:
            records = await self._consumer.getmany(timeout_ms=1000)
            now = time.perf_counter()
            for each in [record for partition in records.values() for record in partition]:
                self._note(each, now)
            self._news.set()

    async def told(self, kind: str, request_id: str, targets: int, *, within_seconds: float = 120.0) -> float:
        """Return when so many targets of a request had been told in events of this type. Raises TimeoutError."""
        async with asyncio.timeout(within_seconds):
            while len(self._targets[kind, request_id]) < targets:
                self._news.clear()
                await self._news.wait()
        return self._told_at[kind, request_id]

    def _note(self, record: Any, now: float) -> None:
        headers = {name: value.decode() for name, value in record.headers}
        told = (headers["ce_type"], headers["ce_correlationid"])
        self._targets[told] |= {
            each["entitlement_id"] for each in json.loads(record.value).get("targets", ())
        }
        self._told_at[told] = now


@asynccontextmanager
async def probing(kafka: KafkaConnection) -> AsyncIterator[Probe]:
    """Open a probe on all partitions of licensing's topic, from their present ends on."""
    consumer = AIOKafkaConsumer(**kafka.options())
    await consumer.start()
    partitions = [TopicPartition(LICENSING_EVENTS.name, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    await consumer.seek_to_end(*partitions)
    probe = Probe(consumer)
    listening = asyncio.create_task(probe.listen())
    try:
        yield probe
    finally:
        listening.cancel()
        await asyncio.wait({listening})
        await consumer.stop()
