"""Tells of content tokens, on the bus and in the metrics: expiring, suspended with its cause, resumed."""

from collections.abc import Sequence
from uuid import UUID

from shared import outbox
from shared.database import Transaction
from shared.events import Outgoing
from shared.events.licensing import ContentTokenExpiring, ContentTokenResumed, ContentTokenSuspended
from shared.ids import new_id
from shared.metrics import CONTENT_TOKENS_TOLD

Told = ContentTokenExpiring | ContentTokenSuspended | ContentTokenResumed


async def tell(tx: Transaction, events: Sequence[Told], *, correlation_id: UUID | None = None) -> None:
    """Append what happened to content tokens; no lock may be taken in the transaction afterwards."""
    await outbox.append(tx, [Outgoing(event, correlation_id=correlation_id or new_id()) for event in events])
    tx.after_commit(lambda: _count(events))


def _count(events: Sequence[Told]) -> None:
    for event in events:
        cause = event.cause if isinstance(event, ContentTokenSuspended) else ""
        CONTENT_TOKENS_TOLD.labels(type(event).__name__, cause).inc()
