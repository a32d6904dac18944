"""What devices say, check-in messages and command reports, read from their property lists. Pure.

Apple: "Check-in", "MDM protocol". Bodies are XML or binary property lists; entity tricks are refused by plistlib.
"""

import plistlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from shared.errors import ManagedDistributionError

SHARED_IPAD_USER = "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"


class Malformed(ManagedDistributionError):
    """The body is no property list, or not one that this protocol knows. The device hears 400 and keeps all."""


def _no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a NUL")
    return text


Text = Annotated[str, StringConstraints(max_length=512), AfterValidator(_no_nul)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=512), AfterValidator(_no_nul)]
Serial = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")]
Opaque = Annotated[bytes, Field(min_length=1, max_length=4096)]
Escrowed = Annotated[bytes, Field(max_length=65_536)]
"""What a device leaves with us for later: it grows from release to release, and must never keep it from enrolling."""


def _or_nothing(said: object, read_on: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read_on(said)
    except ValidationError:
        return None


Lenient = WrapValidator(_or_nothing)
"""What cannot be read counts as not said: a device that is refused for it would come again for ever."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Speaker(_Message):
    """Who is talking. A UDID wins over an EnrollmentID (some clients send both)."""

    UDID: Text = ""
    EnrollmentID: Text = ""
    UserID: Text = ""
    UserShortName: Text = ""
    EnrollmentUserID: Text = ""

    @property
    def device(self) -> str:
        """Return the device channel's id in Apple's words. Raises Malformed where there is none.

        Nor may it hold a colon: a device that called itself `X:Y` would be taken for a user channel of X.
        """
        device = self.UDID or self.EnrollmentID
        if not device:
            raise Malformed("neither UDID nor EnrollmentID")
        if ":" in device:
            raise Malformed("a colon in the device's id")
        return device

    @property
    def user(self) -> str | None:
        """Return the user channel's own part, None on the device channel."""
        if not self.UDID:
            return self.EnrollmentUserID or None
        if self.UserID == SHARED_IPAD_USER:
            return self.UserShortName or None
        return self.UserID or None

    @property
    def channel(self) -> str:
        """Return the canonical id of the channel: `X`, or `X:Y` for a user channel."""
        return f"{self.device}:{self.user}" if self.user else self.device


class Authenticate(_Message):
    """The profile is being installed; anything but the topic may be missing."""

    Topic: Name
    OSVersion: Text = ""
    ProductName: Text = ""
    Model: Text = ""
    ModelName: Text = ""
    SerialNumber: Annotated[Serial | None, Lenient] = None


class TokenUpdate(_Message):
    """How this channel is woken. An absent UnlockToken leaves the stored one valid."""

    Topic: Name
    Token: Opaque
    PushMagic: Name
    UnlockToken: Escrowed | None = None
    AwaitingConfiguration: bool = False


class SetBootstrapToken(_Message):
    """An absent or empty token deletes the stored one."""

    BootstrapToken: Escrowed = b""


class Status(StrEnum):
    """The first word of every report."""

    IDLE = "Idle"
    ACKNOWLEDGED = "Acknowledged"
    ERROR = "Error"
    FORMAT_ERROR = "CommandFormatError"
    NOT_NOW = "NotNow"


class DeviceError(_Message):
    """One link of an ErrorChain, without its texts: they may name people and things."""

    ErrorDomain: Text = ""
    ErrorCode: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0


class ManagedApplication(_Message):
    """One entry of a ManagedApplicationList."""

    Status: Annotated[Text | None, Lenient] = "Unknown"


class InstalledApplication(_Message):
    """One entry of an InstalledApplicationList; a Mac may leave out the bundle id."""

    Identifier: Annotated[Name | None, Lenient] = None
    Installing: Annotated[bool | None, Lenient] = None


class DeviceFacts(_Message):
    """Answers to our DeviceInformation queries; a device leaves out what it may not tell."""

    OSVersion: Annotated[Text | None, Lenient] = None
    ProductName: Annotated[Text | None, Lenient] = None
    Model: Annotated[Text | None, Lenient] = None
    SerialNumber: Annotated[Serial | None, Lenient] = None
    IsSupervised: Annotated[bool | None, Lenient] = None
    IsMultiUser: Annotated[bool | None, Lenient] = None


class Report(_Message):
    """A report on the connect door, with the result keys of the commands that we send."""

    Status: Status
    CommandUUID: Annotated[Text | None, Lenient] = None
    Identifier: Annotated[Name | None, Lenient] = None
    State: Annotated[Text | None, Lenient] = None
    RejectionReason: Annotated[Text | None, Lenient] = None
    ErrorChain: Annotated[tuple[DeviceError, ...] | None, Lenient] = None
    ManagedApplicationList: Annotated[dict[Name, ManagedApplication] | None, Lenient] = None
    InstalledApplicationList: Annotated[tuple[InstalledApplication, ...] | None, Lenient] = None
    QueryResponses: Annotated[DeviceFacts | None, Lenient] = None

    @property
    def errors(self) -> tuple[DeviceError, ...]:
        """Return the ErrorChain, empty where there is none."""
        return self.ErrorChain or ()

    @property
    def command_id(self) -> UUID | None:
        """Return the command's id, None for Idle and for a UUID that cannot be ours."""
        try:
            return UUID(self.CommandUUID) if self.CommandUUID else None
        except ValueError:
            return None


M = TypeVar("M", bound=BaseModel)


def read_plist(body: bytes) -> Mapping[str, Any]:
    """Return the dictionary at the root of a property list, XML or binary. Raises Malformed."""
    try:
        content = plistlib.loads(body)
    except Exception as error:  # noqa: BLE001 - plistlib lets nearly anything fly on a body that is none
        raise Malformed(f"no property list: {type(error).__name__}") from None
    if not isinstance(content, dict):
        raise Malformed("the root is no dictionary")
    return content


def read(kind: type[M], content: Mapping[str, Any]) -> M:
    """Read one kind of message. Raises Malformed, naming the key and never its value."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        complaint = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in complaint["loc"])
        raise Malformed(f"{kind.__name__}: {place}: {complaint['type']}") from None
