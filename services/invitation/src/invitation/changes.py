"""What a change of an invitation brings with it, in one transaction: the row, its step, its letter, its event."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from invitation import store
from invitation.decide import news
from invitation.model import Invitation, State, Step, StepKind
from shared import metrics, outbox, worker
from shared.database import Transaction
from shared.events import Outgoing

LETTER = "letter"
"""The kind of work row that stands for one letter; there is one exactly while an invitation is `sending`."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one invitation; `before` is None for a new one.

    `kind` is None where nothing happened but that somebody asked again: the present state is then repeated.
    `correlation_id` is the thread it is told on, `causation_id` the event that led here.
    """

    before: Invitation | None
    after: Invitation
    kind: StepKind | None
    correlation_id: UUID
    causation_id: UUID | None = None

    @property
    def state_changed(self) -> bool:
        """Say whether the invitation stands elsewhere than before."""
        return self.before is None or self.before.state is not self.after.state


async def save(tx: Transaction, changes: Sequence[Change]) -> None:
    """Store the changes, put new letters to work and tell the news; the people concerned are locked."""
    moved = [change for change in changes if change.state_changed]
    saved = {change.after.id: change.after for change in changes if change.before != change.after}
    if saved:
        await store.save_invitations(tx, saved.values())
    if steps := [_step(tx, change, change.kind) for change in changes if change.kind is not None]:
        await store.add_steps(tx, steps)
    begun = [letter_for(change.after) for change in moved if change.after.state is State.SENDING]
    await worker.add(tx, begun)
    await outbox.append(tx, _told(changes))
    tx.after_commit(lambda: _count(moved))


def letter_for(invitation: Invitation) -> worker.NewWork:
    """Return the work of sending this invitation's letter."""
    payload = {"invitation_id": str(invitation.id), "user_id": str(invitation.apple_user.user_id)}
    return worker.NewWork(LETTER, payload, invitation.correlation_id)


def _step(tx: Transaction, change: Change, kind: StepKind) -> Step:
    after = change.after
    return Step(after.id, tx.now, kind, after.state, after.cause, after.status_code)


def _told(changes: Sequence[Change]) -> list[Outgoing]:
    """Return the events of changed states and of repeated answers; what is still at work has none."""
    return [
        Outgoing(event, correlation_id=change.correlation_id, causation_id=change.causation_id)
        for change in changes
        if change.state_changed or change.kind is None
        if (event := news(change.after)) is not None
    ]


def _count(moved: Sequence[Change]) -> None:
    for change in moved:
        metrics.INVITATIONS_MOVED.labels(change.after.state.value).inc()
