from collections.abc import Sequence
from typing import Any

import pytest

from shared.batches import Batch, Received, to_batches
from shared.database import Database, Transaction
from shared.errors import Unavailable
from shared.events import Heard
from shared.events.assignment import AssignmentRequested
from shared.handling import Handling
from shared.ids import asset_id, new_id
from shared.parking import Parking
from shared.replay import Replay
from tests.shared.conftest import asked, fetch, serials_heard, write_down
from tests.shared.records import record_of

ASSET = asset_id("1", "STDQ")
OTHER = asset_id("2", "STDQ")


@pytest.fixture
def handling(database: Database) -> Handling:
    return Handling(database, {AssignmentRequested: write_down}, Parking("licensing", "licensing"))


async def do(handling: Handling, *records: Received) -> int:
    batches = to_batches(records, handling.handlers, most_events=500, most_targets=20_000)
    return sum([await handling.do(batch) for batch in batches])


async def test_an_event_that_comes_twice_is_done_once(database: Database, handling: Handling) -> None:
    record = record_of(asked(ASSET, "S1"))
    await do(handling, record, record)
    await do(handling, record)
    assert await serials_heard(database) == ["S1"]
    assert len(await fetch(database, "SELECT * FROM outbox")) == 1


async def test_one_bad_event_among_many_is_parked_alone(database: Database, handling: Handling) -> None:
    good = [record_of(asked(asset_id(str(number), "STDQ"), f"S{number}")) for number in range(9)]
    bad = record_of(asked(OTHER, "BAD1"))
    assert await do(handling, *good[:4], bad, *good[4:]) == 1
    assert sorted(await serials_heard(database)) == [f"S{number}" for number in range(9)]
    parked = await fetch(database, "SELECT reason, detail, part FROM parked")
    assert [tuple(row) for row in parked] == [("handler_failed", "ValueError", 0)]
    letters = await fetch(database, "SELECT value FROM outbox WHERE topic = 'licensing.dead-letters'")
    assert [row["value"] for row in letters] == [bad.value]


async def test_one_bad_target_among_a_thousand_is_parked_and_the_others_go_on(
    database: Database, handling: Handling
) -> None:
    serials = [f"S{number}" for number in range(999)]
    event = asked(ASSET, *serials[:500], "BAD1", *serials[500:])
    await do(handling, record_of(event))
    assert sorted(await serials_heard(database)) == sorted(serials)
    parked = await fetch(database, "SELECT part, entitlement_ids FROM parked")
    assert [(row["part"], row["entitlement_ids"]) for row in parked] == [
        (1, [event.targets[500].entitlement_id])
    ]


async def test_only_the_parked_entitlement_waits(database: Database, handling: Handling) -> None:
    mine, other = new_id(), new_id()
    await do(handling, record_of(asked(ASSET, "BAD1", entitlements=[mine])))
    await do(
        handling,
        record_of(asked(ASSET, "S1", entitlements=[mine])),
        record_of(asked(ASSET, "S2", entitlements=[other])),
    )
    assert await serials_heard(database) == ["S2"]
    parked = await fetch(database, "SELECT reason FROM parked ORDER BY id")
    assert [row["reason"] for row in parked] == ["handler_failed", "follows"]


async def test_scenario_21_a_record_that_cannot_be_read_holds_nobody_up(
    database: Database, handling: Handling
) -> None:
    broken = record_of(asked(ASSET, "S1"), value=b"not JSON")
    await do(handling, broken)
    await do(handling, record_of(asked(ASSET, "S2")))
    assert await serials_heard(database) == ["S2"]
    parked = await fetch(database, "SELECT reason, event_type FROM parked")
    assert [tuple(row) for row in parked] == [("unreadable", "AssignmentRequested")]


async def test_a_replay_handles_the_parked_record_and_then_its_followers(
    database: Database, handling: Handling
) -> None:
    mine = new_id()
    await do(handling, record_of(asked(ASSET, "BAD1", entitlements=[mine])))
    await do(handling, record_of(asked(ASSET, "S2", entitlements=[mine])))
    mended = Handling(database, {AssignmentRequested: forgiving}, handling.parking)
    await fetch(database, "UPDATE parked SET replay_asked_at = now() WHERE reason <> 'follows'")
    assert await Replay(database, mended).replay_asked() == 2
    assert await serials_heard(database) == ["MENDED", "S2"]
    assert await fetch(database, "SELECT * FROM parked") == []


async def test_a_replay_that_fails_again_keeps_its_followers_waiting(
    database: Database, handling: Handling
) -> None:
    mine = new_id()
    await do(handling, record_of(asked(ASSET, "BAD1", entitlements=[mine])))
    await do(handling, record_of(asked(ASSET, "S2", entitlements=[mine])))
    await fetch(database, "UPDATE parked SET replay_asked_at = now() WHERE reason <> 'follows'")
    assert await Replay(database, handling).replay_asked() == 0
    assert await serials_heard(database) == []
    parked = await fetch(database, "SELECT attempts FROM parked ORDER BY id")
    assert [row["attempts"] for row in parked] == [2, 1]


async def test_what_is_unavailable_is_neither_parked_nor_claimed(database: Database) -> None:
    async def nobody_answers(tx: Transaction, events: Sequence[Heard[Any]]) -> None:
        del tx, events
        raise Unavailable("nobody answers")

    handling = Handling(database, {AssignmentRequested: nobody_answers}, Parking("licensing", "licensing"))
    batch = Batch(AssignmentRequested, [record_of(asked(ASSET, "S1")), record_of(asked(ASSET, "S2"))])
    with pytest.raises(Unavailable):
        await handling.do(batch)
    assert (
        await fetch(
            database, "SELECT * FROM inbox UNION ALL SELECT consumer, event_id, parked_at FROM parked"
        )
        == []
    )


async def forgiving(tx: Transaction, events: Sequence[Heard[AssignmentRequested]]) -> None:
    mended = [
        Heard(
            heard.envelope,
            heard.event.model_copy(
                update={
                    "targets": tuple(
                        target.model_copy(update={"serial_number": "MENDED"})
                        if str(target.serial_number).startswith("BAD")
                        else target
                        for target in heard.event.targets
                    )
                }
            ),
        )
        for heard in events
    ]
    await write_down(tx, mended)
