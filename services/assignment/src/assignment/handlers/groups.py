"""Device groups: who joins gets what the group was assigned, who leaves loses it (R2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from assignment.decide.entitlements import Said
from assignment.handlers.changes import Changes
from assignment.handlers.counting import finish
from assignment.handlers.opening import cover
from assignment.handlers.targets import readable_serials
from assignment.handlers.withdrawing import uncover
from assignment.store import assignments, devices, groups
from shared.database import Transaction
from shared.errors import NotFound
from shared.events.words import RevokeReason
from shared.ids import new_id
from shared.locks import Rung


@dataclass(frozen=True, slots=True)
class Membership:
    """What a bulk change did: who moved, how many stood there already, which serial numbers are unknown."""

    moved: int
    unmoved: int
    unknown: tuple[str, ...]


async def create_group(tx: Transaction, name: str) -> UUID:
    """Store an empty group and return its id."""
    group_id = new_id()
    await groups.insert(tx, group_id, name)
    return group_id


async def add_members(tx: Transaction, group_id: UUID, serial_numbers: Sequence[str]) -> Membership:
    """Let devices join; every assignment that stands on the group covers them at once. Raises NotFound."""
    found, unknown = await _lock(tx, group_id, serial_numbers)
    tx.reach(Rung.TARGETS)
    locked = await devices.lock(tx, found)
    joined = await groups.add(tx, group_id, found)
    standing = await assignments.standing_on(tx, group_id)
    if joined and standing:
        newcomers = {device_id: locked[device_id] for device_id in joined}
        changes = Changes(tx)
        reached = [(assignment, list(newcomers.values())) for assignment in standing]
        await cover(changes, reached, newcomers, Said("AssignmentRequested", cause="joined_group"))
        await finish(changes)
    return Membership(len(joined), len(found) - len(joined), unknown)


async def remove_members(tx: Transaction, group_id: UUID, serial_numbers: Sequence[str]) -> Membership:
    """Let devices leave; the group's assignments no longer cover them. Raises NotFound."""
    found, unknown = await _lock(tx, group_id, serial_numbers)
    tx.reach(Rung.TARGETS)
    await devices.lock(tx, found)
    left = await groups.remove(tx, group_id, found)
    standing = await assignments.standing_on(tx, group_id)
    if left and standing:
        changes = Changes(tx)
        said = Said("AssignmentRevoked", reason=RevokeReason.LEFT_GROUP)
        await uncover(changes, [assignment.id for assignment in standing], left, said)
        await finish(changes)
    return Membership(len(left), len(found) - len(left), unknown)


async def _lock(
    tx: Transaction, group_id: UUID, serial_numbers: Sequence[str]
) -> tuple[list[UUID], tuple[str, ...]]:
    """Lock the group for a change; return the devices found and the serial numbers of none."""
    tx.reach(Rung.GROUPS)
    if not await groups.lock(tx, group_id):
        raise NotFound("unknown_device_group", f"there is no device group {group_id}")
    known = await devices.ids_of_serials(tx, readable_serials(serial_numbers))
    unknown = tuple(dict.fromkeys(serial for serial in serial_numbers if serial not in known))
    return list(dict.fromkeys(known.values())), unknown
