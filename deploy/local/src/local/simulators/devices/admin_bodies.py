"""The bodies that cross the fleet's admin door, and how devices look there."""

from typing import Annotated, Any

from pydantic import Field, NonNegativeInt

from local.simulators.admin import LONGEST_SECONDS, Body
from local.simulators.devices.kinds import Kind
from local.simulators.devices.model import Channel, Device
from local.simulators.devices.script import Mischief
from local.simulators.devices.settings import KeyType


class CreateBody(Body):
    """How many devices of which kind; serial numbers begin with the prefix."""

    count: int = Field(ge=1, le=100_000)
    kind: Kind = Kind.IOS
    serial_prefix: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,6}$")] = "BOX"
    os_version: Annotated[str, Field(pattern=r"^\d+(\.\d+){0,2}$")] | None = None
    awaits_configuration: bool = False  # held in Setup Assistant until DeviceConfigured


class Selection(Body):
    """Which devices: those named, else all whose serial number begins with `prefix`."""

    serials: list[str] | None = None
    prefix: str = ""


class EnrollBody(Selection):
    """Which devices enroll; `key_type` is that of their identities' keys, where it is not the fleet's."""

    key_type: KeyType | None = None


class GetTokenBody(Selection):
    """A service that devices ask their server's token of, `user` on whose channel; none: on the device's."""

    service: Annotated[str, Field(min_length=1)] = "com.apple.maid"
    parameters: dict[str, str] = Field(default_factory=dict)
    user: str | None = None


class PickAppBody(Selection):
    """An optional declared app that users pick, by its bundle identifier."""

    identifier: str


class ScriptBody(Selection):
    """A script for the devices selected; an empty one means: behave again."""

    times: dict[Mischief, NonNegativeInt] = Field(default_factory=dict)
    not_now: dict[str, NonNegativeInt] = Field(default_factory=dict)


class LoginBody(Selection):
    """A user who logs in, a Managed Apple Account on a Shared iPad; `account` is theirs at the App Store."""

    user: Annotated[str, Field(min_length=1)]
    account: str | None = None
    of_directory: bool = False


class LogoutBody(Selection):
    """A user who logs out; none named: all of them."""

    user: str | None = None


class SignInBody(Selection):
    """The Apple Account that devices are signed in to the App Store with; null signs out."""

    account: str | None


class AuthorizeBody(Selection):
    """The bearer token that account-driven enrollments show from now on."""

    bearer: Annotated[str, Field(min_length=1)]


class GetAppBody(Selection):
    """An app that users get by themselves."""

    adam_id: int = Field(ge=1, lt=2**63)


class DeleteAppBody(Selection):
    """An app that users delete."""

    identifier: str


class ClockBody(Body):
    """How far to put the clock forward."""

    advance_seconds: float = Field(ge=0, le=LONGEST_SECONDS)


def describe(device: Device, *, now: float) -> dict[str, Any]:
    """Show a device to whoever asserts on it; no token, magic or bearer."""
    traits = device.traits
    return {
        "serial": device.serial,
        "udid": None if traits.personal else device.udid,
        "enrollment_id": device.enrollment_id if traits.personal else None,
        "kind": device.kind,
        "os_version": device.os_version,
        "supervised": traits.supervised,
        "enrollment": device.enrollment,
        "cause": device.cause,
        "online": device.online,
        "locked": device.locked,
        "awaits_configuration": device.awaits_configuration,
        "account": device.channel.account,
        "invitations": list(device.channel.invitations),
        "declarative": _declarative(device.channel, now=now),
        "users": [_user(channel, now=now) for channel in device.users.values()],
        "apps": [
            {
                "adam_id": app.adam_id,
                "identifier": app.identifier,
                "managed": app.managed,
                "status": app.status(now),
                "user": app.user,
                "attributes": app.attributes,
            }
            for app in device.apps.values()
        ],
        "books": [
            {"adam_id": book.store_id, "persistent_id": book.persistent_id, "status": book.status(now)}
            for book in device.books
        ],
    }


def _user(channel: Channel, *, now: float) -> dict[str, Any]:
    return {
        "user": channel.user,
        "user_id": channel.user_id,
        "account": channel.account,
        "present": channel.present,
        "reachable": channel.token is not None,
        "invitations": list(channel.invitations),
        "declarative": _declarative(channel, now=now),
    }


def _declarative(channel: Channel, *, now: float) -> dict[str, Any] | None:
    """Show declarative management of a channel; None where nobody turned it on."""
    declarations = channel.declarations
    if declarations is None:
        return None
    return {
        "declarations_token": declarations.token,
        "due": declarations.due,
        "subscriptions": sorted(declarations.subscriptions),
        "declarations": [
            {
                "kind": each.kind,
                "type": each.type,
                "identifier": each.identifier,
                "server_token": each.server_token,
                "active": each.active,
                "valid": each.valid,
                "reasons": [why["code"] for why in each.reasons],
            }
            for each in declarations.held.values()
        ],
        "apps": [
            {
                "declaration": entry.declaration,
                "identifier": entry.app.identifier,
                "status": entry.app.status(now),
                "update": entry.update_state(now) or None,
                "failure": entry.failure if entry.app.status(now) == "Failed" else None,
            }
            for entry in declarations.apps.values()
        ],
    }
