"""What assignment tells: wishes towards licensing and mdm-push, and its people."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from shared.events.event import AdamId, Event, EventAboutMany, Principal, Target, Told
from shared.events.words import AssetKind, AssignmentMode, Channel, InstallMode, RevokeReason
from shared.topics import ASSIGNMENT_EVENTS, ASSIGNMENT_PEOPLE, Topic


class AssignmentRequested(EventAboutMany[Principal]):
    """These targets are to have this asset. Told again for the same entitlement when its covers change it."""

    topic: ClassVar[Topic] = ASSIGNMENT_EVENTS

    asset_id: UUID
    kind: AssetKind
    assignment_mode: AssignmentMode
    install_mode: InstallMode
    priority: int = 0
    expires_at: datetime | None = None
    no_wait: bool = False
    library_id: str | None = None

    def key(self) -> str:
        """Return the asset id."""
        return str(self.asset_id)


class AssignmentRevoked(EventAboutMany[Principal]):
    """These targets are to lose this asset."""

    topic: ClassVar[Topic] = ASSIGNMENT_EVENTS

    asset_id: UUID
    kind: AssetKind
    reason: RevokeReason

    def key(self) -> str:
        """Return the asset id."""
        return str(self.asset_id)


class DeliveryTarget(Target):
    """One delivery on one enrollment, with the channel chosen for it."""

    delivery_id: UUID
    enrollment_id: UUID
    channel: Channel = Channel.DEVICE


class InstallRequested(EventAboutMany[DeliveryTarget]):
    """Install this asset on these enrollments; licensed already where it needs a licence."""

    topic: ClassVar[Topic] = ASSIGNMENT_EVENTS

    asset_id: UUID
    kind: AssetKind
    assignment_mode: AssignmentMode
    adam_id: AdamId | None = None
    package_id: UUID | None = None

    def key(self) -> str:
        """Return the asset id."""
        return str(self.asset_id)


class RemovalRequested(EventAboutMany[DeliveryTarget]):
    """Withdraw what was not handed out yet of these deliveries, and remove what was."""

    topic: ClassVar[Topic] = ASSIGNMENT_EVENTS

    asset_id: UUID
    kind: AssetKind
    adam_id: AdamId | None = None
    package_id: UUID | None = None

    def key(self) -> str:
        """Return the asset id."""
        return str(self.asset_id)


class Totals(Told):
    """How many entitlements of an assignment stand where; the keys are entitlement states."""

    targets: int
    states: dict[str, int]


class AssignmentCompleted(Event):
    """Nothing of this assignment is under way any more; a group assignment lives on into the next round."""

    topic: ClassVar[Topic] = ASSIGNMENT_EVENTS

    assignment_id: UUID
    request_id: UUID
    asset_id: UUID
    round: int
    totals: Totals

    def key(self) -> str:
        """Return the asset id."""
        return str(self.asset_id)

    def subject(self) -> str:
        """Return the assignment id."""
        return str(self.assignment_id)


class UserInvitationRequested(Event):
    """These people are to be invited, whether or not an asset waits for them."""

    topic: ClassVar[Topic] = ASSIGNMENT_EVENTS

    request_id: UUID
    user_ids: tuple[UUID, ...]
    library_id: str | None = None

    def key(self) -> str:
        """Return the request id."""
        return str(self.request_id)


class UserChanged(Event):
    """A person as the organisation knows them now; `ce_sequence` is their version.

    `state` is one of words.PersonState.
    """

    topic: ClassVar[Topic] = ASSIGNMENT_PEOPLE

    user_id: UUID
    state: str
    name: str | None = None
    mail_address: str | None = None
    locale: str | None = None
    managed_apple_id: str | None = None
    enrollment_ids: tuple[UUID, ...] = ()

    def key(self) -> str:
        """Return the user id."""
        return str(self.user_id)


class UserDeleted(Event):
    """A person is gone; the record has no value, so that compaction forgets them."""

    topic: ClassVar[Topic] = ASSIGNMENT_PEOPLE
    tombstone: ClassVar[bool] = True

    user_id: UUID

    def key(self) -> str:
        """Return the user id."""
        return str(self.user_id)

    @classmethod
    def from_key(cls, key: str) -> "UserDeleted":
        """Read the user id back from the record's key."""
        return cls(user_id=UUID(key))


EVENTS: tuple[type[Event], ...] = (
    AssignmentRequested,
    AssignmentRevoked,
    InstallRequested,
    RemovalRequested,
    AssignmentCompleted,
    UserInvitationRequested,
    UserChanged,
    UserDeleted,
)
