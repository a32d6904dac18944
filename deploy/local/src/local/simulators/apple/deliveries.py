"""Notifications under way: what they say, and when they are sent next. No clock, no network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.simulators.apple.library import Subscription


@dataclass(frozen=True, slots=True)
class Notification:
    """What one call says, and to whom."""

    notification_id: str
    type: str
    uid: str
    subscription: Subscription
    content: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Delivery:
    """A notification on its way; one that is doubled has two. `due_at` is a UNIX time of the virtual clock."""

    notification: Notification
    due_at: float
    failures: int = 0
