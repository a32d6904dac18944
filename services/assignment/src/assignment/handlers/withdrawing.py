"""Covers that end: an assignment is revoked or expires, a member leaves its group."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from assignment.decide.entitlements import Said
from assignment.handlers import slices
from assignment.handlers.changes import Changes, Ended
from assignment.handlers.counting import finish
from assignment.model import Assignment, TargetType, Wish
from assignment.resolve import end_covers
from assignment.store import assignments, covers, devices, entitlements, groups
from assignment.store.assignments import Standing
from shared import worker
from shared.database import Transaction
from shared.errors import NotFound
from shared.events.words import RevokeReason
from shared.locks import Rung
from shared.worker import WorkRow

WITHDRAW = "withdraw"
"""The kind of work row that ends the covers of an assignment that has ended, slice by slice."""

LEAVE = "leave"
"""The kind of work row that ends an assignment's covers on devices that left its group, slice by slice."""


async def uncover(
    changes: Changes, assignment_ids: Sequence[UUID], device_ids: Sequence[UUID], said: Said
) -> None:
    """End the covers of these assignments on these devices, which are locked."""
    tx = changes.tx
    ending = await covers.of(tx, assignment_ids=assignment_ids, device_ids=device_ids)
    if not ending:
        return
    lives = await entitlements.lock(tx, {cover.entitlement_id for cover in ending})
    asset_ids = list({cover.asset_id for cover in ending})
    standing = await covers.at(tx, device_ids=device_ids, asset_ids=asset_ids, assignment_ids=())
    gone = {(cover.assignment_id, cover.device_id) for cover in ending}
    remaining: defaultdict[UUID, list[Wish]] = defaultdict(list)
    for cover in sorted(standing, key=lambda cover: cover.assignment_id):
        if (cover.assignment_id, cover.device_id) not in gone:
            remaining[cover.entitlement_id].append(cover.wish)
    changes.load(lives)
    await changes.save_ending(end_covers(ending, lives, remaining), said)


async def revoke(tx: Transaction, assignment_id: UUID, reason: RevokeReason) -> Standing:
    """End an assignment and its covers; above 10,000 of them a work row does so slice by slice.

    Ending what has ended changes nothing. Raises NotFound.
    """
    standing = await assignments.read(tx, assignment_id)
    if standing is None:
        raise NotFound("unknown_assignment", f"there is no assignment {assignment_id}")
    await _lock_target(tx, standing.assignment)
    standing = await assignments.read(tx, assignment_id) or standing
    if not standing.stands:
        return standing
    device_ids = await covers.devices_after(
        tx, assignment_id, cursor=slices.BEGINNING, limit=slices.SLICE + 1
    )
    sliced = len(device_ids) > slices.SLICE or standing.unfolding > 0
    changes = Changes(tx)
    if sliced:
        await slices.later(tx, WITHDRAW, [standing.assignment], reason=reason)
    else:
        tx.reach(Rung.TARGETS)
        await devices.lock(tx, device_ids)
        await uncover(changes, [assignment_id], device_ids, Said("AssignmentRevoked", reason=reason))
    changes.ended[assignment_id] = Ended(reason, unfolding=sliced)
    await finish(changes)
    return standing


async def _lock_target(tx: Transaction, assignment: Assignment) -> None:
    """Lock what an assignment is for: whoever else ends it, or expands it, waits or has committed."""
    if assignment.target_type is TargetType.DEVICE_GROUP:
        tx.reach(Rung.GROUPS)
        await groups.lock(tx, assignment.target_id)
    else:
        tx.reach(Rung.TARGETS)
        await devices.lock(tx, [assignment.target_id])


async def revoke_expired(tx: Transaction) -> bool:
    """End one assignment whose expiry has passed; returns whether there was one."""
    expired = await assignments.expired(tx, before=tx.now, limit=1)
    for assignment_id in expired:
        await revoke(tx, assignment_id, RevokeReason.EXPIRED)
    return bool(expired)


async def withdraw_slice(tx: Transaction, row: WorkRow) -> None:
    """End the next 10,000 covers of an assignment that has ended; the last slice ends the work row."""
    assignment_id = UUID(row.payload["assignment_id"])
    reason = RevokeReason(row.payload["reason"])
    device_ids = await covers.devices_after(
        tx, assignment_id, cursor=slices.cursor_of(row), limit=slices.SLICE
    )
    last = await slices.advance(tx, row, device_ids)
    await _uncover_slice(tx, assignment_id, device_ids, reason=reason, last=last)


async def leave_slice(tx: Transaction, row: WorkRow) -> None:
    """End an assignment's covers on the next 10,000 devices that left its group; the last slice ends the work row.

    Who joins again before the slice comes keeps what there is: the group's lock says who is gone.
    """
    assignment_id = UUID(row.payload["assignment_id"])
    standing = await assignments.read(tx, assignment_id)
    if standing is None or not standing.stands:
        await worker.finish(tx, row)
        return
    group_id = standing.assignment.target_id
    ahead = await covers.outsiders_after(
        tx, assignment_id, group_id=group_id, cursor=slices.cursor_of(row), limit=slices.SLICE
    )
    last = await slices.advance(tx, row, ahead)
    tx.reach(Rung.GROUPS)
    await groups.sizes(tx, [group_id])
    standing = await assignments.read(tx, assignment_id)
    if standing is None or not standing.stands:
        return  # revoked while this slice waited for the group: whoever revoked it ends what there is
    members = await groups.present(tx, group_id, ahead)
    gone = [device_id for device_id in ahead if device_id not in members]
    await _uncover_slice(tx, assignment_id, gone, reason=RevokeReason.LEFT_GROUP, last=last)


async def _uncover_slice(
    tx: Transaction, assignment_id: UUID, device_ids: Sequence[UUID], *, reason: RevokeReason, last: bool
) -> None:
    changes = Changes(tx)
    if last:
        changes.unfolded.add(assignment_id)
    tx.reach(Rung.TARGETS)
    await devices.lock(tx, device_ids)
    await uncover(changes, [assignment_id], device_ids, Said("AssignmentRevoked", reason=reason))
    await finish(changes)
