"""What a notification of Apple says, as far as it matters here. Source: "Subscribing to notifications"."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ABOUT_ASSETS = frozenset({"ASSET_COUNT", "UNLIMITED_ASSET"})
"""Types that tell of purchases: the library's assets are worth a look."""
ABOUT_USERS = frozenset({"USER_MANAGEMENT", "USER_ASSOCIATED"})
"""Types that tell of Apple users."""

_ABOUT_EVENTS = {"ASSET_MANAGEMENT": "assignments", "USER_MANAGEMENT": "users"}
"""Types that tell how far an event has come, and what the list of those is called whom they tell of."""

_HOLDERS = ("serialNumber", "clientUserId")
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Notice:
    """What a notification says; its library is None where it names none.

    Some tell which event they are about, and whose tasks are through, done or failed: the serial numbers or client
    user ids of its `holders`.
    """

    type: str
    library_id: str | None
    event_id: str | None = None
    holders: Sequence[str] = ()

    def believed_of(self, library_id: str) -> bool:
        """Say whether it speaks of the library whose secret it came with; it may not speak of another."""
        return self.library_id in {None, library_id}


NOTHING_SAID = Notice("", None)


def notification_id(body: bytes) -> str | None:
    """Return what a notification calls itself; None where it has no id or no type, and so is none."""
    said = _object(body)
    return name(said.get("notificationId")) if name(said.get("notificationType")) else None


def read_notice(body: bytes) -> Notice:
    """Read a notification leniently, whatever it is about."""
    said = _object(body)
    kind, library_id, about = said.get("notificationType"), said.get("uId"), said.get("notification")
    notice = Notice(str(kind), None if library_id is None else str(library_id))
    return _with_event(notice, about) if notice.type in _ABOUT_EVENTS and isinstance(about, dict) else notice


def name(said: Any) -> str | None:
    """Return a name that can be stored and indexed: no NUL, no half of a surrogate pair, no endless text."""
    fit = isinstance(said, str) and 0 < len(said) <= _LONGEST_NAME and said.isprintable()
    return said if fit else None


def _with_event(notice: Notice, about: Mapping[str, Any]) -> Notice:
    rows = about.get(_ABOUT_EVENTS[notice.type])
    found = [
        name(row.get(kind))
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict)
        for kind in _HOLDERS
    ]
    holders = [holder for holder in found if holder is not None]
    return Notice(notice.type, notice.library_id, name(about.get("eventId")), holders)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
