"""Apple's words, as the App and Book Management API says them."""

from collections.abc import Sequence
from dataclasses import dataclass
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

    `token_id` is None for a token that is only being examined.
    """

    library_id: str
    token: Hidden
    token_id: UUID | None = None


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
class AssignmentPage:
    """A page of one asset's assignments: the serial numbers in it, and how many are people's."""

    serial_numbers: Sequence[str]
    people: int
    version_id: str


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
    """One of Apple's `ErrorResponse` objects: a number, and the serial numbers it names, if any."""

    number: int
    serial_numbers: frozenset[str] = frozenset()


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
    """Which of the serial numbers asked about Apple lists as assigned.

    `exact` is False where the list changed while it was read: what it lacks proves nothing then.
    """

    present: frozenset[str]
    exact: bool


class AppleRefused(ManagedDistributionError):
    """Apple refused a request as a whole: nothing of it was queued, and the same request would be refused again."""

    def __init__(self, failure: AppleFailure) -> None:
        super().__init__(f"apple_{failure.number}")
        self.failure = failure


class TokenRefused(AppleRefused):
    """Apple refused the content token itself, or what it was used for: all writes of the library stop."""


class OutcomeUnknown(ManagedDistributionError):
    """A write left us and no readable answer came back: Apple may have queued it (promise 6)."""
