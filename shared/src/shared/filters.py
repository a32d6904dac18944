"""The filters of a list: those that its caller gave narrow what is asked of the database."""

from collections.abc import Mapping
from typing import Any, TypeVar

import sqlalchemy as sa

C = TypeVar("C", bound=sa.ColumnElement[Any])


def where(query: sa.Select[Any], filters: Mapping[C, object]) -> sa.Select[Any]:
    """Narrow a query by every filter that was given; None is none."""
    for column, value in filters.items():
        if value is not None:
            query = query.where(column == value)
    return query
