"""The words of this service: people and Apple users as told, invitations, their steps, and a mail's outcome."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

NEVER_HEARD = -1
"""The version of a person whom nobody has told of yet; told versions begin at 0."""


class State(StrEnum):
    """How far an invitation has come. The first three are open, the others final."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    BOUNCED = "bounced"
    ACCEPTED = "accepted"
    CANCELLED = "cancelled"


OPEN = (State.WAITING, State.SENDING, State.SENT)


class Cause(StrEnum):
    """Why an invitation stands where it stands; a slug, safe for events and logs."""

    PERSON_NOT_HEARD_OF = "person_not_heard_of"
    NO_USABLE_ADDRESS = "no_usable_address"
    ADDRESS_REFUSED = "address_refused"
    LETTER_REFUSED = "letter_refused"
    PERSON_DELETED = "person_deleted"
    PERSON_LEFT = "person_left"
    MANAGED_APPLE_ID = "managed_apple_id"
    APPLE_USER_ASSOCIATED = "apple_user_associated"
    APPLE_USER_RETIRED = "apple_user_retired"


class StepKind(StrEnum):
    """What happened to an invitation, for whoever asks why."""

    REQUESTED = "requested"
    LINK_RENEWED = "link_renewed"
    MOVED = "moved"
    LETTER_TAKEN = "letter_taken"


@dataclass(frozen=True, slots=True)
class Person:
    """Our own copy of a person. `mail_address` is None where there is none that a letter can be sent to."""

    user_id: UUID
    version: int = NEVER_HEARD
    deleted: bool = False
    left: bool = False
    managed: bool = False
    name: str | None = None
    mail_address: str | None = None
    locale: str | None = None


@dataclass(frozen=True, slots=True)
class AppleUserKey:
    """Our user as one library's Apple user."""

    user_id: UUID
    library_id: str


@dataclass(frozen=True, slots=True)
class AppleUser:
    """The last word heard on an Apple user: associated, or else retired."""

    key: AppleUserKey
    version: int
    associated: bool


@dataclass(frozen=True, slots=True)
class Invitation:
    """One person asked to join one library.

    `version` is the Apple user's that the link belongs to. `person_version` is the person's that the state
    rests on, or, while waiting, the one that is waited for. `sealed_link` is gone once the state is final.
    """

    id: UUID
    apple_user: AppleUserKey
    version: int
    person_version: int
    sealed_link: bytes | None
    asset_ids: tuple[UUID, ...]
    correlation_id: UUID
    created_at: datetime
    changed_at: datetime
    state: State = State.WAITING
    cause: Cause | None = None
    status_code: int | None = None
    sent_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Say whether the person may still accept by this invitation."""
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to an invitation, and where it stood afterwards."""

    invitation_id: UUID
    at: datetime
    kind: StepKind
    state: State
    cause: Cause | None = None
    status_code: int | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """The mail relay took the letter: it is the relay's to deliver now."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The mail relay will never take this letter for this address."""

    cause: Cause
    status_code: int


Outcome = Taken | Refused
