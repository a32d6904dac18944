"""In-house content as a device fetches it: the manifest of an app with its checksums, or the file of a book.

Apple: "Distribute proprietary in-house apps to Apple devices", `ManifestURL`. Devices show no MDM credentials here.
"""

import hashlib
import plistlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.parsers.expat import ExpatError

import httpx2

SOFTWARE = "software-package"


@dataclass(frozen=True, slots=True)
class Package:
    """What became of fetching: the bundle identifier, and why it cannot be used, None where it can."""

    identifier: str | None
    fault: str | None = None


class Porter:
    """Fetches as devices do, over https only."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def fetch(self, arguments: Mapping[str, Any]) -> Package | None:
        """Fetch what a command names by `Manifest`, `ManifestURL` or `MediaURL`; None where it names nothing."""
        manifest, url = arguments.get("Manifest"), arguments.get("ManifestURL")
        if isinstance(manifest, dict):
            return await self._package(manifest)
        if isinstance(url, str):
            body = await self._get(url)
            return Package(None, "no manifest") if body is None else await self._package(_read(body))
        if isinstance(arguments.get("MediaURL"), str):
            found = await self._get(arguments["MediaURL"])
            return Package(None, "no book" if found is None else None)
        return None

    async def _package(self, manifest: Any) -> Package:
        try:
            [item] = manifest["items"]
            identifier = str(item["metadata"]["bundle-identifier"])
            asset = next(each for each in item["assets"] if each["kind"] == SOFTWARE)
            body = await self._get(asset["url"])
        except (KeyError, TypeError, ValueError, StopIteration):
            return Package(None, "the manifest cannot be read")
        if body is None:
            return Package(identifier, "the package cannot be fetched")
        return Package(identifier, None if is_whole(body, asset) else "a checksum does not match")

    async def _get(self, url: str) -> bytes | None:
        if not url.startswith("https://"):
            return None
        try:
            response = await self._client.get(url, follow_redirects=True)
        except httpx2.HTTPError:
            return None
        return response.content if response.is_success else None


def is_whole(body: bytes, asset: Mapping[str, Any]) -> bool:
    """Whether a package is the one its manifest promises: SHA-256 counts before MD5, a whole-file sum before chunks."""
    for name in ("sha256", "md5"):
        whole, chunks, size = asset.get(name), asset.get(f"{name}s"), asset.get(f"{name}-size")
        if whole is not None:
            return hashlib.new(name, body, usedforsecurity=False).hexdigest() == str(whole).lower()
        if isinstance(chunks, list) and isinstance(size, int) and size > 0:
            parts = [body[start : start + size] for start in range(0, len(body), size)]
            sums = [hashlib.new(name, part, usedforsecurity=False).hexdigest() for part in parts]
            return sums == [str(each).lower() for each in chunks]
    return True


def _read(body: bytes) -> Any:
    try:
        return plistlib.loads(body)
    except (ValueError, ExpatError):
        return None
