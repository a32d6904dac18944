"""How a decision is stored: set-based, locks first, events last."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from mdm_push.decide import Outcome
from mdm_push.handlers.means import Means
from mdm_push.model import NewCommand, Wish
from mdm_push.store import commands, pushes, wishes
from shared.database import Transaction


async def save(tx: Transaction, outcome: Outcome) -> None:
    """Store wishes, apps and commands of a decision; its events are the caller's to append."""
    over = [wish_id for wish_id, wish in _last(outcome).items() if not wish.state.open]
    if over:
        await commands.withdraw(tx, over)
    await wishes.save(tx, outcome.wishes)
    await wishes.save_apps(tx, outcome.apps)
    await commands.add(tx, standing(outcome))


def standing(outcome: Outcome) -> list[NewCommand]:
    """Return the new commands whose wish has not ended within the same set of decisions."""
    over = {wish_id for wish_id, wish in _last(outcome).items() if not wish.state.open}
    return [command for command in outcome.commands if command.wish_id not in over]


async def wake(tx: Transaction, queued: Sequence[NewCommand], means: Means) -> None:
    """Have the channels of these commands woken when the first of them is due: one push per burst."""
    if not queued:
        return
    first: dict[UUID, tuple[datetime, UUID]] = {}
    for command in queued:
        known = first.get(command.enrollment_id)
        if known is None or command.due_at < known[0]:
            first[command.enrollment_id] = (command.due_at, command.correlation_id)
    await pushes.ask(tx, first)
    tx.after_commit(means.pusher.ring)


def _last(outcome: Outcome) -> dict[UUID, Wish]:
    """Return each changed wish as it is at the end of all decisions."""
    return {wish.id: wish for wish in outcome.wishes}
