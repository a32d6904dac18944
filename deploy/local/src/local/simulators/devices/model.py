"""What one simulated device is: its enrollment, its channels and its apps. Slotted, for there are many."""

import hashlib
import uuid
from dataclasses import dataclass, field
from enum import StrEnum

from local.simulators.devices.content import App, Book
from local.simulators.devices.declarative.held import Declarations
from local.simulators.devices.kinds import TRAITS, Hardware, Kind, Traits, Version, version
from local.simulators.devices.proof import Proof
from local.simulators.devices.script import Mischief, Script

SHARED_USER = "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"


class Enrollment(StrEnum):
    """Where a device stands with its server."""

    NEW = "new"
    ENROLLED = "enrolled"
    REFUSED = "refused"  # the server did not take Authenticate or TokenUpdate
    CHECKED_OUT = "checked_out"  # the profile was removed by hand
    UNENROLLED = "unenrolled"  # the server sent it away: 401, or 403 com.apple.unrecognized.device
    WIPED = "wiped"


@dataclass(slots=True, eq=False)
class Channel:
    """The device itself (`user` None) or one of its users: each has a token, a magic and a queue of its own."""

    device: "Device"
    user: str | None = None  # the short name; on a Shared iPad the Managed Apple Account
    account: str | None = None  # signed in to the App Store; on iOS the device's is everybody's
    token: bytes | None = field(default=None, repr=False)
    magic: str | None = field(default=None, repr=False)
    present: bool = True  # whether the user is logged in
    held_report: dict[str, object] | None = None  # not acknowledged by the server yet
    refused: bool = False  # its last word was NotNow
    failures: int = 0  # connections in a row that the server or the network spoiled
    invitations: tuple[str, ...] = ()  # links that InviteToProgram showed
    declarations: Declarations | None = None  # where declarative management was turned on

    @property
    def name(self) -> str:
        """How the box calls it: the serial number, and the user after a colon."""
        return self.device.serial if self.user is None else f"{self.device.serial}:{self.user}"

    @property
    def awake(self) -> bool:
        """Whether it would answer a wake-up."""
        device = self.device
        return self.present and device.online and device.enrollment is Enrollment.ENROLLED

    @property
    def identifiers(self) -> dict[str, str]:
        """The keys that say in each message who is talking (Apple: "Check-in", "MDM protocol")."""
        device = self.device
        if device.traits.personal:
            mine = {"EnrollmentID": device.enrollment_id}
            return mine if self.user is None else mine | {"EnrollmentUserID": self.user_id}
        mine = {"UDID": device.udid}
        if self.user is None:
            return mine
        return mine | {"UserID": self.user_id, "UserShortName": self.user, "UserLongName": self.user.title()}

    @property
    def user_id(self) -> str:
        """Stable for a user on a device; the same for all users of a Shared iPad."""
        if self.device.traits.shared:
            return SHARED_USER
        return _uuid(f"{self.device.serial}:{self.user}")

    def forget(self) -> None:
        """Know nothing of a server any more."""
        self.token = self.magic = self.held_report = self.declarations = None
        self.refused, self.failures, self.invitations = False, 0, ()


@dataclass(slots=True, eq=False)
class Device:
    """`life` counts its enrollments and wipes, so that work begun in a former life knows that it is over."""

    serial: str
    kind: Kind
    os_version: str
    enrollment: Enrollment = Enrollment.NEW
    cause: str | None = None  # of the last step out of the happy path
    proof: Proof | None = field(default=None, repr=False)
    bearer: str | None = field(default=None, repr=False)  # of an account-driven enrollment
    online: bool = True
    locked: bool = False
    awaits_configuration: bool = False  # in Setup Assistant, until DeviceConfigured
    owes_token_update: bool = False  # what its TokenUpdate said has changed
    apps: dict[str, App] = field(default_factory=dict)
    books: list[Book] = field(default_factory=list)
    script: Script | None = None
    life: int = 0
    draws: int = 0  # how often the dice were thrown for it
    channel: Channel = field(init=False)
    users: dict[str, Channel] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Give it its device channel."""
        self.channel = Channel(self)

    @property
    def traits(self) -> Traits:
        """What its kind is like."""
        return TRAITS[self.kind]

    @property
    def hardware(self) -> Hardware:
        """What its kind says of itself."""
        return self.traits.hardware

    @property
    def version(self) -> Version:
        """Its OS version, to be compared."""
        return version(self.os_version)

    @property
    def udid(self) -> str:
        """Stable over wipes, as Apple's is."""
        if self.traits.is_mac:
            return _uuid(self.serial)
        return f"00008101-{hashlib.sha256(self.serial.encode()).hexdigest()[:16].upper()}"

    @property
    def enrollment_id(self) -> str:
        """What a personal device is called: another one in each enrollment, so that nobody can be followed."""
        return _uuid(f"{self.serial}/{self.life}")

    @property
    def title(self) -> str:
        """Its name on its own screen; of a personal one it gives nothing away."""
        model = self.hardware.model_name
        return model if self.traits.personal else f"{model} {self.serial}"

    @property
    def token(self) -> bytes | None:
        """The push token of the device channel."""
        return self.channel.token

    @property
    def magic(self) -> str | None:
        """The push magic of the device channel."""
        return self.channel.magic

    @property
    def channels(self) -> list[Channel]:
        """The device's own, then its users'."""
        return [self.channel, *self.users.values()]

    def is_declared(self, identifier: str) -> bool:
        """Whether an app is under declarative management: commands have no say in it."""
        return any(
            channel.declarations is not None and channel.declarations.app(identifier) is not None
            for channel in self.channels
        )

    def misbehaves(self, mischief: Mischief) -> bool:
        """Whether its script wants this to go wrong now."""
        return self.script is not None and self.script.takes(mischief)

    def leave(self, enrollment: Enrollment, cause: str | None) -> None:
        """Stop being enrolled: apps that go with the profile go, the others stay, managed by nobody.

        Books of the organization's own always go with it, bought ones stay (Apple: `InstallMedia`).
        """
        self.enrollment, self.cause = enrollment, cause
        self.proof = self.bearer = None
        self.owes_token_update = False
        for channel in self.channels:
            channel.forget()
        self.life += 1
        self.apps = {i: a for i, a in self.apps.items() if not (a.managed and a.management_flags & 1)}
        for app in self.apps.values():
            app.managed = False
        self.books = [book for book in self.books if book.store_id is not None]

    def wipe(self) -> None:
        """Forget everything, silently; serial number and UDID stay."""
        self.leave(Enrollment.WIPED, None)
        self.apps, self.books, self.users = {}, [], {}
        self.channel.account, self.locked = None, False


def _uuid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name)).upper()
