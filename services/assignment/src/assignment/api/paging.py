"""Lists in pages: from a query's rows, one more than asked for where the list goes on, to a page."""

from collections.abc import Callable, Sequence
from typing import TypeVar
from uuid import UUID

from assignment.queries.pages import Part, Row
from shared.web import Page, decode_cursor, page_of

B = TypeVar("B")


def part_of(limit: int, cursor: str | None) -> Part:
    """Return the part of a list that a caller asks for. Raises Invalid, naming `cursor`."""
    place = decode_cursor(cursor, UUID)
    return Part(limit, place[0] if place else None)


def page(rows: Sequence[Row], body: Callable[[Row], B], part: Part, *, by: str = "id") -> Page[B]:
    """Return a page; its cursor is the value of the ordering column in the last row shown."""
    return page_of(rows, part.limit, body, by)
