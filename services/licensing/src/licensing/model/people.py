"""The words about people: our copy of them, and their Apple users in each library."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from licensing.model.apple import AppleFailure

NEVER_HEARD = -1
"""The version of a person whom nobody has told of yet; told versions begin at 0."""


class Presence(StrEnum):
    """Whether a person is with the organisation, as far as we have heard."""

    UNHEARD = "unheard"
    ACTIVE = "active"
    LEFT = "left"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Person:
    """Our copy of a person. Their addresses are sealed; `wanted_version` is the highest that an asker knew."""

    user_id: UUID
    version: int = NEVER_HEARD
    wanted_version: int = 0
    state: Presence = Presence.UNHEARD
    mail_address: bytes | None = field(default=None, repr=False)
    managed_apple_id: bytes | None = field(default=None, repr=False)
    managed_digest: bytes | None = field(default=None, repr=False)

    @property
    def known(self) -> bool:
        """Say whether the copy is as new as every asker's was (scenario 27)."""
        return self.version >= self.wanted_version

    @property
    def invitable(self) -> bool:
        """Say whether Apple may be told of them."""
        return self.known and self.state is Presence.ACTIVE


class UserState(StrEnum):
    """Apple's word on an Apple user, as it was read last; `new` until there is one, `failed` where none can be."""

    NEW = "new"
    REGISTERED = "registered"
    ASSOCIATED = "associated"
    FAILED = "failed"
    RETIRED = "retired"


class UserWrite(StrEnum):
    """The writes to Apple about users."""

    CREATE = "create"
    UPDATE = "update"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True)
class AppleUser:
    """A person in one library. Their person's row is its lock.

    `wants` is what Apple is yet to do, `write_id` the unsettled request that it is part of; with a `part_id` it
    shares requests with that part only. `again`: once retired, it is made anew; once made or brought up to date,
    it is brought up to date, for what Apple was told has changed meanwhile.
    """

    library_id: str
    user_id: UUID
    client_user_id: str
    correlation_id: UUID
    state: UserState = UserState.NEW
    version: int = 0
    wants: UserWrite | None = None
    again: bool = False
    part_id: UUID | None = None
    write_id: UUID | None = None
    attempt: int = 0
    without_mail: bool = False
    without_managed: bool = False
    invite_due: bool = False
    invited_hash: bytes | None = None
    invited_at: datetime | None = None
    ask_at: datetime | None = None
    cause: str | None = None
    error_number: int | None = None

    @property
    def active(self) -> bool:
        """Say whether Apple has a record of theirs that counts."""
        return self.state in {UserState.REGISTERED, UserState.ASSOCIATED}


@dataclass(frozen=True, slots=True)
class Sight:
    """What Apple shows of a client user id: its active record, or `retired` where there was one.

    `state` is None where Apple never showed one; `invite_hash` is of the code of a registered one.
    """

    state: UserState | None = None
    invite_hash: bytes | None = None

    @property
    def codeless(self) -> bool:
        """Say whether it was shown before we knew whose it is: its code was not kept then."""
        return self.state is UserState.REGISTERED and self.invite_hash is None


@dataclass(frozen=True, slots=True)
class Written:
    """A request that a person was part of has ended; `number` is why Apple did not do it for them, if it said so."""

    kind: UserWrite
    number: int | None = None


@dataclass(frozen=True, slots=True)
class UserRequest:
    """One request to Apple about users, stored before it was sent."""

    write_id: UUID
    library_id: str
    kind: UserWrite
    sent_at: datetime
    event_id: str | None
    ended_at: datetime | None
    failures: tuple[AppleFailure, ...] = ()
