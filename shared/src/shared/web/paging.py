"""Lists come in pages: `limit` says how many, `cursor` where to go on. A cursor is opaque to callers."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, Protocol, TypeVar

from fastapi import Query
from pydantic import BaseModel

from shared.errors import Invalid


class Columns(Protocol):
    """A row of a query: its values by the names of their columns."""

    def __getitem__(self, name: str, /) -> Any:
        """Return the value of a column."""
        ...


Item = TypeVar("Item")
Row = TypeVar("Row", bound=Columns)

Limit = Annotated[int, Query(ge=1, le=1000, description="How many items a page holds at most.")]
Cursor = Annotated[
    str | None,
    Query(max_length=1024, description="The `next_cursor` of the page before; none for the first."),
]


class Page(BaseModel, Generic[Item]):
    """One page of a list; `next_cursor` is null on the last one."""

    items: list[Item]
    next_cursor: str | None = None


def page_of(rows: Sequence[Row], limit: int, body: Callable[[Row], Item], *order: str) -> Page[Item]:
    """Return the page that these rows make: one row more than `limit` was read where the list goes on.

    `order` names the columns by which the list is ordered; their values in the last row shown are its cursor.
    """
    goes_on = len(rows) > limit
    return Page(
        items=[body(row) for row in rows[:limit]],
        next_cursor=encode_cursor(*(rows[limit - 1][name] for name in order)) if goes_on else None,
    )


def encode_cursor(*parts: object) -> str:
    """Return the cursor that names a place in an order by the values of its columns."""
    text = json.dumps([part if isinstance(part, int) else str(part) for part in parts], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, *kinds: Callable[[Any], Any]) -> tuple[Any, ...] | None:
    """Return the values that a cursor was made of, each read by its kind (`UUID`, `datetime.fromisoformat`).

    None stays None: the first page. Raises Invalid, naming `cursor`, for a text that is no such cursor: whatever
    its caller made up, PostgreSQL can compare with.
    """
    if cursor is None:
        return None
    try:
        parts = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        return tuple(_comparable(kind(part)) for kind, part in zip(kinds, parts, strict=True))
    except (ValueError, TypeError, AttributeError, RecursionError):
        fields = {"cursor": "not a cursor of this list"}
        raise Invalid("invalid", "cannot be read: cursor", fields=fields) from None


def _comparable(value: Any) -> Any:
    """Return a value that fits its column. Raises ValueError: no bigint, no text, or a time without an offset."""
    match value:
        case int() if not -(2**63) <= value < 2**63:
            raise ValueError("beyond 64 bits")
        case str() if "\x00" in value:
            raise ValueError("PostgreSQL holds no NUL")
        case datetime() if value.tzinfo is None:
            raise ValueError("a time without its offset")
        case _:
            return value
