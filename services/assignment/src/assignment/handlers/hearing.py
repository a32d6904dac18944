"""What licensing and mdm-push answer: facts that move entitlements and deliveries, set by set."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import structlog

from assignment.decide.deliveries import TABLE as DELIVERIES
from assignment.decide.entitlements import Said
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
from assignment.model import Delivery, Device
from assignment.store import covers, deliveries, devices, entitlements
from shared.database import Transaction
from shared.events import Heard
from shared.events.licensing import LicenseReleased
from shared.locks import Rung

_log = structlog.get_logger(__name__)


async def license_told(tx: Transaction, heard: Sequence[Heard[LicenseAnswer]], *, patience: Patience) -> None:
    """Move the entitlements that licensing tells of; a licence that was taken opens a new life, so many times."""
    ids = {target.entitlement_id for one in heard for target in one.event.targets}
    tx.reach(Rung.TARGETS)
    locked = await _lock_devices_of_losses(tx, heard, ids)
    changes = Changes(tx)
    changes.load(await entitlements.lock(tx, ids))
    for one in heard:
        for entitlement_id, fact, said in license_facts(one):
            changes.hear(entitlement_id, fact, said)
        if one.unreadable:
            _log.warning("targets that cannot be read are asked for again", count=len(one.unreadable))
    await _replace_lost(changes, locked, patience)
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


async def _lock_devices_of_losses(
    tx: Transaction, heard: Sequence[Heard[LicenseAnswer]], ids: set[UUID]
) -> dict[UUID, Device]:
    """Lock the devices on which a release may open a new life: before the entitlements, as everywhere."""
    if not isinstance(heard[0].event, LicenseReleased):
        return {}
    device_ids = await entitlements.devices_of_living(tx, ids)
    return await devices.lock(tx, device_ids) if device_ids else {}


async def _replace_lost(changes: Changes, locked: dict[UUID, Device], patience: Patience) -> None:
    """Open a new life for what was lost and is still covered, unless it was lost too often in a row."""
    lost = {life.id: life for life in changes.lost if life.losses + 1 < patience.lives}
    if not lost:
        return
    await changes.save_moves()
    here = {life.device_id: locked[life.device_id] for life in lost.values()}
    standing = await covers.on(changes.tx, list(here), with_living=())
    mine = [cover for cover in standing if cover.entitlement_id in lost]
    await reopen(changes, here, mine, lambda _: Said("AssignmentRequested", cause="licence_lost"))


def _tell_strangers(changes: Changes) -> None:
    """Say that answers came for what is not known here; they change nothing (scenario 19)."""
    if changes.strangers:
        _log.warning("answers for entitlements that are not known here", count=changes.strangers)
