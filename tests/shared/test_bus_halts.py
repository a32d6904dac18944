"""A consumer that stands still says why, goes on once somebody has looked, and never says so for longer."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from local.broker import EmbeddedBroker
from shared.bus import Consumer
from shared.database import Database, Transaction
from shared.events import Heard
from shared.events.assignment import AssignmentRequested
from shared.feed import Feed, Polled
from shared.ids import new_id
from shared.kafka import KafkaConnection
from shared.topics import ASSIGNMENT_EVENTS, LICENSING_EVENTS
from tests.shared.conftest import fetch, write_down
from tests.shared.consuming import QUICK, ask, consuming, until, until_heard

HALTING = replace(QUICK, parked_in_a_row=3)


class Hiccup:
    """A broker that goes away for a moment, as a consumer that rests sees it: once `comes` is set, until `over` is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.comes, self.came, self.over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        real = Feed.rest

        async def rest(feed: Feed, stop: asyncio.Event, seconds: float) -> None:
            if self.comes.is_set() and not self.came.is_set():
                self.came.set()
                await self.over.wait()
                raise KafkaError
            await real(feed, stop, seconds)

        monkeypatch.setattr(Feed, "rest", rest)


@pytest.fixture
def kafka(mortal: EmbeddedBroker, mortal_kafka: KafkaConnection) -> KafkaConnection:
    """A broker that nobody else uses, so that no good record of theirs ends the row of bad ones."""
    for topic in (ASSIGNMENT_EVENTS, LICENSING_EVENTS):
        mortal.create_topic(topic.name, partitions=1)
    return mortal_kafka


async def halted(database: Database, consumer: Consumer) -> None:
    await ask(database, *[f"BAD{number}" for number in range(HALTING.parked_in_a_row)])
    await until(lambda: consumer.not_ready() == "too_many_dead_letters")


async def test_who_looks_while_the_consumer_is_built_anew_is_noticed(
    database: Database, kafka: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    hiccup, good = Hiccup(monkeypatch), str(new_id())
    async with consuming(database, kafka, write_down, HALTING) as (consumer, _):
        await halted(database, consumer)
        hiccup.comes.set()
        await hiccup.came.wait()
        await fetch(database, "DELETE FROM parked")
        hiccup.over.set()
        await ask(database, good)
        await until_heard(database, [good])
        await until(lambda: consumer.not_ready() is None)


async def test_who_looks_at_once_is_noticed(
    database: Database, kafka: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, good = Consumer._all_still_parked, str(new_id())

    async def look_first(consumer: Consumer) -> bool:
        assert consumer.not_ready() == "too_many_dead_letters", "it was said already"
        await fetch(database, "DELETE FROM parked WHERE id = (SELECT min(id::text)::uuid FROM parked)")
        return await real(consumer)

    monkeypatch.setattr(Consumer, "_all_still_parked", look_first)
    async with consuming(database, kafka, write_down, HALTING) as (consumer, _):
        await ask(database, *[f"BAD{number}" for number in range(HALTING.parked_in_a_row)])
        await ask(database, good)
        await until_heard(database, [good])
        await until(lambda: consumer.not_ready() is None)


async def test_a_consumer_that_was_built_anew_while_records_were_lost_is_ready_once_it_works(
    database: Database, kafka: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    hiccup, good, real = Hiccup(monkeypatch), str(new_id()), Feed.poll
    hiccup.comes.set()
    hiccup.over.set()
    lost = [{TopicPartition(ASSIGNMENT_EVENTS.name, 0): 5}]

    async def poll(feed: Feed, stop: asyncio.Event, seconds: float) -> Polled:
        polled = await real(feed, stop, seconds)
        return replace(polled, lost=lost.pop()) if lost else polled

    async def ask_again() -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(Feed, "poll", poll)
    keeping = replace(kafka, keeps_log=True)
    async with consuming(database, keeping, write_down, QUICK, on_lost=ask_again) as (consumer, _):
        await until(lambda: consumer.not_ready() == "records_lost")
        await ask(database, good)
        await until_heard(database, [good])
        await until(lambda: consumer.not_ready() is None)


async def test_a_batch_that_waits_for_long_is_said(
    database: Database, kafka: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.bus._STUCK_SECONDS", 0.5)
    good, patience = str(new_id()), asyncio.Event()

    async def slow(tx: Transaction, events: Sequence[Heard[AssignmentRequested]]) -> None:
        if not patience.is_set():
            raise TimeoutError
        await write_down(tx, events)

    async with consuming(database, kafka, slow, QUICK) as (consumer, _):
        await ask(database, good)
        await until(lambda: consumer.not_ready() == "batch_waits")
        patience.set()
        await until_heard(database, [good])
        await until(lambda: consumer.not_ready() is None)
