"""Apple's lists: assets, assignments and users, filtered and paged."""

from collections.abc import Callable
from itertools import islice
from typing import Any

from local.simulators.apple.assets import Asset, ProductType, Quality
from local.simulators.apple.assignments import AssignmentFilter, count_assignments, slice_assignments
from local.simulators.apple.library import Library
from local.simulators.apple.paging import (
    Query,
    read_choice,
    read_flag,
    read_number,
    read_page,
    read_since,
)
from local.simulators.apple.settings import Knobs
from local.simulators.apple.users import User, UserStatus

Answer = dict[str, Any]


def list_assets(library: Library, query: Query, *, knobs: Knobs) -> Answer:
    """Answer a page of `assets`, documentation "Get Assets". The filters are all of its query parameters.

    With `unlimited=true` unlimited assets are rows of `unlimitedAssets`, with `false` they are left out;
    both lists are paged as one. Raises `AppleError` 9602 for a value that is none, 9650 for a page beyond
    the last.
    """
    unlimited = read_flag(query, "unlimited")
    wanted = _asset_filter(query)
    found = [
        asset
        for asset in library.assets.values()
        if wanted(asset) and not (asset.unlimited and unlimited is False)
    ]
    page = read_page(query, total=len(found), size=knobs.page_size)
    part = found[page.start : page.start + page.size]
    apart = [asset for asset in part if asset.unlimited and unlimited]
    full = knobs.unlimited_available == "full"
    body: Answer = {"assets": [asset.wire(full=full) for asset in part if asset not in apart]}
    if unlimited:
        body["unlimitedAssets"] = [asset.wire_unlimited() for asset in apart]
    return body | page.wire(rows=len(part), version_id=library.version_id)


def list_assignments(library: Library, query: Query, *, knobs: Knobs) -> Answer:
    """Answer a page of `assignments`, documentation "Get Assignments".

    Raises `AppleError` 9602 for a value that is none, 9650 for a page beyond the last, 9721 for a version
    that is none of this library's.
    """
    wanted = AssignmentFilter(
        adam_id=query.get("adamId") or None,
        quality=read_choice(query, "pricingParam", Quality),
        serial=query.get("serialNumber") or None,
        user=query.get("clientUserId") or None,
        since=read_since(query, library),
        removals=knobs.removals_in_delta == "listed",
        active_users_only=bool(read_flag(query, "excludeInactiveUsers")),
    )
    with_users = bool(read_flag(query, "includeUserState"))
    page = read_page(query, total=count_assignments(library, wanted), size=knobs.page_size)
    rows = slice_assignments(library, wanted, page.start, page.size, with_users=with_users)
    return {"assignments": rows} | page.wire(rows=len(rows), version_id=library.version_id)


def list_users(library: Library, query: Query, *, knobs: Knobs) -> Answer:
    """Answer a page of `users`, documentation "Get Users". Raises `AppleError` as `list_assignments` does."""
    wanted = _user_filter(library, query, knobs)
    client_user_id = query.get("clientUserId")
    records = library.users.of(client_user_id) if client_user_id else library.users
    found = [user for user in records if wanted(user)]
    page = read_page(query, total=len(found), size=knobs.page_size)
    rows = [user.wire() for user in islice(found, page.start, page.start + page.size)]
    return {"users": rows} | page.wire(rows=len(rows), version_id=library.version_id)


def _asset_filter(query: Query) -> Callable[[Asset], bool]:
    equal = {
        "adam_id": query.get("adamId") or None,
        "quality": read_choice(query, "pricingParam", Quality),
        "product_type": read_choice(query, "productType", ProductType),
        "revocable": read_flag(query, "revocable"),
        "device_assignable": read_flag(query, "deviceAssignable"),
    }
    bounds = [
        read_number(query, f"{edge}{count}Count")
        for count in ("Available", "Assigned")
        for edge in ("min", "max")
    ]

    def wanted(asset: Asset) -> bool:
        said = {
            "adam_id": asset.key.adam_id,
            "quality": asset.key.quality,
            "product_type": asset.product_type,
            "revocable": asset.revocable,
            "device_assignable": asset.device_assignable,
        }
        if any(value is not None and said[name] != value for name, value in equal.items()):
            return False
        least_free, most_free, least_given, most_given = bounds
        return _between(asset.available, least_free, most_free) and _between(
            asset.assigned, least_given, most_given
        )

    return wanted


def _between(count: int, least: int | None, most: int | None) -> bool:
    return (least is None or least <= count) and (most is None or count <= most)


def _user_filter(library: Library, query: Query, knobs: Knobs) -> Callable[[User], bool]:
    since = read_since(query, library)
    active_only, retired_only = read_flag(query, "activeOnly"), read_flag(query, "retiredOnly")
    account = None
    if knobs.undocumented_filters:
        account = query.get("managedAppleId")
        active_only = active_only or query.get("includeRetired") in {"0", "false"}

    def wanted(user: User) -> bool:
        if since is not None and user.revision <= since:
            return False
        if active_only and not user.active:
            return False
        if retired_only and user.status is not UserStatus.RETIRED:
            return False
        return account is None or user.account == account

    return wanted
