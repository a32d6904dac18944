"""What licensing tells: the state of each licence, the assets, Apple's users and the content tokens."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from shared.events.event import (
    AdamId,
    Event,
    EventAboutMany,
    Principal,
    SerialNumber,
    Slug,
    T,
    Target,
    Told,
)
from shared.events.words import AssetKind, Awaits, Held, Platform, Refusal
from shared.topics import LICENSING_EVENTS, LICENSING_INVITATIONS, Topic

Count = Annotated[int, Field(ge=0)]


class _AboutAsset(EventAboutMany[T]):
    topic: ClassVar[Topic] = LICENSING_EVENTS

    asset_id: UUID

    def key(self) -> str:
        """Return the asset id."""
        return str(self.asset_id)


class ReservedTarget(Principal):
    """A licence is held for this target; `awaits` says for whose word."""

    awaits: Awaits = Awaits.APPLE


class LicenseReserved(_AboutAsset[ReservedTarget]):
    """One unit of the pool is held for each of these targets."""

    library_id: str


class WaitingTarget(Principal):
    """A place in the waitlist, counted from 1, as of the event's `as_of`."""

    position: Annotated[int, Field(ge=1)]


class LicenseWaitlisted(_AboutAsset[WaitingTarget]):
    """No unit is left for these targets; they wait."""

    as_of: datetime


class RefusedTarget(Target):
    """A target that gets no licence; `error_number` is Apple's, where Apple refused.

    Whose licence it would have been is missing where just that could not be read (`unreadable_target`).
    """

    serial_number: SerialNumber | None = None
    user_id: UUID | None = None
    refusal: Refusal
    error_number: int | None = None


class LicenseRefused(_AboutAsset[RefusedTarget]):
    """These targets get no licence, and why. Nothing is held for them."""


class LicenseAssigned(_AboutAsset[Principal]):
    """Apple confirmed the licence of each of these targets."""

    library_id: str


class ReleasedTarget(Principal):
    """A licence that is no longer this target's.

    `asked` false: Apple or another hand took it. `held`: what the release found (`none`: nothing;
    `passed_on`: the licence was kept for a new life of the same target).
    """

    asked: bool = True
    held: Held = Held.LICENSE


class LicenseReleased(_AboutAsset[ReleasedTarget]):
    """The licences of these targets came back, or there was nothing to come back."""


class FailedTarget(Principal):
    """A target whose licence could not be got; `cause` is a slug, `error_number` Apple's."""

    cause: Slug
    error_number: int | None = None


class LicenseFailed(_AboutAsset[FailedTarget]):
    """Final: no licence, nothing held."""


class PoolCounts(Told):
    """The counts of one pool. `total` to `over_allocated` are null where the asset is unlimited."""

    library_id: str
    total: Count | None
    capacity: Count | None
    available: Count | None
    held: Count
    foreign: Count
    waiting: Count
    over_allocated: Count


class AssetChanged(Event):
    """A VPP asset as licensing knows it now; `ce_sequence` is its version."""

    topic: ClassVar[Topic] = LICENSING_EVENTS

    asset_id: UUID
    kind: AssetKind
    adam_id: AdamId
    pricing_param: str
    device_assignable: bool
    revocable: bool
    platforms: tuple[Platform, ...]
    unlimited: bool
    pools: tuple[PoolCounts, ...]

    def key(self) -> str:
        """Return the asset id."""
        return str(self.asset_id)


class _AboutAppleUser(Event):
    topic: ClassVar[Topic] = LICENSING_EVENTS

    user_id: UUID
    library_id: str

    def key(self) -> str:
        """Return the user id."""
        return str(self.user_id)


class AppleUserAssociated(_AboutAppleUser):
    """A person's Apple user is tied to an Apple Account; `ce_sequence` is the Apple user's version."""


class AppleUserRetired(_AboutAppleUser):
    """A person's Apple user has ended."""


class _AboutContentToken(Event):
    topic: ClassVar[Topic] = LICENSING_EVENTS

    library_id: str

    def key(self) -> str:
        """Return the library id."""
        return self.library_id


class ContentTokenExpiring(_AboutContentToken):
    """A library's content token ends soon."""

    expires_at: datetime
    days_left: int


class ContentTokenSuspended(_AboutContentToken):
    """Nothing is written to Apple for this library until somebody acts; `cause` is a slug."""

    cause: Slug
    error_number: int | None = None


class ContentTokenResumed(_AboutContentToken):
    """Work for this library goes on."""


class InvitationRequested(Event):
    """This person is to be invited; the link is sealed to this event, it binds whoever opens it first.

    `ce_sequence` is the Apple user's version, `person_version` the person's that licensing knew.
    """

    topic: ClassVar[Topic] = LICENSING_INVITATIONS

    user_id: UUID
    library_id: str
    sealed_link: str
    person_version: int | None = None
    asset_ids: tuple[UUID, ...] = ()
    by_device: bool = False

    def key(self) -> str:
        """Return the user id."""
        return str(self.user_id)


EVENTS: tuple[type[Event], ...] = (
    LicenseReserved,
    LicenseWaitlisted,
    LicenseRefused,
    LicenseAssigned,
    LicenseReleased,
    LicenseFailed,
    AssetChanged,
    AppleUserAssociated,
    AppleUserRetired,
    ContentTokenExpiring,
    ContentTokenSuspended,
    ContentTokenResumed,
    InvitationRequested,
)
