"""Apple's pages: zero-based, of a size the server chooses, and what a query may say."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from local.simulators.apple.errors import AppleError
from local.simulators.apple.library import Library

Query = Mapping[str, str]


class Page(NamedTuple):
    """Where a page stands in a list of `total` rows."""

    number: int
    size: int
    total: int

    @property
    def start(self) -> int:
        """Return the position of its first row."""
        return self.number * self.size

    @property
    def pages(self) -> int:
        """Count the pages: an empty list has one, which is empty."""
        return max(1, -(-self.total // self.size))

    def wire(self, *, rows: int, version_id: str) -> dict[str, Any]:
        """Describe a page with so many rows; only one that is followed by another names the next."""
        body: dict[str, Any] = {
            "currentPageIndex": self.number,
            "size": rows,
            "totalPages": self.pages,
            "versionId": version_id,
        }
        if self.number + 1 < self.pages:
            body["nextPageIndex"] = self.number + 1
        return body


def read_page(query: Query, *, total: int, size: int) -> Page:
    """Read `pageIndex`. Raises `AppleError` 9602 where it is no number, 9650 where there is no such page."""
    text = query.get("pageIndex") or "0"
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        raise AppleError(9602, detail="pageIndex")
    page = Page(int(text), size, total)
    if not 0 <= page.number < page.pages:
        raise AppleError(9650)
    return page


def read_since(query: Query, library: Library) -> int | None:
    """Read `sinceVersionId` as a revision. Raises `AppleError` 9721 for one that this library never told."""
    version_id = query.get("sinceVersionId")
    if not version_id:
        return None
    revision = library.versions.get(version_id)
    if revision is None:
        raise AppleError(9721)
    return revision


def read_choice(query: Query, name: str, allowed: type[StrEnum]) -> str | None:
    """Read one of a few words. Raises `AppleError` 9602."""
    value = query.get(name) or None
    if value is not None and value not in set(allowed):
        raise AppleError(9602, detail=name)
    return value


def read_flag(query: Query, name: str) -> bool | None:
    """Read `true` or `false`. Raises `AppleError` 9602."""
    match (query.get(name) or "").lower():
        case "":
            return None
        case "true":
            return True
        case "false":
            return False
        case _:
            raise AppleError(9602, detail=name)


def read_number(query: Query, name: str) -> int | None:
    """Read a whole number. Raises `AppleError` 9602."""
    text = query.get(name)
    if not text:
        return None
    if not (text.isascii() and text.removeprefix("-").isdigit()):
        raise AppleError(9602, detail=name)
    return int(text)
