"""What ended long ago is forgotten: lives with their steps, covers and deliveries, then assignments, then requests."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

from assignment.handlers import slices
from assignment.handlers.changes import Changes
from assignment.handlers.counting import finish
from assignment.store import devices, ended
from assignment.store.ended import Stretch
from shared.database import Database, Transaction
from shared.locks import Rung


async def forget_ended(database: Database, *, older_than: timedelta) -> None:
    """Forget what ended this long ago, on a walk along each table in stretches of 10,000 rows.

    Each stretch is its own transaction. What an assignment still covers is kept however long ago it ended, for it
    says why its device has not got the asset; so is what a device has yet to answer.
    """
    for table, forget in _WALKS.items():
        after: UUID | None = slices.BEGINNING
        while after is not None:
            async with database.transaction() as tx:
                part = await ended.stretch(tx, table, after, rows=slices.SLICE)
                await forget(tx, part, tx.now - older_than)
            after = part.until


async def _forget_lives(tx: Transaction, part: Stretch, before: datetime) -> None:
    found = await ended.lives(tx, part, before=before)
    if not found:
        return
    tx.reach(Rung.TARGETS)
    await devices.lock(tx, set(found.values()))
    forgotten = await ended.lock_lives(tx, found, before=before)
    changes = Changes(tx)
    for assignment_id, state, covers in await ended.delete_lives(tx, forgotten):
        changes.counts[assignment_id, state] -= covers
    await finish(changes)


async def _forget_assignments(tx: Transaction, part: Stretch, before: datetime) -> None:
    tx.reach(Rung.COUNTERS)
    await ended.delete_assignments(tx, part, before=before)


async def _forget_requests(tx: Transaction, part: Stretch, before: datetime) -> None:
    await ended.delete_requests(tx, part, before=before)


_WALKS: dict[str, Callable[[Transaction, Stretch, datetime], Awaitable[None]]] = {
    "entitlements": _forget_lives,
    "assignments": _forget_assignments,
    "requests": _forget_requests,
}
