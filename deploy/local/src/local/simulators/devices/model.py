"""What one simulated device is: its hardware, its enrollment and its apps. Slotted, for there are many."""

import hashlib
import uuid
from dataclasses import dataclass, field
from enum import StrEnum

from local.simulators.devices.proof import Proof
from local.simulators.devices.script import Mischief, Script


class Kind(StrEnum):
    """A supervised iOS device or a Mac, each with its device channel."""

    IOS = "ios"
    MAC = "mac"


class Enrollment(StrEnum):
    """Where a device stands with its server."""

    NEW = "new"
    ENROLLED = "enrolled"
    REFUSED = "refused"  # the server did not take Authenticate or TokenUpdate
    CHECKED_OUT = "checked_out"  # the profile was removed by hand
    UNENROLLED = "unenrolled"  # the server sent it away: 401, or 403 com.apple.unrecognized.device
    WIPED = "wiped"


@dataclass(slots=True)
class App:
    """One app. `ends_as` is a transient status, reported once in ManagedApplicationList and then gone."""

    adam_id: int
    identifier: str
    ready_at: float  # seconds since 1970: Installing until then
    managed: bool
    management_flags: int = 0
    ends_as: str | None = None

    def status(self, now: float) -> str:
        """Apple's word for it in ManagedApplicationList."""
        if self.ends_as is not None:
            return self.ends_as
        return "Installing" if now < self.ready_at else "Managed"


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a kind of device says of itself."""

    product_name: str
    model_name: str
    model: str
    build_version: str


HARDWARE = {
    Kind.IOS: Hardware("iPad13,18", "iPad", "MQ6T3", "21G101"),
    Kind.MAC: Hardware("Mac14,2", "MacBook Air", "Mac14,2", "22G120"),
}


@dataclass(slots=True)
class Device:
    """`life` counts its enrollments and wipes, so that work begun in a former life knows that it is over."""

    serial: str
    kind: Kind
    os_version: str
    enrollment: Enrollment = Enrollment.NEW
    cause: str | None = None  # of the last step out of the happy path
    token: bytes | None = field(default=None, repr=False)
    magic: str | None = field(default=None, repr=False)
    proof: Proof | None = field(default=None, repr=False)
    online: bool = True
    apps: dict[str, App] = field(default_factory=dict)
    held_report: dict[str, object] | None = None  # not acknowledged by the server yet
    script: Script | None = None
    life: int = 0
    failures: int = 0  # connections in a row that the server or the network spoiled

    @property
    def udid(self) -> str:
        """Stable over wipes, as Apple's is."""
        if self.kind is Kind.MAC:
            return str(uuid.uuid5(uuid.NAMESPACE_OID, self.serial)).upper()
        return f"00008101-{hashlib.sha256(self.serial.encode()).hexdigest()[:16].upper()}"

    @property
    def hardware(self) -> Hardware:
        """What its kind says of itself."""
        return HARDWARE[self.kind]

    @property
    def awake(self) -> bool:
        """Whether it would answer a wake-up."""
        return self.online and self.enrollment is Enrollment.ENROLLED

    def misbehaves(self, mischief: Mischief) -> bool:
        """Whether its script wants this to go wrong now."""
        return self.script is not None and self.script.takes(mischief)

    def leave(self, enrollment: Enrollment, cause: str | None) -> None:
        """Stop being enrolled: apps that go with the profile go, the others stay, managed by nobody."""
        self.enrollment, self.cause = enrollment, cause
        self.token = self.magic = self.proof = self.held_report = None
        self.life += 1
        self.apps = {i: a for i, a in self.apps.items() if not (a.managed and a.management_flags & 1)}
        for app in self.apps.values():
            app.managed = False

    def wipe(self) -> None:
        """Forget everything, silently; serial number and UDID stay."""
        self.leave(Enrollment.WIPED, None)
        self.apps = {}
