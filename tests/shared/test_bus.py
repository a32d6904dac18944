import ast
import asyncio
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import shared
from shared import bus, intake, metrics, outbox
from shared.batches import Received, receive
from shared.bus import ConsumerSettings
from shared.database import Database, Transaction
from shared.errors import Unavailable
from shared.events import Heard
from shared.events.assignment import AssignmentRequested
from shared.ids import new_id
from shared.kafka import KafkaConnection
from shared.outbox import Record
from shared.topic_admin import ensure_topics
from shared.topics import ASSIGNMENT_EVENTS, LICENSING_EVENTS, dead_letters
from tests.shared.conftest import asked, fetch, serials_heard, write_down
from tests.shared.consuming import ASSET, ask, consuming, until, until_heard
from tests.shared.records import record_of


@pytest.fixture(autouse=True)
async def topics(kafka: KafkaConnection) -> None:
    await ensure_topics(kafka, [ASSIGNMENT_EVENTS, LICENSING_EVENTS, dead_letters("licensing")])


def told_as(record: Received, kind: bytes) -> Record:
    """Return a record of another type, with a value that nobody could read."""
    headers = [(name, kind if name == "ce_type" else value) for name, value in record.headers]
    return Record(record.place.topic, record.key, headers, b"not JSON")


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


async def test_the_limit_of_dead_letters_is_not_passed_within_a_batch(
    database: Database, kafka: KafkaConnection
) -> None:
    async def fail(_tx: Transaction, _events: Sequence[Heard[AssignmentRequested]]) -> None:
        raise ValueError

    await ask(database, *(str(new_id()) for _ in range(30)))
    async with consuming(database, kafka, fail, ConsumerSettings(parked_in_a_row=5)) as (consumer, _):
        await until(lambda: consumer.not_ready() == "too_many_dead_letters")
        await asyncio.sleep(0.3)
    assert len(await fetch(database, "SELECT id FROM parked")) == 5


async def test_a_batch_that_is_too_much_for_the_database_is_cut(
    database: Database, kafka: KafkaConnection
) -> None:
    """A statement that runs into its timeout would do so for ever."""

    async def slow(tx: Transaction, events: Sequence[Heard[AssignmentRequested]]) -> None:
        if len(events) > 3:
            raise TimeoutError
        await write_down(tx, events)

    serials = [str(new_id()) for _ in range(20)]
    await ask(database, *serials)
    async with consuming(database, kafka, slow):
        await until_heard(database, serials)
    assert [serial for serial in await serials_heard(database) if serial in serials] == serials


async def test_of_a_large_poll_no_more_is_in_memory_than_a_batch_may_have(
    database: Database, kafka: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five hundred events of a thousand targets each would be half a gigabyte."""
    alive: set[int] = set()
    most = 0

    def receive_counted(*places: Any, **said: Any) -> Received:
        nonlocal most
        received = receive(*places, **said)
        if received.heard is not None:
            alive.add(id(received))
            weakref.finalize(received.heard.event, alive.discard, id(received))
        most = max(most, len(alive))
        return received

    monkeypatch.setattr(intake, "receive", receive_counted)
    serials = [str(new_id()) for _ in range(60)]
    await ask(database, *serials)
    async with consuming(database, kafka, write_down, ConsumerSettings(most_targets=5)):
        await until_heard(database, serials)
    assert [serial for serial in await serials_heard(database) if serial in serials] == serials
    assert most <= 15


async def test_a_stop_does_not_let_a_later_record_overtake(
    database: Database, kafka: KafkaConnection
) -> None:
    """The first half of a cut batch waits for the database when the stop comes: the second is left as well."""
    tried = asyncio.Event()

    async def fail(_tx: Transaction, events: Sequence[Heard[AssignmentRequested]]) -> None:
        if len(events) == 1:
            tried.set()
        if serials[0] in {target.serial_number for heard in events for target in heard.event.targets}:
            raise Unavailable("the first one waits")
        done.extend(events)

    done: list[Heard[AssignmentRequested]] = []
    serials = [str(new_id()) for _ in range(8)]
    async with consuming(database, kafka, fail):
        await ask(database, *serials)
        async with asyncio.timeout(20):
            await tried.wait()
    heard = {target.serial_number for event in done for target in event.event.targets}
    assert heard.isdisjoint(serials)


async def test_what_nobody_here_hears_is_passed_over_unread(
    database: Database, kafka: KafkaConnection
) -> None:
    unknown = metrics.EVENTS_UNKNOWN.labels("licensing-unknown")
    before = unknown._value.get()
    unheard, strange = (record_of(asked(ASSET, "S1")), record_of(asked(ASSET, "S1")))
    async with database.transaction() as tx:
        await outbox.append_records(
            tx, [told_as(unheard, b"AssignmentRevoked"), told_as(strange, b"PaperOrdered")]
        )
    serial = str(new_id())
    async with consuming(database, kafka, write_down, group="licensing-unknown"):
        await ask(database, serial)
        await until_heard(database, [serial])
    assert unknown._value.get() > before
    assert await fetch(database, "SELECT * FROM parked") == []


async def test_a_loop_that_does_not_turn_is_noticed(
    database: Database, kafka: KafkaConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka may wait for ever for an assignment (issues 625 and 712), a handler for whatever."""
    monkeypatch.setattr(bus, "_STUCK_SECONDS", 0.5)
    reached, released = asyncio.Event(), asyncio.Event()

    async def hang(tx: Transaction, events: Sequence[Heard[AssignmentRequested]]) -> None:
        reached.set()
        await released.wait()
        await write_down(tx, events)

    serial = str(new_id())
    async with consuming(database, kafka, hang) as (consumer, _):
        await ask(database, serial)
        async with asyncio.timeout(20):
            await reached.wait()
        await until(lambda: not consumer.progressing())
        released.set()
        await until(consumer.progressing)
        await until_heard(database, [serial])


def test_one_process_has_one_consumer() -> None:
    """Many that are stopped at once can freeze (aiokafka issue 773)."""
    makes: dict[str, list[str]] = {"AIOKafkaConsumer": [], "Feed": [], "Consumer": []}
    for path in Path(shared.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in makes:
                makes[node.func.id].append(path.name)
    assert makes == {"AIOKafkaConsumer": ["feed.py"], "Feed": ["bus.py"], "Consumer": ["service.py"]}
