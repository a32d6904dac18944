"""What could not be handled is kept, whole, unseen where it must be, and holds up nobody it need not."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from shared.batches import Received, receive, to_batches
from shared.database import Database, Transaction
from shared.events import Heard
from shared.events.assignment import AssignmentRequested, UserChanged, UserDeleted
from shared.events.words import PersonState
from shared.handling import Handlers, Handling, TooManyParked
from shared.ids import asset_id, new_id, new_ids
from shared.outbox import MOST_BYTES, unpack
from shared.parking import FAILED, FOLLOWING, WHOLE, Parcel, Parking, Trouble
from shared.vault import SealBroken, Vault
from tests.shared.conftest import asked, fetch, serials_heard, write_down
from tests.shared.records import record_of

ASSET = asset_id("1", "STDQ")


@pytest.fixture
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    keyset = tmp_path_factory.mktemp("vault") / "keyset.json"
    keyset.write_text(Vault.generate())
    return Vault.load(keyset)


@pytest.fixture
def handling(database: Database, vault: Vault) -> Handling:
    handlers: Handlers = {AssignmentRequested: write_down, UserChanged: refuse, UserDeleted: accept}
    return Handling(database, handlers, Parking("licensing", "licensing", vault))


async def refuse(_tx: Transaction, _events: Sequence[Heard[Any]]) -> None:
    raise ValueError


async def accept(_tx: Transaction, _events: Sequence[Heard[Any]]) -> None:
    return


async def do(handling: Handling, *records: Received, most_in_a_row: int | None = None) -> int:
    batches = to_batches(records, handling.handlers, most_events=500, most_targets=20_000)
    return sum([await handling.do(batch, most_in_a_row=most_in_a_row) for batch in batches])


async def parked(database: Database, columns: str = "*") -> list[Any]:
    return [tuple(row) for row in await fetch(database, f"SELECT {columns} FROM parked ORDER BY id")]


def stranger(key: bytes, *headers: tuple[str, bytes], offset: int = 0) -> Received:
    """Return a record as somebody sends it who knows nothing of the contract."""
    place = record_of(asked(ASSET)).place
    return receive(
        type(place)(place.topic, place.partition, offset), key=key, headers=headers, value=b"\xff\x00"
    )


async def test_only_the_targets_behind_a_parked_one_wait(database: Database, handling: Handling) -> None:
    """The others of the same event go on, or one bad target would hold up its asset's key more and more."""
    ids = new_ids(4)
    await do(handling, record_of(asked(ASSET, "BAD1", entitlements=ids[:1])))
    await do(handling, record_of(asked(ASSET, "S1", "S2", "S3", entitlements=ids[:3])))
    await do(handling, record_of(asked(ASSET, "S4", "S5", entitlements=ids[2:])))
    assert await serials_heard(database) == ["S2", "S3", "S4", "S5"]
    assert await parked(database, "part, entitlement_ids, reason") == [
        (WHOLE, ids[:1], "handler_failed"),
        (FOLLOWING, ids[:1], "follows"),
    ]


async def test_an_event_may_fail_in_part_and_wait_in_part(database: Database, handling: Handling) -> None:
    ids = new_ids(3)
    await do(handling, record_of(asked(ASSET, "BAD1", entitlements=ids[:1])))
    event = record_of(asked(ASSET, "S1", "BAD2", "S3", entitlements=ids))
    assert await do(handling, event) == 1
    assert await do(handling, event) == 0  # once more: it is known what became of each part
    assert await serials_heard(database) == ["S3"]
    assert await parked(database, "part, entitlement_ids") == [
        (WHOLE, ids[:1]),
        (FOLLOWING, ids[:1]),
        (FAILED, ids[1:2]),
    ]


async def test_what_waits_behind_what_waits_waits_too(database: Database, handling: Handling) -> None:
    first, second = new_ids(2)
    await do(handling, record_of(asked(ASSET, "BAD1", entitlements=[first])))
    await do(
        handling,
        record_of(asked(ASSET, "S1", entitlements=[first])),
        record_of(asked(ASSET, "S2", entitlements=[first])),
        record_of(asked(ASSET, "S3", entitlements=[second])),
    )
    assert await serials_heard(database) == ["S3"]
    assert len(await parked(database)) == 3


async def test_what_was_done_before_does_not_wait_behind_what_came_later(
    database: Database, handling: Handling
) -> None:
    """Delivered again after a restart, it would be done a second time with the replay."""
    ids = new_ids(2)
    done = record_of(asked(ASSET, "S1", "S2", entitlements=ids))
    await do(handling, done)
    await do(handling, record_of(asked(ASSET, "BAD1", entitlements=ids[:1])))
    await do(handling, done)
    assert await serials_heard(database) == ["S1", "S2"]
    assert await parked(database, "reason") == [("handler_failed",)]


async def test_a_target_that_cannot_be_read_is_answered_though_another_fails(
    database: Database, handling: Handling
) -> None:
    """Scenario 22: the refusal of the one must not be lost with the fault of its neighbour."""
    answered: list[object] = []

    async def answer(tx: Transaction, events: Sequence[Heard[AssignmentRequested]]) -> None:
        await write_down(tx, events)
        answered.extend(each for heard in events for each in heard.unreadable)

    event = asked(ASSET, "BAD1", "S2", "S3")
    value = event.model_dump_json().replace("S2", "S\\u0000").encode()
    picky = Handling(database, {AssignmentRequested: answer}, handling.parking)
    assert await do(picky, record_of(event, value=value)) == 1
    assert await serials_heard(database) == ["S3"]
    assert len(answered) == 1
    assert await parked(database, "part, entitlement_ids") == [(FAILED, [event.targets[0].entitlement_id])]


async def test_a_record_that_comes_again_is_parked_once(database: Database, handling: Handling) -> None:
    bad, unreadable = record_of(asked(ASSET, "BAD1")), record_of(asked(ASSET, "S1"), value=b"{")
    for _ in range(3):
        await do(handling, bad, unreadable, stranger(b"k"))
    assert len(await parked(database)) == 3
    assert len(await fetch(database, "SELECT * FROM outbox WHERE topic = 'licensing.dead-letters'")) == 3
    assert len(handling.parked_in_a_row) == 3


async def test_followers_and_repetitions_do_not_count_towards_the_limit(
    database: Database, handling: Handling
) -> None:
    ids = new_ids(1)
    bad = record_of(asked(ASSET, "BAD1", entitlements=ids))
    await do(handling, bad)
    for _ in range(5):
        await do(handling, bad, record_of(asked(ASSET, "S1", entitlements=ids)))
    assert len(handling.parked_in_a_row) == 1
    await do(handling, record_of(asked(ASSET, "S2")))
    assert handling.parked_in_a_row == []


async def test_past_the_limit_nothing_more_is_parked(database: Database, handling: Handling) -> None:
    bad = [record_of(asked(ASSET, f"BAD{number}")) for number in range(9)]
    with pytest.raises(TooManyParked):
        await do(handling, *bad, most_in_a_row=4)
    assert len(await parked(database)) == 4
    handling.parked_in_a_row.clear()  # somebody looked into it
    await do(handling, *bad[:8], most_in_a_row=4)
    assert len(await parked(database)) == 8


async def test_whatever_a_stranger_sends_can_be_parked(database: Database, handling: Handling) -> None:
    """PostgreSQL takes no NUL in a text: one hostile header must not stop the consumer."""
    headers = [(name, value) for name, value in record_of(asked(ASSET)).headers if name != "ce_type"]
    await do(
        handling,
        stranger(b"\xff\xfe"),
        stranger(b"", ("ce_id", b"\x00"), ("ce_type", b"\x00"), offset=1),
        stranger(b"k", *headers, ("ce_type", b"AssignmentRequested"), offset=2),
    )
    assert [reason for (reason,) in await parked(database, "reason")] == [
        "no_envelope",
        "no_envelope",
        "unreadable",
    ]


async def test_a_restricted_record_is_parked_sealed_and_told_by_its_headers_alone(
    database: Database, handling: Handling, vault: Vault
) -> None:
    person = UserChanged(user_id=new_id(), state=PersonState.ACTIVE, mail_address="zoe@school.example")
    record = record_of(person)
    await do(handling, record)
    [(row_id, value, sealed)] = await parked(database, "id, value, sealed")
    assert sealed
    assert b"zoe" not in value
    assert vault.open(value, table="parked", column="value", row_id=row_id).reveal() == record.value
    with pytest.raises(SealBroken):
        vault.open(value, table="parked", column="value", row_id=new_id())
    [letter] = await fetch(database, "SELECT * FROM outbox")
    assert (letter["topic"], letter["key"], letter["value"]) == ("licensing.dead-letters", record.key, None)
    told = dict(unpack(letter["headers"]))
    assert told["ce_id"] == dict(record.headers)["ce_id"]
    assert told["md_reason"] == b"handler_failed"
    assert told["md_topic"] == b"assignment.people"


async def test_without_a_seal_nothing_restricted_is_parked(database: Database) -> None:
    record = record_of(UserChanged(user_id=new_id(), state=PersonState.ACTIVE, name="Zoé"))
    async with database.transaction() as tx:
        with pytest.raises(RuntimeError, match="here is no seal"):
            await Parking("licensing", "licensing").park(tx, [Parcel(record, Trouble("why", "because"))])


async def test_scenario_30_a_person_who_is_erased_takes_their_parked_records_along(
    database: Database, handling: Handling
) -> None:
    erased, other = new_ids(2)
    await do(
        handling,
        *(record_of(UserChanged(user_id=each, state=PersonState.ACTIVE)) for each in (erased, other)),
    )
    await do(handling, tombstone(erased))
    assert await parked(database, "key") == [(str(other).encode(),)]


def tombstone(user_id: UUID) -> Received:
    """Return the record by which a person is forgotten."""
    event = UserDeleted(user_id=user_id)
    record = record_of(event, value=b"-")
    return receive(record.place, key=record.key, headers=record.headers, value=None)


async def test_a_record_too_large_for_the_dead_letter_topic_is_told_by_its_headers(
    database: Database, handling: Handling
) -> None:
    record = record_of(asked(ASSET, "BAD1"), value=b"{" * MOST_BYTES)
    await do(handling, record)
    [letter] = await fetch(database, "SELECT value FROM outbox")
    assert letter["value"] is None
    [(value,)] = await parked(database, "value")
    assert value == record.value


async def test_not_even_huge_headers_stop_the_consumer(database: Database, handling: Handling) -> None:
    await do(handling, stranger(b"k" * 1000, ("note", b"n" * MOST_BYTES)))
    [letter] = await fetch(database, "SELECT key, headers FROM outbox")
    assert letter["key"] == b""
    assert dict(unpack(letter["headers"]))["md_reason"] == b"no_envelope"


async def test_a_dead_letter_keeps_its_record_and_says_why(database: Database, handling: Handling) -> None:
    record = record_of(asked(ASSET, "BAD1"))
    await do(handling, record)
    [letter] = await fetch(database, "SELECT * FROM outbox")
    told = unpack(letter["headers"])
    assert told[: len(record.headers)] == list(record.headers)
    assert dict(told[len(record.headers) :]) == {
        "md_reason": b"handler_failed",
        "md_detail": b"ValueError",
        "md_consumer": b"licensing",
        "md_topic": record.place.topic.encode(),
        "md_partition": b"0",
        "md_offset": str(record.place.offset).encode(),
        "md_attempts": b"1",
    }
    assert (letter["key"], letter["value"]) == (record.key, record.value)


async def test_an_answer_goes_on_with_the_trace_of_what_it_answers(
    database: Database, handling: Handling
) -> None:
    """Events of many traces are handled at once: each answer belongs to its own."""
    traces = {asset_id(str(number), "STDQ"): f"00-{number:032x}-{number:016x}-01" for number in (1, 2)}
    records = [(record_of(asked(asset, "S1")), trace.encode()) for asset, trace in traces.items()]
    await do(
        handling,
        *(
            receive(
                record.place,
                key=record.key,
                headers=[*record.headers, ("traceparent", trace)],
                value=record.value,
            )
            for record, trace in records
        ),
    )
    told = await fetch(database, "SELECT key, headers FROM outbox")
    assert {row["key"]: dict(unpack(row["headers"]))["traceparent"] for row in told} == {
        record.key: trace for record, trace in records
    }
