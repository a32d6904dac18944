"""How every list is read: in the order of one column, from a place on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from shared.database import Transaction

Row = sa.RowMapping


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a list is asked for: at most `limit` rows, behind `after`."""

    limit: int
    after: UUID | None = None


async def read_part(
    tx: Transaction, query: sa.Select[Any], part: Part, *, by: sa.ColumnElement[Any]
) -> Sequence[Row]:
    """Return rows in the order of a column, one more than asked for where the list goes on."""
    if part.after is not None:
        query = query.where(by > part.after)
    found = await tx.sql.execute(query.order_by(by).limit(part.limit + 1))
    return list(found.mappings())


async def read_one(tx: Transaction, query: sa.Select[Any]) -> Row | None:
    """Return the one row, or None."""
    row: Row | None = (await tx.sql.execute(query)).mappings().one_or_none()
    return row
