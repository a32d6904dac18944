"""The words of the ledger: licences and their states, pools, intents, and what was asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from licensing.model.apple import AppleFailure
from shared.events.words import Held, Refusal


class State(StrEnum):
    """Where one life of a licence stands.

    `associating`, `withdrawing` and `disassociating` are `reserved` and `releasing` while a request to Apple
    is on its way or its outcome unknown: they follow from the intent and are never stored.
    """

    UNKNOWN = "unknown"
    WAITLISTED = "waitlisted"
    RESERVED = "reserved"
    ASSOCIATING = "associating"
    ASSIGNED = "assigned"
    RELEASING = "releasing"
    WITHDRAWING = "withdrawing"
    DISASSOCIATING = "disassociating"
    RELEASED = "released"
    REFUSED = "refused"


class Happening(StrEnum):
    """What can happen to a licence."""

    REQUESTED = "requested"
    GRANTED = "granted"
    WAITED = "waited"
    DENIED = "denied"
    REVOKED = "revoked"
    REVOKED_IRREVOCABLE = "revoked_irrevocable"
    SUCCEEDED = "succeeded"
    DONE = "done"
    NOT_DONE = "not_done"
    NONE_LEFT = "none_left"
    APPLE_REFUSED = "apple_refused"


class Answer(StrEnum):
    """Which event tells a target's state."""

    NOTHING = "nothing"
    RESERVED = "reserved"
    WAITLISTED = "waitlisted"
    REFUSED = "refused"
    ASSIGNED = "assigned"
    RELEASED = "released"


class IntentKind(StrEnum):
    """The two writes to Apple."""

    ASSOCIATE = "associate"
    DISASSOCIATE = "disassociate"


class Proof(StrEnum):
    """How the outcome of a request to Apple was proven: by its event's COMPLETE, by a list, by its being refused."""

    EVENT = "event"
    LIST = "list"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Ask:
    """What assignment asks for one target: a licence, or its release."""

    entitlement_id: UUID
    version: int
    serial_number: str
    asset_id: UUID
    correlation_id: UUID
    causation_id: UUID
    priority: int = 0
    no_wait: bool = False
    library_id: str | None = None


@dataclass(frozen=True, slots=True)
class License:
    """One life of a licence: the row of one entitlement. `version` is the entitlement's, as told last."""

    entitlement_id: UUID
    pool_id: UUID | None
    asset_id: UUID
    serial_number: str
    version: int
    state: State
    correlation_id: UUID
    priority: int
    arrival: int
    no_wait: bool
    intent_id: UUID | None
    held: Held | None
    refusal: Refusal | None
    error_number: int | None
    causation_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """All licences of one asset in one library, locked. `capacity` is None where the asset is unlimited."""

    pool_id: UUID
    asset_id: UUID
    library_id: str
    adam_id: str
    pricing_param: str
    device_assignable: bool
    revocable: bool
    suspended: bool
    capacity: int | None
    held: int
    waiting: int
    arrival: int
    foreign: int = 0

    @property
    def free(self) -> int | None:
        """Return how many more may be granted now; None: any number."""
        return None if self.capacity is None else max(0, self.capacity - self.held)


@dataclass(frozen=True, slots=True)
class Intent:
    """One request to Apple, stored before it is sent."""

    intent_id: UUID
    pool_id: UUID
    kind: IntentKind
    attempt: int
    sent_at: datetime | None
    event_id: str | None
    ended_at: datetime | None
    failures: tuple[AppleFailure, ...] = ()


HOLDING = frozenset(
    {
        State.RESERVED,
        State.ASSOCIATING,
        State.ASSIGNED,
        State.RELEASING,
        State.WITHDRAWING,
        State.DISASSOCIATING,
    }
)
"""The states that hold one unit of their pool (promise 1)."""
STORED: Mapping[State, State] = {
    State.ASSOCIATING: State.RESERVED,
    State.WITHDRAWING: State.RELEASING,
    State.DISASSOCIATING: State.RELEASING,
}
"""How a state that follows from its intent is stored; every other one is stored as itself."""
