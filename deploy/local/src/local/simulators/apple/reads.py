"""Apple's lists: filters, zero-based pages, and the service's description of itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from local.simulators.apple.errors import ERRORS, AppleError
from local.simulators.apple.library import (
    Asset,
    AssignmentFilter,
    Library,
    ProductType,
    Quality,
    count_assignments,
    slice_assignments,
)
from local.simulators.apple.notify import TYPES

Query = Mapping[str, str]

PATHS = {
    "clientConfig": "client/config",
    "getAssets": "assets",
    "getAssignments": "assignments",
    "associateAssets": "assets/associate",
    "disassociateAssets": "assets/disassociate",
    "eventStatus": "status",
}


def service_config(base_url: str, limits: Mapping[str, int]) -> dict[str, Any]:
    """Answer `service/config`; the URLs are under the base that the caller used."""
    return {
        "errorCodes": [
            {"errorNumber": number, "errorMessage": message} for number, (_, message) in ERRORS.items()
        ],
        "limits": dict(limits),
        "notificationTypes": list(TYPES),
        "urls": {name: f"{base_url}/{path}" for name, path in PATHS.items()},
    }


def list_assets(library: Library, query: Query, *, page_size: int) -> dict[str, Any]:
    """Answer a page of `assets`. Filters: adamId, pricingParam, productType, revocable, deviceAssignable.

    Raises `AppleError` 9602 for a value that is none, 9650 for a page beyond the last.
    """
    wanted = {
        "adamId": query.get("adamId"),
        "pricingParam": _choice(query, "pricingParam", Quality),
        "productType": _choice(query, "productType", ProductType),
        "revocable": _flag(query, "revocable"),
        "deviceAssignable": _flag(query, "deviceAssignable"),
    }
    found = [asset for asset in library.assets.values() if _matches(asset, wanted)]
    page = _page(query, total=len(found), size=page_size)
    rows = [asset.wire() for asset in found[page * page_size : (page + 1) * page_size]]
    return _paged("assets", rows, page=page, total=len(found), size=page_size) | {
        "versionId": library.version_id
    }


def list_assignments(library: Library, query: Query, *, page_size: int) -> dict[str, Any]:
    """Answer a page of `assignments`. Filters: adamId, pricingParam, serialNumber, clientUserId.

    Raises `AppleError` 9602 for a value that is none, 9650 for a page beyond the last.
    """
    wanted = AssignmentFilter(
        adam_id=query.get("adamId"),
        quality=_choice(query, "pricingParam", Quality),
        serial=query.get("serialNumber"),
        user=query.get("clientUserId"),
    )
    total = count_assignments(library, wanted)
    page = _page(query, total=total, size=page_size)
    rows = slice_assignments(library, wanted, page * page_size, page_size)
    return _paged("assignments", rows, page=page, total=total, size=page_size) | {
        "versionId": library.version_id
    }


def _matches(asset: Asset, wanted: Mapping[str, object]) -> bool:
    row = asset.wire()
    return all(value is None or row[field] == value for field, value in wanted.items())


def _choice(query: Query, name: str, allowed: type[Quality] | type[ProductType]) -> str | None:
    value = query.get(name)
    if value is not None and value not in set(allowed):
        raise AppleError(9602, detail=name)
    return value


def _flag(query: Query, name: str) -> bool | None:
    match query.get(name):
        case None:
            return None
        case "true":
            return True
        case "false":
            return False
        case _:
            raise AppleError(9602, detail=name)


def _page(query: Query, *, total: int, size: int) -> int:
    text = query.get("pageIndex", "0")
    if not (text.isascii() and text.isdigit()):
        raise AppleError(9602 if not text.startswith("-") else 9650, detail="pageIndex")
    page = int(text)
    if page >= _pages(total, size):
        raise AppleError(9650)
    return page


def _pages(total: int, size: int) -> int:
    """Count the pages: an empty list has one, which is empty."""
    return max(1, -(-total // size))


def _paged(
    name: str, rows: Sequence[Mapping[str, Any]], *, page: int, total: int, size: int
) -> dict[str, Any]:
    body: dict[str, Any] = {
        name: rows,
        "currentPageIndex": page,
        "size": len(rows),
        "totalPages": _pages(total, size),
    }
    if page + 1 < body["totalPages"]:
        body["nextPageIndex"] = page + 1
    return body
