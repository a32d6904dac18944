"""The bodies that cross the admin door, with their defaults."""

from typing import Literal

from pydantic import Field, NonNegativeInt

from local.simulators.admin import LONGEST_DAYS, LONGEST_SECONDS, Body
from local.simulators.apple.assets import UNLIMITED, Asset, AssetKey, AssignedOnRefund, ProductType, Quality
from local.simulators.apple.library import ANY_ACCOUNT
from local.simulators.apple.titles import Title
from local.simulators.apple.tokens import Rights


class Pair(Body):
    """An asset by its identity."""

    adam_id: str
    pricing_param: Quality = Quality.STANDARD

    def key(self) -> AssetKey:
        """Name it as the library does."""
        return AssetKey(self.adam_id, self.pricing_param)


class AssetListing(Pair):
    """An asset, how many licenses of it are owned, and what the store tells of it.

    Apps go to devices and come back, books do neither. `storefronts` are country codes; empty means everywhere.
    """

    total: int = Field(default=0, ge=0, le=UNLIMITED)
    unlimited: bool = False
    product_type: ProductType = ProductType.APP
    supported_platforms: tuple[str, ...] = ("iOS", "macOS")
    device_assignable: bool | None = None
    revocable: bool | None = None
    name: str = ""
    bundle_id: str = ""
    storefronts: tuple[str, ...] = ()
    custom: bool = False

    def asset(self) -> Asset:
        """Make the asset, with no license owned yet."""
        is_app = self.product_type is ProductType.APP
        return Asset(
            self.key(),
            self.product_type,
            self.supported_platforms,
            device_assignable=is_app if self.device_assignable is None else self.device_assignable,
            revocable=is_app if self.revocable is None else self.revocable,
            unlimited=self.unlimited,
        )

    def title(self) -> Title:
        """Make what the store tells of it."""
        return Title(
            adam_id=self.adam_id,
            name=self.name or f"{self.product_type} {self.adam_id}",
            bundle_id=self.bundle_id or f"com.example.{self.product_type.lower()}{self.adam_id}",
            is_book=self.product_type is ProductType.BOOK,
            platforms=self.supported_platforms,
            storefronts=frozenset(country.lower() for country in self.storefronts),
            custom=self.custom,
            device_assignable=self.asset().device_assignable,
        )


class NewLibrary(Body):
    """A library with its first assets and token.

    `users` are client user ids, known and associated. `managed_accounts` belong to its organization and are
    tied without an invitation: addresses, or `@domain` for a whole one. `client_context` is what a client of
    version 1 of the API has stored.
    """

    uid: str | None = None
    country: str = "US"
    platform: Literal["enterprisestore", "volumestore"] = "enterprisestore"
    location_name: str = "Headquarters"
    organization: str = "Example"
    account: str = "manager@example.com"
    assets: tuple[AssetListing, ...] = ()
    users: tuple[str, ...] = ()
    managed_accounts: tuple[str, ...] = (ANY_ACCOUNT,)
    accounts_without_terms: frozenset[str] = frozenset()
    client_context: str = ""


class NewToken(Body):
    """Another token for a library; a negative life makes one that has expired already."""

    organization: str = "Example"
    expires_in_days: float = Field(default=365, ge=-LONGEST_DAYS, le=LONGEST_DAYS)
    account: str = "manager@example.com"
    rights: Rights = Rights.ALL


class Purchase(Pair):
    """Licenses bought of an asset that the library lists."""

    count: int = Field(ge=1, le=UNLIMITED)


class Refund(Purchase):
    """Licenses given back; `assigned` says what happens where too few are free."""

    assigned: AssignedOnRefund = AssignedOnRefund.REFUSE


class Transfer(Purchase):
    """Free licenses moved to another library."""

    to: str


class Unlimited(Pair):
    """An asset that becomes unlimited, or ceases to be."""

    unlimited: bool


class Claim(Body):
    """Who claims a library, as another server would have stored it."""

    id: str
    name: str
    metadata: str


class Acceptance(Body):
    """A person with an Apple Account accepts an invitation: by its code, or by whom it is for."""

    account: str
    invite_code: str | None = None
    client_user_id: str | None = None


class Password(Body):
    """An account whose password is changed."""

    account: str


class SignedIn(Body):
    """On how many devices a user's account is signed in."""

    client_user_id: str
    devices: NonNegativeInt


class DeveloperKey(Body):
    """The public key of an MDM vendor, for the metadata service."""

    team_id: str
    key_id: str
    public_key_pem: str


class Turn(Body):
    """How far the clock is turned forward, and whether it runs from then on; None leaves that as it is."""

    days: float = Field(default=0.0, ge=0, le=LONGEST_DAYS)
    seconds: float = Field(default=0.0, ge=0, le=LONGEST_SECONDS)
    frozen: bool | None = None
