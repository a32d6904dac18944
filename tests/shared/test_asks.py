from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from shared import asks
from shared.asks import Asks
from shared.database import Database, Transaction
from tests.shared.conftest import fetch

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

_AGAIN = """
UPDATE wish SET deadline_at = $3, asked = asked + 1
FROM (SELECT id FROM wish WHERE deadline_at <= $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED) AS due
WHERE wish.id = due.id RETURNING wish.id
"""


class Asker:
    """Wishes in a table, asked for again in slices."""

    def __init__(self) -> None:
        self.slices: list[int] = []

    async def again(self, tx: Transaction, *, before: datetime, limit: int) -> int:
        rows = await tx.raw.fetch(_AGAIN, before, limit, asks.deadline(tx.now))
        self.slices.append(len(rows))
        return len(rows)

    async def make_due(self, tx: Transaction) -> None:
        timeout = await tx.raw.fetchval("SHOW statement_timeout")
        assert timeout == "10min"
        await tx.raw.execute("UPDATE wish SET deadline_at = $1 WHERE deadline_at IS NOT NULL", tx.now)


@pytest.fixture
async def wishes(database: Database) -> None:
    """Two that are answered, five that are due, three that are not yet."""
    await fetch(
        database, "CREATE TABLE wish (id int PRIMARY KEY, deadline_at timestamptz, asked int NOT NULL)"
    )
    now = datetime.now(UTC)
    deadlines: Sequence[datetime | None] = (
        [None] * 2 + [now - timedelta(seconds=1)] * 5 + [now + timedelta(hours=1)] * 3
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


def test_deadlines_are_spread_so_that_a_lost_batch_does_not_come_back_as_one() -> None:
    waits = [(asks.deadline(NOON, seconds=100) - NOON).total_seconds() for _ in range(500)]
    assert 90 <= min(waits) < 95
    assert 115 < max(waits) <= 120
    assert len(set(waits)) > 400
