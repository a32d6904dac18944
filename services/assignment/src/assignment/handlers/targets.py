"""From what callers name to what is there: groups and their sizes, devices by id or serial number; who is refused."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from assignment.decide.refusals import Proposal, judge_of, refuse_assignment
from assignment.handlers import slices
from assignment.model import Asset, Device, TargetType, Wish
from assignment.store import devices, groups
from shared.database import Transaction
from shared.events.words import Refusal
from shared.locks import Rung

_SERIAL = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class TargetNamed:
    """A target as a caller names it: by id, or a device by its serial number."""

    type: TargetType
    id: UUID | None = None
    serial_number: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """One assignment as asked."""

    asset_id: UUID
    target: TargetNamed
    wish: Wish
    acknowledge_no_catalogue: bool = False


@dataclass(slots=True)
class Candidate:
    """An assignment that may come to be; a refusal is its end.

    `unfolding`: its group is too large for one transaction, so that its devices are left to work rows.
    """

    asked: Asked
    refusal: Refusal | None = None
    target_id: UUID | None = None
    targets: int = 1
    device_ids: Sequence[UUID] = ()
    unfolding: bool = False

    @property
    def is_group(self) -> bool:
        """Say whether the target is a group of devices."""
        return self.asked.target.type is TargetType.DEVICE_GROUP


async def find(
    tx: Transaction, asked: Sequence[Asked], known: Mapping[UUID, Asset], *, max_targets: int
) -> tuple[list[Candidate], dict[UUID, Device]]:
    """Return a candidate for each assignment asked for, and all devices they reach here, locked.

    The groups are locked for reading. `known` are the assets; a group above `max_targets` is refused.
    """
    candidates = [Candidate(one, _refuse(one, known.get(one.asset_id))) for one in asked]
    await _find_groups(tx, candidates, max_targets)
    await _find_devices(tx, candidates)
    _refuse_doubles(candidates)
    locked = await _lock_devices(tx, candidates)
    judge = judge_of(known)
    for candidate in accepted(candidates):
        if not candidate.is_group:  # of a group, only the member is refused
            device = locked[candidate.device_ids[0]]
            candidate.refusal = judge(candidate.asked.asset_id, candidate.asked.wish, device)
    return candidates, locked


def accepted(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return those that nothing speaks against so far."""
    return [candidate for candidate in candidates if candidate.refusal is None]


def readable_serials(serial_numbers: Sequence[str | None]) -> list[str]:
    """Return those that can be a serial number at all; the database is asked for no other."""
    return [serial for serial in serial_numbers if serial is not None and _SERIAL.fullmatch(serial)]


def printable(text: str | None) -> str | None:
    """Return a caller's text as it can be stored and shown: PostgreSQL keeps no NUL."""
    return None if text is None else text.replace("\x00", "\ufffd")


def _refuse(asked: Asked, asset: Asset | None) -> Refusal | None:
    proposal = Proposal(asked.target.type, asked.wish, asked.acknowledge_no_catalogue)
    return refuse_assignment(asset, proposal)


async def _find_groups(tx: Transaction, candidates: Sequence[Candidate], max_targets: int) -> None:
    """Lock the groups for reading; decide which are expanded here, first come first."""
    named = [candidate for candidate in accepted(candidates) if candidate.is_group]
    if not named:
        return
    tx.reach(Rung.GROUPS)
    sizes = await groups.sizes(tx, [each.asked.target.id for each in named if each.asked.target.id])
    room = slices.SLICE
    for candidate in named:
        size = sizes.get(candidate.asked.target.id) if candidate.asked.target.id else None
        if size is None or size > max_targets:
            candidate.refusal = Refusal.UNKNOWN_TARGET if size is None else Refusal.TOO_MANY_TARGETS
            continue
        candidate.target_id, candidate.targets = candidate.asked.target.id, size
        candidate.unfolding = size > room
        room -= 0 if candidate.unfolding else size
    here = [candidate for candidate in accepted(named) if not candidate.unfolding]
    members = await groups.members(tx, list({each.target_id for each in here if each.target_id}))
    for candidate in here:
        if candidate.target_id is not None:
            candidate.device_ids = members[candidate.target_id]


async def _find_devices(tx: Transaction, candidates: Sequence[Candidate]) -> None:
    named = [candidate for candidate in accepted(candidates) if not candidate.is_group]
    if not named:
        return
    serials = readable_serials([candidate.asked.target.serial_number for candidate in named])
    by_serial = await devices.ids_of_serials(tx, serials) if serials else {}
    ids = [candidate.asked.target.id for candidate in named if candidate.asked.target.id]
    by_id = await devices.known(tx, ids) if ids else set[UUID]()
    for candidate in named:
        target = candidate.asked.target
        if target.serial_number is not None:
            candidate.target_id = by_serial.get(target.serial_number)
        elif target.id in by_id:
            candidate.target_id = target.id
        if candidate.target_id is None:
            candidate.refusal = Refusal.UNKNOWN_TARGET
        else:
            candidate.device_ids = (candidate.target_id,)


def _refuse_doubles(candidates: Sequence[Candidate]) -> None:
    seen: set[tuple[UUID, UUID | None]] = set()
    for candidate in accepted(candidates):
        wanted = (candidate.asked.asset_id, candidate.target_id)
        if wanted in seen:
            candidate.refusal = Refusal.DUPLICATE_TARGET
        seen.add(wanted)


async def _lock_devices(tx: Transaction, candidates: Sequence[Candidate]) -> dict[UUID, Device]:
    ids = {device_id for candidate in accepted(candidates) for device_id in candidate.device_ids}
    if not ids:
        return {}
    tx.reach(Rung.TARGETS)
    return await devices.lock(tx, ids)
