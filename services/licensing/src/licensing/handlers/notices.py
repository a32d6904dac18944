"""Apple's notifications are read, after they were kept; they only bring forward what is read anyway.

Best effort, doubled and in no order as they are ("Subscribing to notifications"), they never move the ledger.
"""

from typing import Protocol
from uuid import UUID

from licensing import work
from licensing.decide.notice import ABOUT_ASSETS, ABOUT_USERS, NOTHING_SAID, Notice, read_notice
from licensing.store import notifications
from licensing.store.notifications import Read, Sealed
from shared import worker
from shared.database import Transaction
from shared.metrics import APPLE_NOTIFICATIONS
from shared.vault import KeyUnknown, SealBroken, Secret

_AT_ONCE = 500


class Sealer(Protocol):
    """Seals for one column of one row, and opens there again (shared.vault)."""

    def seal(self, plaintext: bytes, *, table: str, column: str, row_id: UUID | str) -> bytes:
        """Return what may be stored."""
        ...

    def open(self, sealed: bytes, *, table: str, column: str, row_id: UUID | str) -> Secret:
        """Return what was sealed."""
        ...


async def read_notifications(tx: Transaction, *, sealer: Sealer) -> int:
    """Read what was kept, and bring forward the reads that it speaks of; return how many were read."""
    unread = await notifications.unread(tx, _AT_ONCE)
    if not unread:
        return 0
    notices = [(each, _read(each, sealer)) for each in unread]
    await notifications.mark_read(
        tx,
        [Read(each.library_id, each.notification_id, said.event_id, said.holders) for each, said in notices],
    )
    events = {said.event_id for _, said in notices if said.event_id is not None}
    if events:
        await worker.hasten(tx, await notifications.work_of_covered(tx, sorted(events)))
    for library_id in sorted({each.library_id for each, said in notices if said.type in ABOUT_ASSETS}):
        await work.want_assets(tx, library_id)
    for library_id in sorted({each.library_id for each, said in notices if said.type in ABOUT_USERS}):
        await work.want_users(tx, library_id)
    return len(unread)


def _read(each: Sealed, sealer: Sealer) -> Notice:
    """Return what a notification says; nothing where it cannot be opened, or is not to be believed.

    Both are counted: a hint that is lost costs time, one that blocks the others would cost more.
    """
    try:
        body = sealer.open(each.sealed, table="notification", column="sealed", row_id=each.notification_id)
    except (SealBroken, KeyUnknown):
        APPLE_NOTIFICATIONS.labels("unopened").inc()
        return NOTHING_SAID
    notice = read_notice(body.reveal())
    if not notice.believed_of(each.library_id):
        APPLE_NOTIFICATIONS.labels("not_believed").inc()
        return NOTHING_SAID
    return notice
