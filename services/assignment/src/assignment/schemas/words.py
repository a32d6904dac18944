"""Pieces that several bodies share: texts that can be stored, and the manners of every body."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, StringConstraints

ASSET_ID = "5f1b3a3e-4a0e-5a55-9c6e-2f4f0f4f8a10"
ASSIGNMENT_ID = "0193f0a2-6f6e-7d6c-9a39-0d4b6f2f6c01"
DEVICE_ID = "0193f0a2-2222-7d6c-9a39-0d4b6f2f6c03"
ENTITLEMENT_ID = "0193f0a2-3333-7d6c-9a39-0d4b6f2f6c04"
GROUP_ID = "0193f0a2-4444-7d6c-9a39-0d4b6f2f6c05"
REQUEST_ID = "0193f0a2-5555-7d6c-9a39-0d4b6f2f6c06"
USER_ID = "0193f0a2-1111-7d6c-9a39-0d4b6f2f6c02"
TIME = "2026-11-22T18:30:00Z"

MOST_LISTED = 100
"""Refusals that an answer lists; its counts hold them all."""

Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"),
]
"""A text for people: PostgreSQL keeps no NUL, and no name needs a control character."""

MailAddress = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$"
    ),
]
Locale = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$", max_length=35)]
LibraryId = Annotated[str, StringConstraints(pattern=r"^[!-~]+$", max_length=64)]
SerialAsSaid = Annotated[str, StringConstraints(max_length=256)]
"""A serial number as a caller says it: one that cannot be any device's is refused alone, not the body with it."""


SerialWanted = Annotated[str | None, Query(max_length=64, pattern="^[A-Za-z0-9-]+$")]
"""A serial number that a list is filtered by."""


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond the calendar in UTC") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A time as a caller says it, in UTC: the last hours of the year 9999 west of it cannot be stored."""


class Said(BaseModel):
    """A body that callers send: a field nobody knows is a mistake worth telling."""

    model_config = ConfigDict(extra="forbid", frozen=True)
