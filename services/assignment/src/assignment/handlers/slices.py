"""Sets too large for one transaction: a work row with a cursor takes them slice by slice, each its own transaction."""

from collections.abc import Sequence
from uuid import UUID

from assignment.model import Assignment
from shared import worker
from shared.database import Transaction
from shared.worker import NewWork, WorkRow

SLICE = 10_000
"""Targets that one transaction takes."""

BEGINNING = UUID(int=0)
"""The cursor of the first slice: below every id."""


async def later(tx: Transaction, kind: str, assignments: Sequence[Assignment], **said: str) -> None:
    """Leave these assignments to work rows of a kind, one each; `said` is what its slices have to know beside."""
    rows = [
        NewWork(kind, {"assignment_id": str(each.id), "cursor": str(BEGINNING), **said}, each.request_id)
        for each in assignments
    ]
    await worker.add(tx, rows)


def cursor_of(row: WorkRow) -> UUID:
    """Return the id behind which the next slice begins."""
    return UUID(row.payload["cursor"])


async def advance(tx: Transaction, row: WorkRow, ids: Sequence[UUID]) -> bool:
    """Move a work row behind the slice of these ids, or end it with its last one; returns whether it was the last.

    To be called before any other lock is taken: work rows are the first of all.
    """
    if len(ids) < SLICE:
        await worker.finish(tx, row)
        return True
    await worker.proceed(tx, row, payload={**row.payload, "cursor": str(ids[-1])}, due_at=tx.now)
    return False
