"""Apple's notifications: kept first, read afterwards; they only bring forward what is read anyway.

Best effort, doubled and in no order as they are ("Subscribing to notifications"), they never move the ledger.
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from licensing import work
from licensing.notification_secret import shows_secret
from licensing.store import libraries, notifications
from licensing.store.notifications import Read, Unread
from shared.database import Transaction
from shared.errors import Problem, Unauthorized
from shared.vault import Secret

_AT_ONCE = 500
_LONGEST_NAME = 200


class Sealer(Protocol):
    """Seals for one column of one row, and opens there again (shared.vault)."""

    def seal(self, plaintext: bytes, *, table: str, column: str, row_id: UUID | str) -> bytes:
        """Return what may be stored."""
        ...

    def open(self, sealed: bytes, *, table: str, column: str, row_id: UUID | str) -> Secret:
        """Return what was sealed."""
        ...


async def keep_notification(
    tx: Transaction, library_id: str, *, authorization: str, body: bytes, sealer: Sealer
) -> None:
    """Store a notification as it came; one that came before is kept once.

    Raises Unauthorized where it does not show the library's secret, Problem where it names no notification.
    """
    if not shows_secret(authorization, await libraries.secret_hashes(tx, library_id)):
        raise Unauthorized("wrong_secret", "this is not the secret of this library's notifications")
    notification_id = _name(_object(body).get("notificationId"))
    if notification_id is None:
        raise Problem("malformed_notification", "a notification is a JSON object with a notificationId")
    sealed = sealer.seal(body, table="notification", column="sealed", row_id=notification_id)
    await notifications.store(tx, library_id, notification_id, sealed)


async def read_notifications(tx: Transaction, *, sealer: Sealer) -> int:
    """Read what was kept, and bring forward the reads that it speaks of; return how many were read."""
    unread = await notifications.unread(tx, _AT_ONCE)
    if not unread:
        return 0
    notices = [(each, _object(_open(each, sealer))) for each in unread]
    read = [_read(each, said) for each, said in notices]
    await notifications.mark_read(tx, read)
    events = {each.event_id for each in read if each.event_id is not None}
    if events:
        await notifications.hasten(tx, await notifications.work_of_covered(tx, sorted(events)))
    for library_id in sorted(
        {each.library_id for each, said in notices if said.get("notificationType") == "ASSET_COUNT"}
    ):
        await work.want_assets(tx, library_id)
    return len(unread)


def _open(each: Unread, sealer: Sealer) -> bytes:
    return sealer.open(
        each.sealed, table="notification", column="sealed", row_id=each.notification_id
    ).reveal()


def _read(each: Unread, said: Mapping[str, Any]) -> Read:
    """Note which event an ASSET_MANAGEMENT notification tells of, and for whom: done or failed, it is through."""
    event_id: str | None = None
    covers: list[str] = []
    told = said.get("notification")
    if said.get("notificationType") == "ASSET_MANAGEMENT" and isinstance(told, dict):
        event_id = _name(told.get("eventId"))
        covers = _serials(told.get("assignments"))
    return Read(each.library_id, each.notification_id, event_id, json.dumps(covers))


def _serials(assignments: Any) -> list[str]:
    rows = assignments if isinstance(assignments, list) else []
    named = (_name(row.get("serialNumber")) for row in rows if isinstance(row, dict))
    return [serial for serial in named if serial is not None]


def _name(said: Any) -> str | None:
    """Return a name that can be stored and indexed: no NUL, no half of a surrogate pair, no endless text."""
    fit = isinstance(said, str) and 0 < len(said) <= _LONGEST_NAME and said.isprintable()
    return said if fit else None


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
