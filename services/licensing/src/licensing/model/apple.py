"""Apple's words, as the App and Book Management API says them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from shared.errors import ManagedDistributionError
from shared.events.words import Platform

UNLIMITED = 2147483647
"""The totalCount of an asset without an end: a flag, never a number."""


class Hidden(Protocol):
    """Something secret (shared.vault.Secret): it shows itself nowhere, `reveal` is the one way out."""

    def reveal(self) -> bytes:
        """Return the bytes themselves."""
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """The right to speak for one library: its content token goes outward byte for byte.

    `token_id` is None for a token that is only being examined, `mdm_id` (our claim on the library) while it
    is unclaimed.
    """

    library_id: str
    token: Hidden
    token_id: UUID | None = None
    mdm_id: str | None = None


class HolderKind(StrEnum):
    """Who the holders in a request are, in Apple's words; one request never mixes them."""

    SERIAL_NUMBERS = "serialNumbers"
    CLIENT_USER_IDS = "clientUserIds"


@dataclass(frozen=True, slots=True)
class Limits:
    """How many of each one request may name now."""

    serial_numbers: int
    client_user_ids: int
    users: int
    assets: int


@dataclass(frozen=True, slots=True)
class AssetKey:
    """What makes an asset at Apple: the pair."""

    adam_id: str
    pricing_param: str


@dataclass(frozen=True, slots=True)
class AssetFacts:
    """What Apple says about an asset, whatever library holds it."""

    key: AssetKey
    is_book: bool
    device_assignable: bool
    revocable: bool
    platforms: tuple[Platform, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """Apple's four counts of one pool at one time; kept beside our ledger, never added to it."""

    total: int
    available: int
    assigned: int
    retired: int
    unlimited: bool = False


@dataclass(frozen=True, slots=True)
class ListedAsset:
    """A row of the list of assets."""

    facts: AssetFacts
    reading: Reading


@dataclass(frozen=True, slots=True)
class AssetList:
    """The assets of a library; `exact` is False where the list changed while it was read."""

    assets: Sequence[ListedAsset]
    exact: bool


@dataclass(frozen=True, slots=True)
class AssetPage:
    """A page of a library's assets."""

    assets: Sequence[ListedAsset]
    version_id: str
    next_page: int | None = None


@dataclass(frozen=True, slots=True)
class AssignmentPage:
    """A page of one asset's assignments: the devices in it, and the people; the last one names no next page."""

    serial_numbers: Sequence[str]
    client_user_ids: Sequence[str]
    version_id: str
    next_page: int | None = None

    @property
    def people(self) -> int:
        """Count the licences that people hold."""
        return len(self.client_user_ids)


class AppleUserStatus(StrEnum):
    """Apple's states of a record: at most one of a client user id is registered or associated."""

    REGISTERED = "Registered"
    ASSOCIATED = "Associated"
    RETIRED = "Retired"
    DELETED = "Deleted"


@dataclass(frozen=True, slots=True)
class AppleUserRow:
    """One record of an Apple user. A client user id may have many, of which at most one is active.

    Whoever has the invitation code binds their account first. `id_hash` is the same wherever the Apple
    Account is the same.
    """

    client_user_id: str
    status: AppleUserStatus
    email: str | None = field(repr=False)
    invite_code: Hidden | None
    id_hash: str | None

    @property
    def active(self) -> bool:
        """Tell whether it is the record that counts."""
        return self.status in {AppleUserStatus.REGISTERED, AppleUserStatus.ASSOCIATED}


@dataclass(frozen=True, slots=True)
class UserPage:
    """A page of a library's users; the version of the first page is the one to go on from."""

    users: Sequence[AppleUserRow]
    version_id: str
    next_page: int | None = None


@dataclass(frozen=True, slots=True)
class NewAppleUser:
    """A user to create, or to bring up to date.

    With a Managed Apple Account of the library's organization they are associated at once, without an
    invitation. The mail address is only a label: Apple compares it with nothing.
    """

    client_user_id: str
    email: str | None = field(default=None, repr=False)
    managed_apple_id: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class MdmIdentity:
    """Which management service a library belongs to; only the id decides."""

    id: str
    name: str
    metadata: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where Apple sends its notifications, and the secret that it shows there."""

    url: str
    secret: Hidden


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """What a content token speaks for."""

    library_id: str
    location_name: str
    country: str
    platform: str
    website_url: str
    mdm_info: MdmIdentity | None
    token_expires_at: datetime | None
    notification_url: str | None = None


@dataclass(frozen=True, slots=True)
class ContentToken:
    """A content token that can be used: `text` is the outer Base64 text, byte for byte as Apple made it."""

    text: Hidden
    organization_name: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ExaminedToken:
    """A content token that Apple accepts, and what it speaks for."""

    token: ContentToken
    config: ClientConfig


@dataclass(frozen=True, slots=True)
class AppleFailure:
    """One of Apple's `ErrorResponse` objects: a number, and whom it names, if anybody."""

    number: int
    serial_numbers: frozenset[str] = frozenset()
    client_user_ids: frozenset[str] = frozenset()


class EventStatus(StrEnum):
    """FAILED means: ended, and at least one task was not done."""

    PENDING = "PENDING"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class EventState:
    """What `status` says of an event."""

    status: EventStatus
    failures: tuple[AppleFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """Which of the holders asked about (serial numbers, user ids) Apple lists as assigned.

    `exact` is False where the list changed while it was read: what it lacks proves nothing then.
    """

    present: frozenset[str | UUID]
    exact: bool


class AppleRefused(ManagedDistributionError):
    """Apple refused a request as a whole: nothing of it was queued, and the same request would be refused again."""

    def __init__(self, failure: AppleFailure, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"apple_{failure.number}")
        self.failure = failure
        self.retry_after_seconds = retry_after_seconds


class TokenRefused(AppleRefused):
    """Apple refused the content token itself, or what it was used for: all writes of the library stop."""


class OutcomeUnknown(ManagedDistributionError):
    """A write left us and no readable answer came back: Apple may have queued it (promise 6)."""

    def __init__(self, reason: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds
