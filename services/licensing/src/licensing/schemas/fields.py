"""What bodies and parameters share: the id of a library, examples, and columns that are fields by the same name."""

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, StringConstraints

LibraryId = Annotated[str, StringConstraints(max_length=64, pattern="^[!-~]+$")]
"""Apple's uId: an id of one word, with nothing in it that a database could not hold."""

EXAMPLE_ASSET = "0f3d5c1e-7c1d-5a55-9c6e-2f4f0f4f8a10"
EXAMPLE_POOL = "0193f0a2-6f6e-7d6c-9a39-0d4b6f2f6c01"
EXAMPLE_ENTITLEMENT = "0193f0a2-1111-7d6c-9a39-0d4b6f2f6c02"
EXAMPLE_TIME = "2026-11-22T18:30:00Z"


def example(**fields: Any) -> ConfigDict:
    """Return the configuration of a body with one example."""
    return ConfigDict(json_schema_extra={"examples": [fields]})


def same(
    body: type[BaseModel], row: sa.RowMapping, *, but: frozenset[str] | set[str] = frozenset()
) -> dict[str, Any]:
    """Return the fields that are called like a column."""
    named = set(row.keys()) - but
    return {name: row[name] for name in body.model_fields if name in named}
