"""The words of this service: frozen records and closed lists, with no behavior but what they say of themselves."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.events.words import AssetKind, AssignmentMode, EnrollmentKind, InstallMode, Platform, RevokeReason


class TargetType(StrEnum):
    """Who an assignment is for (R2)."""

    DEVICE = "device"
    DEVICE_GROUP = "device_group"
    USER = "user"
    USER_GROUP = "user_group"


PEOPLE = frozenset({TargetType.USER, TargetType.USER_GROUP})


class State(StrEnum):
    """Where an entitlement stands.

    The licence's failure (`failed`: nothing is held, the life has ended) and the device's are told apart, for they
    have nothing in common. After the device's the licence is held: `retrying` while the install is asked again at
    its time, `install_failed` once it was tried often enough.
    """

    REQUESTED = "requested"
    RESERVED = "reserved"
    AWAITING_ACCEPTANCE = "awaiting_acceptance"
    WAITLISTED = "waitlisted"
    LICENSED = "licensed"
    DELIVERING = "delivering"
    INSTALLED = "installed"
    RETRYING = "retrying"
    INSTALL_FAILED = "install_failed"
    AVAILABLE = "available"
    REFUSED = "refused"
    FAILED = "failed"
    LOST = "lost"
    REVOKING = "revoking"
    REVOKED = "revoked"


LIVING = frozenset(
    {
        State.REQUESTED,
        State.RESERVED,
        State.AWAITING_ACCEPTANCE,
        State.WAITLISTED,
        State.LICENSED,
        State.DELIVERING,
        State.INSTALLED,
        State.RETRYING,
        State.INSTALL_FAILED,
        State.AVAILABLE,
    }
)
"""A wish that finds none of these opens a new life; at most one per asset and target stands in one of them."""

AWAITING_LICENSE = frozenset({State.REQUESTED, State.RESERVED, State.AWAITING_ACCEPTANCE, State.WAITLISTED})
"""The licence was asked for and its terminal answer is open."""

SETTLED = frozenset(
    {
        State.WAITLISTED,
        State.INSTALLED,
        State.INSTALL_FAILED,
        State.AVAILABLE,
        State.REFUSED,
        State.FAILED,
        State.LOST,
        State.REVOKED,
    }
)
"""Nothing is under way: an assignment is complete for now when all its entitlements stand in one of these."""


IN_TROUBLE = frozenset(
    {State.WAITLISTED, State.RETRYING, State.INSTALL_FAILED, State.REFUSED, State.FAILED, State.LOST}
)
"""Somebody may have to look at it; no life on its way passes through one of these."""


class DeliveryState(StrEnum):
    """Where a delivery stands: one entitlement on one enrollment."""

    ASKED = "asked"
    INSTALLED = "installed"
    FAILED = "failed"
    REMOVING = "removing"
    REMOVED = "removed"
    KEPT = "kept"  # the removal failed: the device keeps it
    SUPERSEDED = "superseded"  # a later delivery of the same asset took its place


@dataclass(frozen=True, slots=True)
class User:
    """A person of the organisation; `version` rises with every change and is told with each."""

    id: UUID
    version: int
    name: str
    mail_address: str | None
    locale: str | None
    managed_apple_id: str | None
    enrollment_ids: tuple[UUID, ...]
    state: str


@dataclass(frozen=True, slots=True)
class Wish:
    """How an asset is wanted: what an assignment says, or what all covers of an entitlement say together."""

    assignment_mode: AssignmentMode = AssignmentMode.DEVICE
    install_mode: InstallMode = InstallMode.AUTOMATIC
    priority: int = 0
    expires_at: datetime | None = None
    no_wait: bool = False
    library_id: str | None = None


@dataclass(frozen=True, slots=True)
class Asset:
    """An app or book of the organisation, as far as decisions need it."""

    id: UUID
    kind: AssetKind
    adam_id: str | None
    device_assignable: bool
    platforms: frozenset[Platform]
    library_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Device:
    """A device channel as mdm-push told it last; its id is the enrollment id."""

    id: UUID
    serial_number: str | None
    platform: Platform
    os_version: str
    kind: EnrollmentKind
    enrolled: bool
    generation: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """What an administrator asked: one asset for one target. Its request's id is the correlation id."""

    id: UUID
    request_id: UUID
    asset_id: UUID
    target_type: TargetType
    target_id: UUID
    wish: Wish


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The right of one device to one asset for one life, as locked for a decision.

    `version` counts what licensing was told of it; `losses` the lives before it that were lost in a row;
    `error_number` is Apple's, where the cause is Apple's no; `ask_deadline_at` is when the open ask is repeated
    (promise 4).
    """

    id: UUID
    asset_id: UUID
    device_id: UUID
    serial_number: str
    request_id: UUID
    state: State
    wish: Wish
    version: int = 1
    losses: int = 0
    reason: RevokeReason | None = None
    cause: str | None = None
    error_number: int | None = None
    position: int | None = None
    position_at: datetime | None = None
    ask_deadline_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cover:
    """An assignment's claim on a device; `entitlement_id` is the latest life of the asset there.

    A cover that has ended stays while its assignment follows the revoke.
    """

    assignment_id: UUID
    asset_id: UUID
    device_id: UUID
    entitlement_id: UUID
    wish: Wish
    ended: bool


@dataclass(frozen=True, slots=True)
class Delivery:
    """One entitlement on one enrollment, as locked for a decision; `attempt` counts the asks for one life."""

    id: UUID
    entitlement_id: UUID
    asset_id: UUID
    enrollment_id: UUID
    request_id: UUID
    state: DeliveryState = DeliveryState.ASKED
    attempt: int = 1
    cause: str | None = None
    ask_deadline_at: datetime | None = None
