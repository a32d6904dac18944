"""The bodies that cross the admin door, with their defaults."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt

from local.simulators.apple.library import Asset, AssetKey, AssignedOnRefund, ProductType, Quality


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Pair(_Strict):
    """An asset by its identity."""

    adam_id: str
    pricing_param: Quality = Quality.STANDARD

    def key(self) -> AssetKey:
        """Name it as the library does."""
        return AssetKey(self.adam_id, self.pricing_param)


class AssetListing(Pair):
    """An asset and how many licenses of it are owned. Apps go to devices and come back, books do neither."""

    total: NonNegativeInt
    product_type: ProductType = ProductType.APP
    supported_platforms: tuple[str, ...] = ("iOS", "macOS")
    device_assignable: bool | None = None
    revocable: bool | None = None

    def asset(self) -> Asset:
        """Make the asset, with no license owned yet."""
        is_app = self.product_type is ProductType.APP
        return Asset(
            self.key(),
            self.product_type,
            self.supported_platforms,
            device_assignable=is_app if self.device_assignable is None else self.device_assignable,
            revocable=is_app if self.revocable is None else self.revocable,
        )


class NewLibrary(_Strict):
    """A library with its first assets and token. `users` are client user ids, known and associated."""

    uid: str | None = None
    country: str = "US"
    platform: Literal["enterprisestore", "volumestore"] = "enterprisestore"
    location_name: str = "Headquarters"
    organization: str = "Example"
    assets: list[AssetListing] = []
    users: list[str] = []


class NewToken(_Strict):
    """Another token for a library; a negative life makes one that has expired already."""

    organization: str = "Example"
    expires_in_days: float = 365


class Purchase(Pair):
    """Licenses bought of an asset that the library lists."""

    count: PositiveInt


class Refund(Purchase):
    """Licenses given back; `assigned` says what happens where too few are free."""

    assigned: AssignedOnRefund = AssignedOnRefund.REFUSE


class Transfer(Purchase):
    """Free licenses moved to another library."""

    to: str
