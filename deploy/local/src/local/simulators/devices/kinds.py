"""The kinds of device in the box, and what makes each different on the wire."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is unpacked; the traits of each stand at the foot of this file."""

    IOS = "ios"  # a supervised iPad
    IPHONE = "iphone"  # unsupervised: its user is asked
    SHARED_IPAD = "shared_ipad"  # supervised; whoever is signed in has a channel
    ACCOUNT_IPHONE = "account_iphone"  # account-driven Device Enrollment
    BYOD_IPHONE = "byod_iphone"  # account-driven User Enrollment
    MAC = "mac"  # supervised; each managed user has a channel
    BYOD_MAC = "byod_mac"  # account-driven User Enrollment


class Platform(StrEnum):
    """The family of the operating system, as far as commands differ."""

    IOS = "iOS"
    MACOS = "macOS"


@dataclass(frozen=True, slots=True)
class Hardware:
    """What a kind of device says of itself."""

    product_name: str
    model_name: str
    model: str
    build_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What decides which commands a device takes and what it tells.

    `personal` is User Enrollment: no UDID and no serial number are told, and no license of the device is of use.
    `account_driven` devices carry a bearer token, and sign in again where it is refused.
    """

    platform: Platform
    hardware: Hardware
    supervised: bool = False
    shared: bool = False
    personal: bool = False
    account_driven: bool = False

    @property
    def is_mac(self) -> bool:
        """Whether it runs macOS."""
        return self.platform is Platform.MACOS

    @property
    def has_users(self) -> bool:
        """Whether users log in to it."""
        return self.is_mac or self.shared


Version = tuple[int, ...]


def version(text: str) -> Version:
    """Read an OS version, to be compared: `17.6.1` is (17, 6, 1). Raises `ValueError`."""
    return tuple(int(part) for part in text.split("."))


_IPAD = Hardware("iPad13,18", "iPad", "MQ6T3", "21G101")
_IPHONE = Hardware("iPhone15,4", "iPhone", "MTP03", "21G93")
_MACBOOK = Hardware("Mac14,2", "MacBook Air", "Mac14,2", "22G120")

TRAITS = {
    Kind.IOS: Traits(platform=Platform.IOS, hardware=_IPAD, supervised=True),
    Kind.IPHONE: Traits(platform=Platform.IOS, hardware=_IPHONE),
    Kind.SHARED_IPAD: Traits(platform=Platform.IOS, hardware=_IPAD, supervised=True, shared=True),
    Kind.ACCOUNT_IPHONE: Traits(platform=Platform.IOS, hardware=_IPHONE, account_driven=True),
    Kind.BYOD_IPHONE: Traits(platform=Platform.IOS, hardware=_IPHONE, personal=True, account_driven=True),
    Kind.MAC: Traits(platform=Platform.MACOS, hardware=_MACBOOK, supervised=True),
    Kind.BYOD_MAC: Traits(platform=Platform.MACOS, hardware=_MACBOOK, personal=True, account_driven=True),
}
