"""What licensing and mdm-push answer: facts that move entitlements and deliveries, set by set."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import structlog

from assignment.decide.deliveries import TABLE as DELIVERIES
from assignment.decide.entitlements import Said, reopens_once_associated
from assignment.handlers.changes import Changes
from assignment.handlers.counting import finish
from assignment.handlers.facts import (
    DeviceAnswer,
    LicenseAnswer,
    Patience,
    delivery_fact,
    entitlement_fact,
    license_facts,
)
from assignment.handlers.opening import reopen
from assignment.model import Delivery, Device, Entitlement
from assignment.store import apple_users, covers, deliveries, devices, entitlements
from shared.database import Transaction
from shared.events import Heard, Target
from shared.events.licensing import FailedTarget, ReleasedTarget
from shared.locks import Rung

_log = structlog.get_logger(__name__)


async def license_told(tx: Transaction, heard: Sequence[Heard[LicenseAnswer]], *, patience: Patience) -> None:
    """Move the entitlements that licensing tells of.

    A licence that was taken opens a new life, so many times. So does one that failed with the invitation of somebody
    of whom it was heard before that they are associated: the two events have no order between them.
    """
    ids = {target.entitlement_id for one in heard for target in one.event.targets}
    tx.reach(Rung.TARGETS)
    locked = await _lock_devices_to_reopen(tx, heard)
    changes = Changes(tx)
    changes.load(await entitlements.lock(tx, ids))
    for one in heard:
        for entitlement_id, fact, said in license_facts(one):
            changes.hear(entitlement_id, fact, said)
        if one.unreadable:
            _log.warning("targets that cannot be read are asked for again", count=len(one.unreadable))
    lost = {life.id: life for life in changes.lost if life.losses + 1 < patience.lives}
    await _replace(changes, locked, lost, cause="licence_lost")
    await _replace(changes, locked, await _accepted(changes, locked, heard), cause="invitation_accepted")
    await finish(changes)
    _tell_strangers(changes)


async def delivery_told(tx: Transaction, heard: Sequence[Heard[DeviceAnswer]], *, patience: Patience) -> None:
    """Move the deliveries that mdm-push tells of, and with them their entitlements."""
    changes = Changes(tx)
    tx.reach(Rung.TARGETS)
    changes.load(await entitlements.lock(tx, {one.event.entitlement_id for one in heard}))
    known = await deliveries.lock(tx, {one.event.delivery_id for one in heard})
    moved: dict[UUID, Delivery] = {}
    for one in heard:
        delivery = known.get(one.event.delivery_id)
        if delivery is None or delivery.entitlement_id != one.event.entitlement_id:
            changes.strangers += 1
            continue
        fact, said = delivery_fact(one, delivery, patience, tx.now)
        state = DELIVERIES[delivery.state].get(fact)
        if state is None:
            continue
        delivery = replace(delivery, state=state, cause=said.cause, ask_deadline_at=None)
        known[delivery.id] = moved[delivery.id] = delivery
        if (told := entitlement_fact(fact, said)) is not None:
            changes.hear(delivery.entitlement_id, told, said)
    if moved:
        await deliveries.move(tx, list(moved.values()))
    await finish(changes)
    _tell_strangers(changes)


async def _lock_devices_to_reopen(
    tx: Transaction, heard: Sequence[Heard[LicenseAnswer]]
) -> dict[UUID, Device]:
    """Lock the devices on which these answers may open a new life: before the entitlements, as everywhere."""
    ids = {target.entitlement_id for one in heard for target in one.event.targets if _may_reopen(target)}
    device_ids = await entitlements.devices_of_living(tx, ids) if ids else []
    return await devices.lock(tx, device_ids) if device_ids else {}


def _may_reopen(target: Target) -> bool:
    failed_for_a_person = isinstance(target, FailedTarget) and target.user_id is not None
    return failed_for_a_person or isinstance(target, ReleasedTarget)


async def _accepted(
    changes: Changes, locked: Mapping[UUID, Device], heard: Sequence[Heard[LicenseAnswer]]
) -> dict[UUID, Entitlement]:
    """Return the lives that failed just now with the invitation of people who are associated after all."""
    people = {
        target.entitlement_id: target.user_id
        for one in heard
        for target in one.event.targets
        if isinstance(target, FailedTarget) and target.user_id is not None
    }
    if not people:
        return {}
    libraries = await apple_users.libraries(changes.tx, set(people.values()))
    lives = {id_: changes.lives[id_] for id_ in people if id_ in changes.lives}
    return {
        life.id: life
        for life in lives.values()
        if life.device_id in locked and reopens_once_associated(life, libraries.get(people[life.id], ()))
    }


async def _replace(
    changes: Changes, locked: Mapping[UUID, Device], ended: Mapping[UUID, Entitlement], *, cause: str
) -> None:
    """Open a new life for each of these that ended just now and is still covered."""
    if not ended:
        return
    await changes.save_moves()
    here = {life.device_id: locked[life.device_id] for life in ended.values()}
    standing = await covers.on(changes.tx, list(here), with_living=())
    mine = [cover for cover in standing if cover.entitlement_id in ended]
    await reopen(changes, here, mine, lambda _: Said("AssignmentRequested", cause=cause))


def _tell_strangers(changes: Changes) -> None:
    """Say that answers came for what is not known here; they change nothing (scenario 19)."""
    if changes.strangers:
        _log.warning("answers for entitlements that are not known here", count=changes.strangers)
