"""Wishes: install or remove one asset on one enrollment, and what is known of the apps there."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.events.words import AssetKind, Channel, NothingRemoved


class Intent(StrEnum):
    """What a wish is after."""

    INSTALL = "install"
    REMOVE = "remove"


class WishState(StrEnum):
    """Where a wish stands; the first three are open.

    Waiting: an older wish for the same app is with the device, its report comes first. Commanded: the command
    is in the queue or with the device. Verifying: the list of apps has to tell.
    """

    WAITING = "waiting"
    COMMANDED = "commanded"
    VERIFYING = "verifying"
    DONE = "done"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"

    @property
    def open(self) -> bool:
        """Say whether something still has to happen."""
        return self in {WishState.WAITING, WishState.COMMANDED, WishState.VERIFYING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Install or remove one asset on one enrollment: one half of the life of a delivery.

    `version` is the entitlement's, as told with the ask. `owed` is False once a newer wish of the same delivery
    answers for this one. `tries` counts installs, `checks` counts looks at the list.
    """

    id: UUID
    delivery_id: UUID
    entitlement_id: UUID
    version: int
    enrollment_id: UUID
    generation: int
    asset_id: UUID
    kind: AssetKind
    adam_id: str | None
    intent: Intent
    state: WishState
    correlation_id: UUID
    causation_id: UUID
    owed: bool = True
    tries: int = 0
    checks: int = 0
    verify_until: datetime | None = None
    cause: str | None = None
    error_domain: str | None = None
    error_code: int | None = None
    was: NothingRemoved | None = None

    @property
    def rank(self) -> tuple[int, bool]:
        """Return how new this wish is among those of its delivery: a removal outranks its own install."""
        return self.version, self.intent is Intent.REMOVE

    @property
    def pair(self) -> tuple[UUID, UUID]:
        """Return what only one wish at a time may be about."""
        return self.enrollment_id, self.asset_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One target of InstallRequested or RemovalRequested."""

    delivery_id: UUID
    entitlement_id: UUID
    version: int
    enrollment_id: UUID
    channel: Channel
    asset_id: UUID
    kind: AssetKind
    adam_id: str | None
    intent: Intent
    correlation_id: UUID
    causation_id: UUID

    @property
    def rank(self) -> tuple[int, bool]:
        """Return how new this ask is, comparable with a wish's rank."""
        return self.version, self.intent is Intent.REMOVE

    @property
    def pair(self) -> tuple[UUID, UUID]:
        """Return what only one wish at a time may be about."""
        return self.enrollment_id, self.asset_id


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """An asset on a device, as far as we know: `present` once the device took an install and none removed it.

    `identifier` is the bundle id, which only the device tells; `status` is Apple's word, last seen.
    """

    enrollment_id: UUID
    asset_id: UUID
    present: bool
    identifier: str | None = None
    status: str | None = None
