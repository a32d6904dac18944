"""From what one poll brought to batches, a set of records at a time: a poll may bring more than memory should hold."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from shared import metrics
from shared.batches import Batch, Place, Received, receive, to_batches
from shared.events.event import Event
from shared.events.registry import REGISTRY
from shared.feed import Polled


async def batches_of(
    polled: Polled, hears: Mapping[type[Event], object], *, consumer: str, most_events: int, most_targets: int
) -> AsyncIterator[Batch]:
    """Yield the batches of a poll in order, none larger than said; those before have been handled by then."""
    async for received in _received(polled, hears, consumer, most_targets):
        for batch in to_batches(received, hears, most_events=most_events, most_targets=most_targets):
            yield batch


async def _received(
    polled: Polled, hears: Mapping[type[Event], object], consumer: str, most_targets: int
) -> AsyncIterator[list[Received]]:
    """Read the records, in sets of so many targets: a poll may bring 500,000, and each is a kilobyte of memory.

    The other tasks of the process get their turn between any two.
    """
    received: list[Received] = []
    weight = 0
    for partition, got in polled.records.items():
        for record in got:
            read = receive(
                Place(partition.topic, partition.partition, record.offset),
                key=record.key or b"",
                headers=record.headers,
                value=record.value,
                heard_here=hears.keys(),
            )
            if read.envelope is not None and read.envelope.type not in REGISTRY:
                metrics.EVENTS_UNKNOWN.labels(consumer).inc()
            received.append(read)
            weight += read.weight()
            if weight >= most_targets:
                yield received
                received, weight = [], 0
            await asyncio.sleep(0)
    yield received
