"""A whole consumer with its relay and its replay, as a worker process runs them, for one test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from shared import outbox
from shared.bus import Consumer, ConsumerSettings
from shared.database import Database
from shared.events import Outgoing
from shared.events.assignment import AssignmentRequested
from shared.feed import FeedSettings
from shared.handling import Handler, Handling
from shared.ids import asset_id, new_id
from shared.kafka import KafkaConnection
from shared.parking import Parking
from shared.relay import Relay, RelaySettings
from shared.replay import Replay
from tests.shared.conftest import asked, fetch, serials_heard

ASSET = asset_id("1", "STDQ")
QUICK = ConsumerSettings(
    poll_seconds=0.1, feed=FeedSettings(session=2.0, rebalance=1.5, heartbeat=0.2, lookup=2.0, stop=1.0)
)


async def never_lost() -> None:
    """Stand in for the asks of a test in which no record is lost."""
    raise AssertionError("nothing was lost here")


@asynccontextmanager
async def consuming(
    database: Database,
    kafka: KafkaConnection,
    handler: Handler,
    settings: ConsumerSettings | None = None,
    *,
    group: str | None = None,
    on_lost: Callable[[], Awaitable[object]] = never_lost,
) -> AsyncIterator[tuple[Consumer, Handling]]:
    """Run a consumer group of its own with its relay and its replay; drain them at the end."""
    parking = Parking(group or f"licensing-{new_id()}", "licensing")
    handling = Handling(database, {AssignmentRequested: handler}, parking)
    consumer = Consumer(database, kafka, handling, on_lost=on_lost, settings=settings)
    stop = asyncio.Event()
    tasks = [
        asyncio.create_task(consumer.run(stop)),
        asyncio.create_task(Relay(database, kafka, RelaySettings(lease_seconds=1.5)).run(stop)),
        asyncio.create_task(Replay(database, handling, every_seconds=0.1).run(stop)),
    ]
    try:
        yield consumer, handling
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)


async def ask(database: Database, *serials: str) -> None:
    """Ask for licences, one event each."""
    async with database.transaction() as tx:
        await outbox.append(tx, [Outgoing(asked(ASSET, serial), new_id()) for serial in serials])


async def until_heard(database: Database, serials: Sequence[str], *, seconds: float = 20.0) -> None:
    """Return once all of these were written down. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not set(serials) <= set(await serials_heard(database)):
            await asyncio.sleep(0.02)


async def until_sent(database: Database, *, seconds: float = 20.0) -> None:
    """Return once the relay sent all that was to be told. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while await fetch(database, "SELECT id FROM outbox LIMIT 1"):
            await asyncio.sleep(0.02)


async def until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Return once the condition holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)
