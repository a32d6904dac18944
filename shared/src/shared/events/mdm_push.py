"""What mdm-push tells: which devices there are, and what became of each command."""

from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from shared.events.event import MAX_TARGETS_PER_EVENT, Event, SerialNumber, Slug
from shared.events.words import AssetKind, EnrollmentKind, NothingRemoved, Platform, UnenrollReason
from shared.topics import MDM_PUSH_EVENTS, Topic


class _AboutEnrollment(Event):
    topic: ClassVar[Topic] = MDM_PUSH_EVENTS

    enrollment_id: UUID

    def key(self) -> str:
        """Return the enrollment id."""
        return str(self.enrollment_id)


class _Device(_AboutEnrollment):
    generation: Annotated[int, Field(ge=1)]
    serial_number: SerialNumber | None
    platform: Platform
    os_version: str
    kind: EnrollmentKind
    supervised: bool
    product_name: str | None = None


class DeviceEnrolled(_Device):
    """A device came under management; `generation` counts its enrollments, `ce_sequence` its versions."""


class DeviceUpdated(_Device):
    """Something about an enrolled device changed."""


class DeviceUnenrolled(_AboutEnrollment):
    """A generation of an enrollment ended: its profile was removed, or the device was wiped."""

    generation: Annotated[int, Field(ge=1)]
    serial_number: SerialNumber | None
    reason: UnenrollReason


class DevicePushed(Event):
    """APNs took the wake-ups of these enrollments; a set, with no order promised."""

    topic: ClassVar[Topic] = MDM_PUSH_EVENTS

    enrollment_ids: Annotated[tuple[UUID, ...], Field(min_length=1, max_length=MAX_TARGETS_PER_EVENT)]
    pushed_at: datetime

    def key(self) -> str:
        """Return the first enrollment's id."""
        return str(self.enrollment_ids[0])


class _AboutDelivery(_AboutEnrollment):
    delivery_id: UUID
    entitlement_id: UUID
    asset_id: UUID
    kind: AssetKind

    def entitlement_ids(self) -> tuple[UUID, ...]:
        """Return the one entitlement delivered."""
        return (self.entitlement_id,)


class InstallCompleted(_AboutDelivery):
    """The device has it: verified, not only acknowledged."""


class InstallFailed(_AboutDelivery):
    """The device does not have it and this delivery is over; `cause` is a slug."""

    cause: Slug
    error_domain: str | None = None
    error_code: int | None = None


class RemovalCompleted(_AboutDelivery):
    """The device no longer has it; `was` says why there was nothing to remove."""

    was: NothingRemoved | None = None


class RemovalFailed(_AboutDelivery):
    """The device keeps it; `cause` is a slug."""

    cause: Slug
    error_domain: str | None = None
    error_code: int | None = None


class InvitationDelivered(_AboutEnrollment):
    """The device showed the invitation; it does not say whether the person accepted."""

    invitation_id: UUID


class PackageStored(Event):
    """An in-house app or book was stored and can be delivered."""

    topic: ClassVar[Topic] = MDM_PUSH_EVENTS

    package_id: UUID
    kind: AssetKind
    platforms: tuple[Platform, ...]
    size_bytes: int

    def key(self) -> str:
        """Return the package id."""
        return str(self.package_id)


class PushCertificateExpiring(Event):
    """The push certificate of this topic ends soon."""

    topic: ClassVar[Topic] = MDM_PUSH_EVENTS

    push_topic: str
    expires_at: datetime
    days_left: int

    def key(self) -> str:
        """Return the push topic."""
        return self.push_topic


EVENTS: tuple[type[Event], ...] = (
    DeviceEnrolled,
    DeviceUpdated,
    DeviceUnenrolled,
    DevicePushed,
    InstallCompleted,
    InstallFailed,
    RemovalCompleted,
    RemovalFailed,
    InvitationDelivered,
    PackageStored,
    PushCertificateExpiring,
)
