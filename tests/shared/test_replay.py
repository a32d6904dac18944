"""Parked records are handled again in the order of their key, while the consumer goes on receiving."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from shared import inbox, outbox
from shared.batches import Received, receive, to_batches
from shared.database import Database, Transaction
from shared.events import Heard, Outgoing
from shared.events.assignment import AssignmentRequested, UserChanged
from shared.events.words import PersonState
from shared.handling import Handling
from shared.ids import asset_id, new_id, new_ids
from shared.kafka import KafkaConnection
from shared.parking import Parking, remove
from shared.replay import Replay, ask_for_all
from shared.topic_admin import ensure_topics
from shared.topics import ASSIGNMENT_EVENTS, LICENSING_EVENTS, dead_letters
from shared.vault import Vault
from tests.shared.conftest import asked, fetch, serials_heard, write_down
from tests.shared.consuming import consuming
from tests.shared.records import record_of

ASSET = asset_id("1", "STDQ")


class Mendable:
    """A handler with a fault that can be mended; what it knows is bad stays bad."""

    def __init__(self) -> None:
        self.mended = False

    async def __call__(self, tx: Transaction, events: Sequence[Heard[AssignmentRequested]]) -> None:
        serials = [str(target.serial_number) for heard in events for target in heard.event.targets]
        if not self.mended and any(serial.startswith("WAIT") for serial in serials):
            raise ValueError
        await write_down(tx, events)


@pytest.fixture
def handler() -> Mendable:
    return Mendable()


@pytest.fixture
def handling(database: Database, handler: Mendable) -> Handling:
    return Handling(database, {AssignmentRequested: handler}, Parking("licensing", "licensing"))


async def do(handling: Handling, *records: Received) -> None:
    for batch in to_batches(records, handling.handlers, most_events=500, most_targets=20_000):
        await handling.do(batch)


async def parked(database: Database, columns: str = "id") -> list[Any]:
    return [tuple(row) for row in await fetch(database, f"SELECT {columns} FROM parked ORDER BY id")]


async def replay(database: Database, handling: Handling) -> int:
    """Ask for everything and replay it, until nothing is asked for any more."""
    await ask_for_all(database, "licensing")
    replayed = 0
    while await fetch(database, "SELECT id FROM parked WHERE replay_asked_at IS NOT NULL"):
        replayed += await Replay(database, handling).replay_asked()
    return replayed


async def test_the_targets_that_go_leave_the_ones_that_still_fail(
    database: Database, handling: Handling, handler: Mendable
) -> None:
    event = asked(ASSET, "WAIT1", "BAD2", "WAIT3")
    await do(handling, record_of(event))
    handler.mended = True
    assert await replay(database, handling) == 0
    assert await serials_heard(database) == ["WAIT1", "WAIT3"]
    assert await parked(database, "entitlement_ids, attempts, reason") == [
        ([event.targets[1].entitlement_id], 2, "handler_failed")
    ]


async def test_what_waited_for_a_target_that_went_goes_too(
    database: Database, handling: Handling, handler: Mendable
) -> None:
    ids = new_ids(2)
    await do(handling, record_of(asked(ASSET, "WAIT1", "BAD2", entitlements=ids)))
    await do(handling, record_of(asked(ASSET, "S1", "S2", entitlements=ids)))
    await do(handling, record_of(asked(ASSET, "S1-again", entitlements=ids[:1])))
    handler.mended = True
    await replay(database, handling)
    assert await serials_heard(database) == ["WAIT1", "S1", "S1-again"]
    assert await parked(database, "entitlement_ids") == [(ids[1:],), (ids[1:],)]


async def test_rows_of_one_key_go_in_the_order_of_their_records(
    database: Database, handling: Handling, handler: Mendable
) -> None:
    """Whatever the clocks of the workers that parked them said."""
    [mine] = new_ids(1)
    records = [record_of(asked(ASSET, f"WAIT{number}", entitlements=[mine])) for number in range(4)]
    for record in reversed(records):
        await do(handling, record)
    handler.mended = True
    assert await replay(database, handling) == 4
    assert await serials_heard(database) == [f"WAIT{number}" for number in range(4)]


async def test_what_follows_a_discarded_record_goes_on(database: Database, handling: Handling) -> None:
    [mine] = new_ids(1)
    await do(handling, record_of(asked(ASSET, "BAD1", entitlements=[mine])))
    await do(handling, record_of(asked(ASSET, "S2", entitlements=[mine])))
    async with database.transaction() as tx:
        await remove(tx, (await parked(database))[0][0])
    assert await Replay(database, handling).replay_asked() == 1
    assert await serials_heard(database) == ["S2"]
    assert await parked(database) == []


async def test_a_follower_that_was_asked_for_waits_for_its_head_and_is_not_tried_for_ever(
    database: Database, handling: Handling
) -> None:
    [mine] = new_ids(1)
    await do(handling, record_of(asked(ASSET, "BAD1", entitlements=[mine])))
    await do(handling, record_of(asked(ASSET, "S2", entitlements=[mine])))
    await fetch(database, "UPDATE parked SET replay_asked_at = now() WHERE reason = 'follows'")
    assert await Replay(database, handling).replay_asked() == 0
    assert await parked(database, "attempts, replay_asked_at") == [(1, None), (1, None)]


async def test_a_record_that_was_done_meanwhile_is_not_done_again(
    database: Database, handling: Handling, handler: Mendable
) -> None:
    record = record_of(asked(ASSET, "WAIT1"))
    await do(handling, record)
    assert record.envelope is not None
    async with database.transaction() as tx:
        await inbox.claim(tx, "licensing", [record.envelope.event_id])
    handler.mended = True
    assert await replay(database, handling) == 1
    assert await serials_heard(database) == []


async def test_two_replicas_replay_each_row_once(
    database: Database, handling: Handling, handler: Mendable
) -> None:
    await do(handling, *(record_of(asked(ASSET, f"WAIT{number}")) for number in range(20)))
    handler.mended = True
    await ask_for_all(database, "licensing")
    await asyncio.gather(*(Replay(database, handling).replay_asked() for _ in range(3)))
    assert sorted(await serials_heard(database)) == sorted(f"WAIT{number}" for number in range(20))
    assert await parked(database) == []


async def test_a_record_that_comes_while_its_head_is_replayed_waits_for_the_end_of_that(
    database: Database,
) -> None:
    """Else it would be parked behind a head that is gone a moment later, and nobody would call it."""
    mended, replaying, released = False, asyncio.Event(), asyncio.Event()

    async def handle(tx: Transaction, events: Sequence[Heard[AssignmentRequested]]) -> None:
        if not mended:
            raise ValueError
        await write_down(tx, events)
        replaying.set()
        await released.wait()

    [mine] = new_ids(1)
    handling = Handling(database, {AssignmentRequested: handle}, Parking("licensing", "licensing"))
    await do(handling, record_of(asked(ASSET, "S1", entitlements=[mine])))
    mended = True
    await ask_for_all(database, "licensing")
    replay_of_head = asyncio.create_task(Replay(database, handling).replay_asked())
    await replaying.wait()
    follower = asyncio.create_task(do(handling, record_of(asked(ASSET, "S2", entitlements=[mine]))))
    await asyncio.sleep(0.3)
    assert not follower.done()
    released.set()
    await asyncio.gather(replay_of_head, follower)
    assert await serials_heard(database) == ["S1", "S2"]
    assert await parked(database) == []


async def test_a_sealed_record_is_opened_for_its_replay(
    database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    keyset = tmp_path_factory.mktemp("vault") / "keyset.json"
    keyset.write_text(Vault.generate())
    heard: list[UserChanged] = []
    fails = True

    async def handle(_tx: Transaction, events: Sequence[Heard[UserChanged]]) -> None:
        if fails:
            raise ValueError
        heard.extend(each.event for each in events)

    person = UserChanged(user_id=new_id(), state=PersonState.ACTIVE, name="Zoé")
    parking = Parking("licensing", "licensing", Vault.load(keyset))
    handling = Handling(database, {UserChanged: handle}, parking)
    await do(handling, record_of(person))
    assert await replay(database, handling) == 0  # and is sealed again
    fails = False
    assert await replay(database, handling) == 1
    assert heard == [person]


async def test_a_sealed_record_whose_key_is_gone_says_so_and_holds_up_no_other(
    database: Database, handling: Handling, handler: Mendable, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It used to end the worker, again and again, for it stayed asked for."""
    folder = tmp_path_factory.mktemp("vault")
    for name in ("old", "new"):
        (folder / name).write_text(Vault.generate())
    handler.mended = False
    await do(handling, record_of(asked(ASSET, "WAIT1")))
    for name in ("old", "new"):
        parking = Parking("licensing", "licensing", Vault.load(folder / name))
        sealed = Handling(database, {UserChanged: fail, AssignmentRequested: handler}, parking)
        if name == "old":
            await do(sealed, record_of(UserChanged(user_id=new_id(), state=PersonState.ACTIVE)))
    handler.mended = True
    assert await replay(database, sealed) == 1
    assert await serials_heard(database) == ["WAIT1"]
    assert await parked(database, "reason, attempts") == [("cannot_be_opened", 2)]


async def fail(_tx: Transaction, _events: Sequence[Heard[UserChanged]]) -> None:
    raise ValueError


def newer(record: Received, version: int) -> Received:
    """Return a record as a build of another version would send it."""
    headers = [
        (name, f"urn:managed-distribution:AssignmentRequested:{version}".encode())
        if name == "ce_dataschema"
        else (name, value)
        for name, value in record.headers
    ]
    return receive(record.place, key=record.key, headers=headers, value=record.value)


async def test_a_version_that_is_not_known_yet_is_replayed_by_the_build_that_knows_it(
    database: Database, handling: Handling, monkeypatch: pytest.MonkeyPatch
) -> None:
    await do(handling, newer(record_of(asked(ASSET, "S1")), 2))
    assert await parked(database, "reason") == [("unknown_version",)]
    async with replaying(Replay(database, handling, every_seconds=0.05)):
        await asyncio.sleep(0.4)
    assert await parked(database, "reason") == [("unknown_version",)]
    monkeypatch.setattr(AssignmentRequested, "version", 2)
    async with replaying(Replay(database, handling, every_seconds=0.05)), asyncio.timeout(20):
        while await parked(database):
            await asyncio.sleep(0.02)
    assert await serials_heard(database) == ["S1"]


@asynccontextmanager
async def replaying(replay: Replay) -> AsyncIterator[None]:
    """Let a worker look for what was parked."""
    stop = asyncio.Event()
    task = asyncio.create_task(replay.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


async def test_scenario_24_a_replay_and_the_consumer_keep_the_order_between_them(
    database: Database, kafka: KafkaConnection, handler: Mendable
) -> None:
    """Records of a few entitlements keep coming while what is parked of them is replayed again and again."""
    await ensure_topics(kafka, [ASSIGNMENT_EVENTS, LICENSING_EVENTS, dead_letters("licensing")])
    ids = new_ids(3)
    mark = str(new_id())[:8]

    async def tell(number: int) -> None:
        prefix = "WAIT" if number % 5 == 0 else "S"
        serials = [f"{prefix}{mark}-{number:03}-{place}" for place in range(3)]
        event = asked(ASSET, *serials, entitlements=ids)
        async with database.transaction() as tx:
            await outbox.append(tx, [Outgoing(event, new_id())])

    async with consuming(database, kafka, handler) as (_, handling):
        for number in range(40):
            await tell(number)
            handler.mended = number % 7 == 6
            if number % 3 == 0:
                await ask_for_all(database, handling.parking.consumer)
            await asyncio.sleep(0.01)
        handler.mended = True
        async with asyncio.timeout(60):
            while len([serial for serial in await serials_heard(database) if mark in serial]) < 120:
                # A record that failed a moment ago may be parked only now: whoever mends asks until nothing is left.
                await ask_for_all(database, handling.parking.consumer)
                await asyncio.sleep(0.1)
    heard = [serial for serial in await serials_heard(database) if mark in serial]
    for place in range(3):
        numbers = [int(serial.split("-")[1]) for serial in heard if serial.endswith(f"-{place}")]
        assert numbers == list(range(40))


async def test_a_follower_whose_head_is_discarded_while_it_is_tried_goes_next(
    database: Database, handling: Handling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would wait behind nothing, and everything of its entitlement behind it."""
    [mine] = new_ids(1)
    await do(handling, record_of(asked(ASSET, "BAD1", entitlements=[mine])))
    await do(handling, record_of(asked(ASSET, "S2", entitlements=[mine])))
    await fetch(database, "UPDATE parked SET replay_asked_at = now() WHERE reason = 'follows'")
    head, _ = await parked(database)
    real = Replay._replay_row

    async def and_the_head_goes(self: Replay, row_id: UUID, *said: Any) -> Any:
        left = await real(self, row_id, *said)
        async with database.transaction() as tx:
            await remove(tx, head[0])
        return left

    monkeypatch.setattr(Replay, "_replay_row", and_the_head_goes)
    assert await Replay(database, handling).replay_asked() == 0
    monkeypatch.undo()
    assert await Replay(database, handling).replay_asked() == 1
    assert await serials_heard(database) == ["S2"]
