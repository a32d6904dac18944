"""Large groups are expanded slice by slice: when they are assigned to, and when many join them at once."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from assignment.decide.entitlements import Said
from assignment.handlers import slices
from assignment.handlers.changes import Changes
from assignment.handlers.counting import finish
from assignment.handlers.opening import cover
from assignment.model import Assignment
from assignment.store import assignments, devices, groups
from shared import worker
from shared.database import Transaction
from shared.locks import Rung
from shared.worker import WorkRow

EXPAND = "expand"
"""The kind of work row that opens an assignment's covers slice by slice."""


async def expand_later(
    tx: Transaction, unfolding: Sequence[Assignment], *, joined_at: datetime | None = None
) -> None:
    """Leave it to work rows to let these assignments reach their groups, or only those members who joined then."""
    said = {} if joined_at is None else {"joined_at": joined_at.isoformat()}
    await slices.later(tx, EXPAND, unfolding, **said)


async def expand_slice(tx: Transaction, row: WorkRow) -> None:
    """Let an assignment reach the next 10,000 members of its group; the last slice ends the work row.

    Members who join meanwhile are covered by whoever adds them, under the same group's lock.
    """
    assignment_id = UUID(row.payload["assignment_id"])
    standing = await assignments.read(tx, assignment_id)
    if standing is None or not standing.stands:
        await worker.finish(tx, row)
        return
    group_id = standing.assignment.target_id
    ahead = await groups.members_after(
        tx, group_id, cursor=slices.cursor_of(row), joined_at=_joined_at(row), limit=slices.SLICE
    )
    last = await slices.advance(tx, row, ahead)
    tx.reach(Rung.GROUPS)
    await groups.sizes(tx, [group_id])
    standing = await assignments.read(tx, assignment_id)
    if standing is None or not standing.stands:
        return  # revoked while this slice waited for the group: whoever revoked it ends what there is
    changes = Changes(tx)
    if last:
        changes.unfolded.add(assignment_id)
    members = await groups.present(tx, group_id, ahead)
    tx.reach(Rung.TARGETS)
    locked = await devices.lock(tx, members)
    reached = [(standing.assignment, list(locked.values()))]
    await cover(changes, reached, locked, Said("AssignmentRequested", cause=_cause(row)))
    await finish(changes)


def _joined_at(row: WorkRow) -> datetime | None:
    said = row.payload.get("joined_at")
    return None if said is None else datetime.fromisoformat(said)


def _cause(row: WorkRow) -> str | None:
    return "joined_group" if "joined_at" in row.payload else None
