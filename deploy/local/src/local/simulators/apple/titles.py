"""What the store tells of an app or a book: its name, its bundle id, and where it is sold."""

from dataclasses import dataclass
from typing import Any

PLATFORM_FAMILIES = {
    "iOS": ("iphone", "ipad", "ipod"),
    "macOS": ("mac",),
    "tvOS": ("tvos",),
    "watchOS": ("watch",),
    "visionOS": ("realityDevice",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """One product of the store. `storefronts` are lower-case country codes; empty means everywhere.

    A custom app, or one no longer for sale, is told only to a library that owns it.
    """

    adam_id: str
    name: str
    bundle_id: str
    is_book: bool = False
    platforms: tuple[str, ...] = ("iOS", "macOS")
    storefronts: frozenset[str] = frozenset()
    custom: bool = False
    device_assignable: bool = True
    version: str = "1.0"

    def sold_in(self, country: str) -> bool:
        """Tell whether a storefront knows it."""
        return not self.storefronts or country.lower() in self.storefronts

    @property
    def number(self) -> int:
        """Return the adam id as the number that it is in some answers."""
        return int(self.adam_id) if self.adam_id.isascii() and self.adam_id.isdigit() else 0

    @property
    def families(self) -> list[str]:
        """Return the device families it runs on, in the store's words."""
        return [family for platform in self.platforms for family in PLATFORM_FAMILIES.get(platform, ())]

    @property
    def kind(self) -> str:
        """Return the store's word for what it is: a universal app counts as one for iOS."""
        if self.is_book:
            return "ebook"
        return "iosSoftware" if "iOS" in self.platforms else "desktopApp"

    def lookup_row(self) -> dict[str, Any]:
        """Answer of the legacy lookup."""
        return {
            "id": self.adam_id,
            "name": self.name,
            "bundleId": self.bundle_id,
            "artistName": "Example",
            "artwork": {"url": f"https://artwork.example/{self.adam_id}.png", "width": 512, "height": 512},
            "deviceFamilies": self.families,
            "kind": self.kind,
            "genreNames": ["Education"],
            "minimumOSVersion": "15.0",
            "isVppDeviceBasedLicensingEnabled": self.device_assignable,
            "isB2BCustomApp": self.custom,
            "latestVersionReleaseDate": "2026-01-01",
            "offers": [{"version": {"display": self.version, "externalId": self.number}}],
            "url": f"https://apps.apple.com/app/id{self.adam_id}",
        }

    def catalog_row(self) -> dict[str, Any]:
        """Answer of the metadata service for organizations."""
        platform = {
            "bundleId": self.bundle_id,
            "artwork": {
                "url": "https://artwork.example/" + self.adam_id + "/{w}x{h}.{f}",
                "width": 512,
                "height": 512,
            },
            "latestVersionInfo": {"versionDisplay": self.version},
            "minimumOSVersion": "15.0",
        }
        names = {"iOS": "ios", "macOS": "osx", "tvOS": "appletvos", "visionOS": "xros", "watchOS": "watch"}
        kind = "books" if self.is_book else "apps"
        return {
            "id": self.adam_id,
            "type": kind,
            "href": f"/v1/catalog/us/{kind}/{self.adam_id}",
            "attributes": {
                "name": self.name,
                "artistName": "Example",
                "bundleId": self.bundle_id,
                "deviceFamilies": self.families,
                "isVppDeviceBasedLicensingEnabled": self.device_assignable,
                "isB2BCustomApp": self.custom,
                "platformAttributes": {names[one]: platform for one in self.platforms if one in names},
                "url": f"https://apps.apple.com/app/id{self.adam_id}",
            },
        }

    def itunes_row(self) -> dict[str, Any]:
        """Answer of the public lookup."""
        return {
            "trackId": self.number,
            "trackName": self.name,
            "bundleId": self.bundle_id,
            "version": self.version,
            "artworkUrl512": f"https://artwork.example/{self.adam_id}.png",
            "minimumOsVersion": "15.0",
            "supportedDevices": self.families,
        }
