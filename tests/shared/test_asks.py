import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from shared import asks
from shared.asks import Asks
from shared.clock import TurnedClock
from shared.database import Database, Transaction
from shared.schedule import Schedule
from tests.shared.conftest import fetch

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

_AGAIN = """
UPDATE wish SET deadline_at = $3, asked = asked + 1
FROM (SELECT id FROM wish WHERE deadline_at <= $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED) AS due
WHERE wish.id = due.id RETURNING wish.id
"""


class Asker:
    """Wishes in a table, asked for again in slices."""

    def __init__(self, *, seconds: float = asks.DEADLINE_SECONDS) -> None:
        self.slices: list[int] = []
        self._seconds = seconds

    async def again(self, tx: Transaction, *, before: datetime, limit: int) -> int:
        rows = await tx.raw.fetch(_AGAIN, before, limit, asks.deadline(tx.now, seconds=self._seconds))
        self.slices.append(len(rows))
        return len(rows)

    async def make_due(self, tx: Transaction) -> None:
        timeout = await tx.raw.fetchval("SHOW statement_timeout")
        assert timeout == "10min"
        await tx.raw.execute("UPDATE wish SET deadline_at = $1 WHERE deadline_at IS NOT NULL", tx.now)


@pytest.fixture
async def wishes(database: Database) -> None:
    """Two that are answered, five that are due, three that are not yet."""
    now = datetime.now(UTC)
    await table(database, [None] * 2 + [now - timedelta(seconds=1)] * 5 + [now + timedelta(hours=1)] * 3)


async def table(database: Database, deadlines: Sequence[datetime | None]) -> None:
    """Make a table of wishes with these deadlines; none means answered."""
    await fetch(
        database, "CREATE TABLE wish (id int PRIMARY KEY, deadline_at timestamptz, asked int NOT NULL)"
    )
    await fetch(
        database,
        "INSERT INTO wish SELECT ordinality, at, 0 FROM unnest($1::timestamptz[]) WITH ORDINALITY AS at (at)",
        deadlines,
    )


async def asked(database: Database) -> list[int]:
    return [row["asked"] for row in await fetch(database, "SELECT asked FROM wish ORDER BY id")]


@pytest.mark.usefixtures("wishes")
async def test_a_sweep_asks_in_slices_for_what_is_due_and_once(database: Database) -> None:
    asker = Asker()
    sweeper = Asks(database, ask_again=asker.again, make_due=asker.make_due, limit=2)
    assert await sweeper.sweep() == 5
    assert asker.slices == [2, 2, 1]
    assert await asked(database) == [0, 0, 1, 1, 1, 1, 1, 0, 0, 0]
    assert await sweeper.sweep() == 0


@pytest.mark.usefixtures("wishes")
async def test_a_replay_asks_at_once_for_everything_open(database: Database) -> None:
    asker = Asker()
    sweeper = Asks(database, ask_again=asker.again, make_due=asker.make_due, limit=3)
    assert await sweeper.replay_open() == 8
    assert await asked(database) == [0, 0, *[1] * 8]
    assert await sweeper.sweep() == 0


async def test_an_ask_is_asked_again_at_its_deadline_and_at_each_one_after(database: Database) -> None:
    clock = TurnedClock(NOON)
    database.clock = clock
    await table(database, [asks.deadline(NOON)])
    asker = Asker()
    sweeper = Asks(database, ask_again=asker.again, make_due=asker.make_due)
    for told in range(1, 4):
        clock.turn(0.89 * asks.DEADLINE_SECONDS)
        assert await sweeper.sweep() == 0
        clock.turn(0.32 * asks.DEADLINE_SECONDS)
        assert await sweeper.sweep() == 1
        assert await asked(database) == [told]


async def test_promise_4_the_clock_asks_again_until_there_is_an_answer(database: Database) -> None:
    asker = Asker(seconds=0.3)
    sweeper = Asks(database, ask_again=asker.again, make_due=asker.make_due, every_seconds=0.1)
    await table(database, [asks.deadline(datetime.now(UTC), seconds=0.3)])
    stop = asyncio.Event()
    running = asyncio.create_task(Schedule(database, [sweeper.job()]).run(stop))
    async with asyncio.timeout(20):
        while (await asked(database))[0] < 2:
            await asyncio.sleep(0.05)
    await fetch(database, "UPDATE wish SET deadline_at = NULL")
    told = await asked(database)
    await asyncio.sleep(0.8)
    assert await asked(database) == told
    stop.set()
    await running


def test_deadlines_are_spread_so_that_a_lost_batch_does_not_come_back_as_one() -> None:
    waits = [(asks.deadline(NOON, seconds=100) - NOON).total_seconds() for _ in range(500)]
    assert 90 <= min(waits) < 95
    assert 115 < max(waits) <= 120
    assert len(set(waits)) > 400
