import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from shared import outbox
from shared.bus import Consumer, ConsumerSettings
from shared.database import Database, Transaction
from shared.errors import Unavailable
from shared.events import Heard, Outgoing
from shared.events.assignment import AssignmentRequested
from shared.handling import Handler, Handling
from shared.ids import asset_id, new_id
from shared.kafka import KafkaConnection
from shared.parking import Parking
from shared.relay import Relay
from shared.replay import Replay
from shared.topic_admin import ensure_topics
from shared.topics import ASSIGNMENT_EVENTS, LICENSING_EVENTS, dead_letters
from tests.shared.conftest import asked, fetch, serials_heard, write_down

ASSET = asset_id("1", "STDQ")


@pytest.fixture(autouse=True)
async def topics(kafka: KafkaConnection) -> None:
    await ensure_topics(kafka, [ASSIGNMENT_EVENTS, LICENSING_EVENTS, dead_letters("licensing")])


async def never_lost() -> None:
    raise AssertionError("nothing was lost here")


@asynccontextmanager
async def consuming(
    database: Database, kafka: KafkaConnection, handler: Handler, settings: ConsumerSettings | None = None
) -> AsyncIterator[tuple[Consumer, Handling]]:
    """Run a consumer group of its own with its relay; drain both at the end."""
    group = f"licensing-{new_id()}"
    handling = Handling(database, {AssignmentRequested: handler}, Parking(group, "licensing"))
    consumer = Consumer(database, kafka, handling, on_lost=never_lost, settings=settings)
    stop = asyncio.Event()
    tasks = [
        asyncio.create_task(consumer.run(stop)),
        asyncio.create_task(Relay(database, kafka).run(stop)),
        asyncio.create_task(Replay(database, handling, every_seconds=0.1).run(stop)),
    ]
    try:
        yield consumer, handling
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)


async def ask(database: Database, *serials: str) -> None:
    async with database.transaction() as tx:
        await outbox.append(tx, [Outgoing(asked(ASSET, serial), new_id()) for serial in serials])


async def until_heard(database: Database, serials: Sequence[str]) -> None:
    async with asyncio.timeout(20):
        while not set(serials) <= set(await serials_heard(database)):
            await asyncio.sleep(0.02)


async def test_an_event_travels_from_outbox_to_handler(database: Database, kafka: KafkaConnection) -> None:
    serials = [f"{new_id()}" for _ in range(50)]
    async with consuming(database, kafka, write_down):
        await ask(database, *serials)
        await until_heard(database, serials)
    assert [serial for serial in await serials_heard(database) if serial in serials] == serials


async def test_what_is_unavailable_is_waited_out_and_nothing_is_skipped(
    database: Database, kafka: KafkaConnection
) -> None:
    tries = 0

    async def hesitant(tx: Transaction, events: Sequence[Heard[Any]]) -> None:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise Unavailable("not yet")
        await write_down(tx, events)

    serials = [str(new_id()), str(new_id())]
    async with consuming(database, kafka, hesitant):
        await ask(database, *serials)
        await until_heard(database, serials)
    assert await fetch(database, "SELECT * FROM parked") == []


async def test_scenario_23_past_the_limit_of_dead_letters_it_stands_still_until_one_is_replayed(
    database: Database, kafka: KafkaConnection
) -> None:
    mended = False

    async def handle(tx: Transaction, events: Sequence[Heard[AssignmentRequested]]) -> None:
        if not mended:
            raise ValueError
        await write_down(tx, events)

    first, second = [str(new_id()) for _ in range(5)], str(new_id())
    async with consuming(database, kafka, handle, ConsumerSettings(parked_in_a_row=5)) as (consumer, _):
        await ask(database, *first)
        async with asyncio.timeout(20):
            while consumer.not_ready() is None:
                await asyncio.sleep(0.02)
        mended = True
        await ask(database, second)
        await asyncio.sleep(0.5)
        assert second not in await serials_heard(database)
        await fetch(database, "UPDATE parked SET replay_asked_at = now()")
        await until_heard(database, [*first, second])
        assert consumer.not_ready() is None
