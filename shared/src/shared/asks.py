"""Promise 4: an ask without an answer is asked again at its deadline, so that whatever was lost heals."""

import random
from datetime import datetime, timedelta
from typing import Protocol

from shared.database import Database, Transaction
from shared.schedule import Job

DEADLINE_SECONDS = 900.0
"""How long an ask waits for its answer, unless its asker says otherwise."""

_LIMIT = 10_000
_EVERY_SECONDS = 60.0

_PATIENCE = "SET LOCAL statement_timeout = '10min'"
"""Everything open is one statement, and may be a million rows."""


class AskAgain(Protocol):
    """Ask again what is open and due.

    Lock at most `limit` asks due before that time (SKIP LOCKED), append each under a new event id, move its
    deadline, and return how many it was.
    """

    async def __call__(self, tx: Transaction, *, before: datetime, limit: int) -> int:
        """Ask again, in one transaction."""
        ...


class MakeDue(Protocol):
    """Set the deadline of every open ask to the transaction's time."""

    async def __call__(self, tx: Transaction) -> object:
        """Make everything open due, in one transaction."""
        ...


def deadline(now: datetime, *, seconds: float = DEADLINE_SECONDS) -> datetime:
    """Return when to ask again: jittered, so that a lost batch does not come back as one burst."""
    return now + timedelta(seconds=seconds * random.uniform(0.9, 1.2))  # noqa: S311 - spreads load


class Asks:
    """Asks again: what is due, every so many seconds; everything open, on demand."""

    def __init__(
        self,
        database: Database,
        *,
        ask_again: AskAgain,
        make_due: MakeDue,
        limit: int = _LIMIT,
        every_seconds: float = _EVERY_SECONDS,
    ) -> None:
        self._database = database
        self._ask_again = ask_again
        self._make_due = make_due
        self._limit = limit
        self._every_seconds = every_seconds

    def job(self) -> Job:
        """Return the sweep as something that runs by the clock."""
        return Job("ask again", self._every_seconds, self.sweep)

    async def sweep(self) -> int:
        """Ask again for what is past its deadline, in slices, each its own transaction; return how many."""
        total = 0
        before = self._database.clock.now()
        while True:
            async with self._database.transaction() as tx:
                count = await self._ask_again(tx, before=before, limit=self._limit)
            total += count
            if count < self._limit:
                return total

    async def replay_open(self) -> int:
        """Ask again at once for everything that is open now; return how many."""
        async with self._database.transaction() as tx:
            await tx.raw.execute(_PATIENCE)
            await self._make_due(tx)
        return await self.sweep()
