"""Promise 4: what was asked and not answered is asked again, under a new event id, so that lost events heal."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from assignment.decide.entitlements import Fact, Said
from assignment.handlers.changes import Changes
from assignment.handlers.counting import finish
from assignment.model import Delivery, DeliveryState, Entitlement, State
from assignment.store import deliveries, entitlements
from shared.database import Transaction
from shared.locks import Rung


async def ask_again(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Ask again what is due, entitlements first; returns how many asks it was.

    A licence that is awaited is requested again, a revoke told again, an install or removal asked again; an
    install that failed gets its next attempt, as a new delivery.
    """
    tx.reach(Rung.TARGETS)
    due = await entitlements.lock_due(tx, before=before, limit=limit)
    changes = Changes(tx)
    changes.load({life.id: life for life in due})
    await _ask_licensing(changes, due)
    await _retry(changes, [life.id for life in due if life.state is State.RETRYING])
    sent = await deliveries.lock_due(tx, before=before, limit=limit - len(due))
    await _ask_devices(changes, sent)
    await finish(changes)
    return len(due) + len(sent)


async def make_due(tx: Transaction) -> None:
    """Make every open ask due now, for a replay of all that is open."""
    tx.reach(Rung.TARGETS)
    await entitlements.make_due(tx)
    await deliveries.make_due(tx)


async def _ask_licensing(changes: Changes, due: Sequence[Entitlement]) -> None:
    asked = [life for life in due if life.state is not State.RETRYING]
    for life in asked:
        if life.state is State.REVOKING:
            changes.telling.revoked(life, None)
        else:
            changes.telling.requested(life, None)
    if asked:
        await entitlements.postpone(changes.tx, [life.id for life in asked], changes.ask_again_at)


async def _retry(changes: Changes, entitlement_ids: Sequence[UUID]) -> None:
    if not entitlement_ids:
        return
    former = await deliveries.lock_of(changes.tx, entitlement_ids, [DeliveryState.FAILED])
    attempts = {delivery.entitlement_id: delivery.attempt for delivery in former}
    for entitlement_id in entitlement_ids:
        attempt = attempts.get(entitlement_id, 0) + 1
        changes.hear(entitlement_id, Fact.RETRY_DUE, Said("InstallRequested"), attempt=attempt)


async def _ask_devices(changes: Changes, sent: Sequence[Delivery]) -> None:
    if not sent:
        return
    lives = await entitlements.read(changes.tx, {delivery.entitlement_id for delivery in sent})
    for delivery in sent:
        life = lives[delivery.entitlement_id]
        if delivery.state is DeliveryState.REMOVING:
            changes.telling.removal(delivery, life, None)
        else:
            changes.telling.install(delivery, life, None)
    await deliveries.postpone(changes.tx, [delivery.id for delivery in sent], changes.ask_again_at)
