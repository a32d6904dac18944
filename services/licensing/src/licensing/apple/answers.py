"""Apple's answers, read into words: strictly where we rely on a field, leniently where we do not."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from licensing.apple.token import apple_time, storable
from licensing.apple.wire import failure_of
from licensing.model import (
    UNLIMITED,
    AppleUserRow,
    AppleUserStatus,
    AssetFacts,
    AssetKey,
    AssetPage,
    AssignmentPage,
    ClientConfig,
    EventState,
    EventStatus,
    ListedAsset,
    MdmIdentity,
    OutcomeUnknown,
    Reading,
    UserPage,
)
from shared.errors import Unavailable
from shared.events.words import Platform
from shared.vault import Secret

_GARBLED = "apple_garbled"
_ADAM_ID = re.compile("[0-9]{1,20}")
_STANDARD_QUALITY = "STDQ"
_KNOWN_PLATFORMS = frozenset(Platform)


def read_event_id(body: Mapping[str, Any]) -> str:
    """Return the id of a queued event. Raises OutcomeUnknown: a 2xx without one may have queued it."""
    event_id = body.get("eventId")
    if not isinstance(event_id, str) or not event_id:
        raise OutcomeUnknown(_GARBLED)
    return event_id


def read_event_state(body: Mapping[str, Any]) -> EventState:
    """Read `status`. Raises Unavailable where it cannot be read."""
    try:
        status = EventStatus(body["eventStatus"])
    except (KeyError, ValueError) as error:
        raise Unavailable(_GARBLED) from error
    failures = [failure_of(each) for each in _objects(body.get("failures"))]
    return EventState(status, tuple(failure for failure in failures if failure is not None))


def read_client_config(body: Mapping[str, Any]) -> ClientConfig:
    """Read `client/config`. Raises Unavailable where the library's id is missing."""
    library_id = body.get("uId")
    if not isinstance(library_id, str) or not library_id:
        raise Unavailable(_GARBLED)
    return ClientConfig(
        library_id=library_id,
        location_name=_text(body, "locationName"),
        country=_text(body, "countryISO2ACode"),
        platform=_text(body, "defaultPlatform"),
        website_url=_text(body, "websiteURL"),
        mdm_info=read_mdm_info(body.get("mdmInfo")),
        token_expires_at=_time(body.get("tokenExpirationDate")),
        notification_url=_text(body, "notificationUrl") or None,
    )


def read_assets(body: Mapping[str, Any]) -> AssetPage:
    """Read a page of `assets`. Raises Unavailable where a row cannot be read: half a list proves nothing."""
    if not isinstance(body.get("assets"), list):
        raise Unavailable(_GARBLED)
    rows = [*_objects(body["assets"]), *_objects(body.get("unlimitedAssets"))]
    try:
        return AssetPage([_asset(row) for row in rows], *_place(body))
    except (KeyError, ValueError, TypeError) as error:
        raise Unavailable(_GARBLED) from error


def read_assignments(body: Mapping[str, Any], key: AssetKey) -> AssignmentPage:
    """Read a page of `assignments`, without those of the other quality of the same adam id."""
    if not isinstance(body.get("assignments"), list):
        raise Unavailable(_GARBLED)
    rows = [
        row
        for row in _objects(body["assignments"])
        if row.get("adamId") == key.adam_id
        and (row.get("pricingParam") or _STANDARD_QUALITY) == key.pricing_param
    ]
    serials = [row["serialNumber"] for row in rows if isinstance(row.get("serialNumber"), str)]
    people = [row["clientUserId"] for row in rows if isinstance(row.get("clientUserId"), str)]
    if len(serials) + len(people) != len(rows):  # a licence of nobody, or of two: half a list proves nothing
        raise Unavailable(_GARBLED)
    return AssignmentPage(serials, people, *_place(body))


def read_users(body: Mapping[str, Any]) -> UserPage:
    """Read a page of `users`. Raises Unavailable where a row cannot be read: half a list proves nothing."""
    if not isinstance(body.get("users"), list):
        raise Unavailable(_GARBLED)
    try:
        return UserPage([_user(row) for row in _objects(body["users"])], *_place(body))
    except (KeyError, ValueError) as error:
        raise Unavailable(_GARBLED) from error


def _place(body: Mapping[str, Any]) -> tuple[str, int | None]:
    """Return of a page the version of its list, and the page that follows."""
    following = body.get("nextPageIndex")
    return _text(body, "versionId"), following if isinstance(following, int) else None


def _asset(row: Mapping[str, Any]) -> ListedAsset:
    if not _ADAM_ID.fullmatch(str(row["adamId"])):
        raise ValueError("an adam id is a number")
    total = row.get("totalCount", UNLIMITED)
    unlimited = total == UNLIMITED
    return ListedAsset(
        AssetFacts(
            AssetKey(str(row["adamId"]), str(row.get("pricingParam") or _STANDARD_QUALITY)),
            is_book=row["productType"] == "Book",
            device_assignable=row.get("deviceAssignable") is True,
            revocable=row.get("revocable") is True,
            platforms=tuple(
                Platform(name) for name in row.get("supportedPlatforms") or () if name in _KNOWN_PLATFORMS
            ),
        ),
        Reading(
            total=0 if unlimited else int(total),
            available=0 if unlimited else int(row["availableCount"]),
            assigned=int(row.get("assignedCount", 0)),
            retired=0 if unlimited else int(row.get("retiredCount", 0)),
            unlimited=unlimited,
        ),
    )


def _user(row: Mapping[str, Any]) -> AppleUserRow:
    code = _text(row, "inviteCode")
    return AppleUserRow(
        client_user_id=str(row["clientUserId"]),
        status=AppleUserStatus(row["status"]),
        email=_text(row, "email") or None,
        invite_code=Secret(code.encode()) if code else None,
        id_hash=_text(row, "idHash") or None,
    )


def read_mdm_info(said: Any) -> MdmIdentity | None:
    """Read `mdmInfo`; absent and null mean the same: nobody's."""
    if not isinstance(said, dict) or not said.get("id"):
        return None
    return MdmIdentity(*(storable(str(said.get(name, ""))) for name in ("id", "name", "metadata")))


def _time(said: Any) -> Any:
    try:
        return apple_time(said) if isinstance(said, str) else None
    except ValueError:
        return None


def _objects(said: Any) -> Sequence[Mapping[str, Any]]:
    return [each for each in said if isinstance(each, dict)] if isinstance(said, list) else []


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    return storable(value) if isinstance(value, str) else ""
