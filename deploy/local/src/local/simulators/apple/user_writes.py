"""The body of users/create, update and retire: read, checked as a whole, and refused as a whole."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from local.simulators.apple.errors import AppleError
from local.simulators.apple.events import UserWish
from local.simulators.apple.settings import Knobs

EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


def read_user_write(body: Mapping[str, Any], *, knobs: Knobs) -> dict[str, UserWish]:
    """Check the body and answer its wishes by client user id.

    Raises `AppleError` 9602, 9714, 9715, 9717, 9720. Whether a user exists is found out when it is worked.
    """
    rows = body.get("users") or []
    if not isinstance(rows, list):
        raise AppleError(9602, detail="users")
    if not rows:
        raise AppleError(9720)
    if len(rows) > knobs.limits["maxUsers"]:
        raise AppleError(9714)
    wishes = [_read_wish(row) for row in rows]
    times = Counter(wish.client_user_id for wish in wishes)
    _refuse(9715, [name for name, count in times.items() if count > 1])
    _refuse(9717, [wish.client_user_id for wish in wishes if wish.email and not EMAIL.fullmatch(wish.email)])
    return {wish.client_user_id: wish for wish in wishes}


def _read_wish(row: Any) -> UserWish:
    match row:
        case {"clientUserId": str(client_user_id)} if client_user_id:
            return UserWish(client_user_id, _text(row, "email"), _text(row, "managedAppleId"))
    raise AppleError(9602, detail="users")


def _text(row: Mapping[str, Any], field: str) -> str | None:
    """Read an optional text; an empty one is none."""
    value = row.get(field)
    if value is not None and not isinstance(value, str):
        raise AppleError(9602, detail=field)
    return value or None


def _refuse(number: int, client_user_ids: list[str]) -> None:
    if client_user_ids:
        raise AppleError(number, offenders={"clientUserIds": client_user_ids})
