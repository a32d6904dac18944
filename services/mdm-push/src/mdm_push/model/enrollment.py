"""Enrollments: the channels of a device, and who may speak for them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from shared.errors import ManagedDistributionError
from shared.events.words import EnrollmentKind, Platform


class EnrollmentState(StrEnum):
    """Authenticated: the profile is being installed. Enrolled: the first TokenUpdate came."""

    AUTHENTICATED = "authenticated"
    ENROLLED = "enrolled"
    UNENROLLED = "unenrolled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment:
    """One channel of one device. A user channel has the device channel as `parent_id`.

    `apple_id` is Apple's name for the channel, it never leaves this service: the UDID or EnrollmentID of a device
    channel, and that with `:` and the user's id for a user channel. `supervised` is False until the device said.
    """

    id: UUID
    apple_id: str
    generation: int
    version: int
    state: EnrollmentState
    kind: EnrollmentKind
    platform: Platform
    os_version: str
    supervised: bool
    serial_number: str | None = None
    product_name: str | None = None
    parent_id: UUID | None = None

    @property
    def os_major(self) -> int:
        """Return the first number of the OS version, 0 where it is not known."""
        first = self.os_version.partition(".")[0]
        return int(first) if first.isascii() and first.isdigit() else 0

    def named_by(self, certificate: "DeviceCertificate") -> bool:
        """Say whether a certificate names this device: by UDID or EnrollmentID, or by serial number."""
        own = {name.lower() for name in (self.apple_id, self.serial_number) if name}
        return not own.isdisjoint(certificate.names)

    @property
    def enrolled(self) -> bool:
        """Say whether commands reach this channel."""
        return self.state is EnrollmentState.ENROLLED


@dataclass(frozen=True, slots=True)
class DeviceCertificate:
    """The certificate a device proved to hold: SHA-256 over its DER form, its end, and whom it names.

    `names` are what the device CA wrote into subject and alternative names, in lower case.
    """

    hash: bytes
    not_after: datetime
    names: frozenset[str] = frozenset()


class DeviceRefused(ManagedDistributionError):
    """A device may not say this, or not with this certificate.

    It hears 400 and nothing changes; never a 401, on which it would remove its own enrollment.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CertificateNotBound(DeviceRefused):
    """The certificate is not bound to the present life of this enrollment: foreign, of a former life, or renewed."""
