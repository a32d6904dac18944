"""Device groups: who joins gets what the group was assigned, who leaves loses it (R2).

A change of up to 10,000 covers is one transaction; what goes beyond is left to the work rows of each assignment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from assignment.decide.entitlements import Said
from assignment.handlers import slices
from assignment.handlers.changes import Changes
from assignment.handlers.counting import finish
from assignment.handlers.opening import cover
from assignment.handlers.targets import readable_serials
from assignment.handlers.unfolding import expand_later
from assignment.handlers.withdrawing import LEAVE, uncover
from assignment.model import Assignment, Device
from assignment.store import assignments, devices, groups
from shared.database import Transaction
from shared.errors import NotFound
from shared.events.words import Refusal, RevokeReason
from shared.ids import new_id
from shared.locks import Rung


@dataclass(frozen=True, slots=True)
class Membership:
    """What a bulk change did: who moved, how many stood there already, which serial numbers are refused and why.

    `unfolding` says that work rows go on to give, or take back, what the group was assigned.
    """

    moved: int
    unmoved: int
    refused: Mapping[str, Refusal]
    unfolding: bool


@dataclass(frozen=True, slots=True)
class _Named:
    """The group as locked, and the devices named, by serial number in the order in which they were named."""

    group_id: UUID
    size: int
    devices: Mapping[str, UUID]
    refused: Mapping[str, Refusal]
    standing: Sequence[Assignment]

    @property
    def sliced(self) -> bool:
        """Say whether the change is too much for one transaction."""
        return len(self.devices) * len(self.standing) > slices.SLICE

    @property
    def standing_ids(self) -> list[UUID]:
        """Return the ids of the assignments that stand on the group."""
        return [assignment.id for assignment in self.standing]


async def create_group(tx: Transaction, name: str) -> UUID:
    """Store an empty group and return its id."""
    group_id = new_id()
    await groups.insert(tx, group_id, name)
    return group_id


async def add_members(
    tx: Transaction, group_id: UUID, serial_numbers: Sequence[str], *, max_targets: int
) -> Membership:
    """Let devices join; every assignment that stands on the group covers them. Raises NotFound.

    A group has at most `max_targets` members: whoever is named when it is full is refused.
    """
    named = await _with_room(tx, await _lock(tx, group_id, serial_numbers), max_targets)
    locked = await _lock_devices(tx, named)
    joined = await groups.add(tx, group_id, list(named.devices.values()))
    changes = Changes(tx)
    if joined and named.sliced:
        await expand_later(tx, named.standing, joined_at=tx.now)
        changes.begun.update(named.standing_ids)
    elif joined and named.standing:
        here = {device_id: locked[device_id] for device_id in joined}
        reached = [(assignment, list(here.values())) for assignment in named.standing]
        await cover(changes, reached, here, Said("AssignmentRequested", cause="joined_group"))
    await finish(changes)
    return _membership(named, len(joined), changes)


async def remove_members(tx: Transaction, group_id: UUID, serial_numbers: Sequence[str]) -> Membership:
    """Let devices leave; the group's assignments no longer cover them. Raises NotFound."""
    named = await _lock(tx, group_id, serial_numbers)
    await _lock_devices(tx, named)
    left = await groups.remove(tx, group_id, list(named.devices.values()))
    changes = Changes(tx)
    if left and named.sliced:
        await slices.later(tx, LEAVE, named.standing)
        changes.begun.update(named.standing_ids)
    elif left and named.standing:
        await uncover(
            changes, named.standing_ids, left, Said("AssignmentRevoked", reason=RevokeReason.LEFT_GROUP)
        )
    await finish(changes)
    return _membership(named, len(left), changes)


async def _lock(tx: Transaction, group_id: UUID, serial_numbers: Sequence[str]) -> _Named:
    """Lock the group for a change, and find whom it is about."""
    tx.reach(Rung.GROUPS)
    size = await groups.lock(tx, group_id)
    if size is None:
        raise NotFound("unknown_device_group", f"there is no device group {group_id}")
    known = await devices.ids_of_serials(tx, readable_serials(serial_numbers))
    found = {serial: known[serial] for serial in serial_numbers if serial in known}
    refused = {serial: Refusal.UNKNOWN_TARGET for serial in serial_numbers if serial not in known}
    return _Named(group_id, size, found, refused, await assignments.standing_on(tx, group_id))


async def _with_room(tx: Transaction, named: _Named, max_targets: int) -> _Named:
    """Refuse whoever finds the group full, in the order in which they were named."""
    if named.size + len(named.devices) <= max_targets:
        return named
    present = await groups.present(tx, named.group_id, list(named.devices.values()))
    new = [serial for serial, device_id in named.devices.items() if device_id not in present]
    late = dict.fromkeys(new[max(max_targets - named.size, 0) :], Refusal.TOO_MANY_TARGETS)
    staying = {serial: device_id for serial, device_id in named.devices.items() if serial not in late}
    return replace(named, devices=staying, refused={**named.refused, **late})


async def _lock_devices(tx: Transaction, named: _Named) -> dict[UUID, Device]:
    """Lock the devices whose covers change in this transaction."""
    if named.sliced or not named.standing:
        return {}
    tx.reach(Rung.TARGETS)
    return await devices.lock(tx, named.devices.values())


def _membership(named: _Named, moved: int, changes: Changes) -> Membership:
    return Membership(moved, len(named.devices) - moved, named.refused, unfolding=bool(changes.begun))
