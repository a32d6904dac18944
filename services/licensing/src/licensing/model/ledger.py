"""The words of the ledger: licences and their states, pools, intents, and what was asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from shared.events.words import Held, Refusal, RevokeReason

Holder = str | UUID
"""Whose licence it is: a device's, by its serial number, or a person's, by their user id."""


class State(StrEnum):
    """Where one life of a licence stands.

    `associating`, `withdrawing` and `disassociating` are `reserved` and `releasing` while a request to Apple
    is on its way or its outcome unknown: they follow from the intent and are never stored.
    """

    UNKNOWN = "unknown"
    WAITLISTED = "waitlisted"
    AWAITING_ACCEPTANCE = "awaiting_acceptance"
    RESERVED = "reserved"
    ASSOCIATING = "associating"
    ASSIGNED = "assigned"
    RELEASING = "releasing"
    WITHDRAWING = "withdrawing"
    DISASSOCIATING = "disassociating"
    RELEASED = "released"
    REFUSED = "refused"
    FAILED = "failed"
    LOST = "lost"
    SPENT = "spent"


class Happening(StrEnum):
    """What can happen to a licence."""

    REQUESTED = "requested"
    GRANTED = "granted"
    PROMISED = "promised"
    ACCEPTED = "accepted"
    INVITATION_ENDED = "invitation_ended"
    WAITED = "waited"
    DENIED = "denied"
    SHRUNK = "shrunk"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REVOKED_IRREVOCABLE = "revoked_irrevocable"
    SUCCEEDED = "succeeded"
    DONE = "done"
    NOT_DONE = "not_done"
    NONE_LEFT = "none_left"
    APPLE_REFUSED = "apple_refused"
    LOST = "lost"
    SPENT = "spent"
    RECLAIMED = "reclaimed"
    ADOPTED = "adopted"


class Failure(StrEnum):
    """Why a licence that was held, or waited for, came to nothing."""

    INVITATION_ENDED = "invitation_ended"
    EXPIRED = "expired"


Cause = Refusal | Failure


class Answer(StrEnum):
    """Which event tells a target's state."""

    NOTHING = "nothing"
    RESERVED = "reserved"
    AWAITING = "awaiting"
    WAITLISTED = "waitlisted"
    REFUSED = "refused"
    ASSIGNED = "assigned"
    RELEASED = "released"
    FAILED = "failed"
    LOST = "lost"


class IntentKind(StrEnum):
    """The two writes to Apple."""

    ASSOCIATE = "associate"
    DISASSOCIATE = "disassociate"


class Proof(StrEnum):
    """How the outcome of a request to Apple was proven: by its event's COMPLETE, by a list, by its being refused."""

    EVENT = "event"
    LIST = "list"
    REFUSAL = "refusal"


class Ask(NamedTuple):
    """What assignment asks for one target: a licence, or its release. A tuple: they come by the thousand."""

    entitlement_id: UUID
    version: int
    holder: Holder
    asset_id: UUID
    correlation_id: UUID
    causation_id: UUID
    priority: int = 0
    no_wait: bool = False
    library_id: str | None = None
    expires_at: datetime | None = None
    reason: RevokeReason | None = None


class License(NamedTuple):
    """One life of a licence: the row of one entitlement. `version` is the entitlement's, as told last."""

    entitlement_id: UUID
    pool_id: UUID | None
    asset_id: UUID
    holder: Holder
    version: int
    state: State
    correlation_id: UUID
    priority: int
    arrival: int
    no_wait: bool
    library_id: str | None
    expires_at: datetime | None
    release_at: datetime | None
    intent_id: UUID | None
    held: Held | None
    cause: Cause | None
    error_number: int | None
    causation_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """All licences of one asset in one library, locked. `capacity` is None where the asset is unlimited.

    `rank` is its place among the pools of its asset: the lowest is asked first. `grace` says for how many seconds a
    licence stays in quarantine that comes back for a reason; those not named come back at once.
    """

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
    rank: tuple[bool, int] = (False, 0)
    grace: Mapping[str, int] = field(default_factory=dict)

    @property
    def free(self) -> int | None:
        """Return how many more may be granted now; None: any number."""
        return None if self.capacity is None else max(0, self.capacity - self.held)


@dataclass(frozen=True, slots=True)
class Fault:
    """One of Apple's error numbers in the outcome of a request, and which members it names, if any."""

    number: int
    holders: frozenset[Holder] = frozenset()


@dataclass(frozen=True, slots=True)
class Intent:
    """One request to Apple, stored before it is sent: all its members are devices, or all are people."""

    intent_id: UUID
    pool_id: UUID
    kind: IntentKind
    of_people: bool
    attempt: int
    sent_at: datetime | None
    event_id: str | None
    ended_at: datetime | None
    faults: tuple[Fault, ...] = ()


HOLDING = frozenset(
    {
        State.AWAITING_ACCEPTANCE,
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
