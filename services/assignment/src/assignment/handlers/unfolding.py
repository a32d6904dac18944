"""Large groups are expanded slice by slice: each its own transaction, with its cursor in the work row."""

from collections.abc import Sequence
from uuid import UUID

from assignment.decide.entitlements import Said
from assignment.handlers import targets
from assignment.handlers.changes import Changes
from assignment.handlers.counting import finish
from assignment.handlers.opening import cover
from assignment.model import Assignment
from assignment.store import assignments, devices, groups
from assignment.store.groups import Slice
from shared import worker
from shared.database import Transaction
from shared.locks import Rung
from shared.worker import NewWork, WorkRow

EXPAND = "expand"
"""The kind of work row that opens an assignment's covers slice by slice."""


async def expand_later(tx: Transaction, unfolding: Sequence[Assignment]) -> None:
    """Leave these assignments to work rows."""
    rows = [
        NewWork(EXPAND, {"assignment_id": str(each.id), "cursor": str(targets.BEGINNING)}, each.request_id)
        for each in unfolding
    ]
    await worker.add(tx, rows)


async def expand_slice(tx: Transaction, row: WorkRow) -> None:
    """Let an assignment reach the next 10,000 members of its group; the last slice ends the work row.

    Members who join meanwhile are covered by whoever adds them, under the same group's lock.
    """
    assignment_id = UUID(row.payload["assignment_id"])
    standing = await assignments.read(tx, assignment_id)
    if standing is None or not standing.stands:
        await worker.finish(tx, row)
        return
    part = await _next_slice(tx, row, standing.assignment.target_id)
    tx.reach(Rung.GROUPS)
    await groups.sizes(tx, [part.group_id])
    standing = await assignments.read(tx, assignment_id)
    if standing is None or not standing.stands:
        return  # revoked while this slice waited for the group: whoever revoked it ends what there is
    changes = Changes(tx)
    if part.until is None:
        changes.unfolded.add(assignment_id)
    members = await groups.members_between(tx, part)
    tx.reach(Rung.TARGETS)
    locked = await devices.lock(tx, members)
    reached = [(standing.assignment, list(locked.values()))]
    await cover(changes, reached, locked, Said("AssignmentRequested"))
    await finish(changes)


async def _next_slice(tx: Transaction, row: WorkRow, group_id: UUID) -> Slice:
    """Say which members come next, and move the work row behind them: work rows are the first lock of all."""
    cursor = UUID(row.payload["cursor"])
    ahead = await groups.members_after(tx, group_id, cursor=cursor, limit=targets.SLICE)
    if len(ahead) < targets.SLICE:
        await worker.finish(tx, row)
        return Slice(group_id, cursor, until=None)
    await worker.proceed(tx, row, payload={**row.payload, "cursor": str(ahead[-1])}, due_at=tx.now)
    return Slice(group_id, cursor, until=ahead[-1])
