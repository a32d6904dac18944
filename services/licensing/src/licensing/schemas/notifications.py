"""Malformed notifications as they cross HTTP."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, Field

from licensing.schemas.fields import EXAMPLE_POOL, EXAMPLE_TIME, example

_EXAMPLE = {
    "malformed_notification_id": EXAMPLE_POOL,
    "library_id": "2049025000431439",
    "size_bytes": 2,
    "received_at": EXAMPLE_TIME,
}


class _Revealed(Protocol):
    def reveal(self) -> bytes: ...


class MalformedNotificationBody(BaseModel):
    """What came to a library's notification door with its secret, and is no notification."""

    model_config = example(**_EXAMPLE)

    malformed_notification_id: UUID
    library_id: str
    size_bytes: int
    received_at: datetime

    @classmethod
    def of(cls, row: sa.RowMapping) -> "MalformedNotificationBody":
        """Return what callers are shown in a list."""
        return cls(
            malformed_notification_id=row["id"],
            library_id=row["library_id"],
            size_bytes=row["size"],
            received_at=row["received_at"],
        )


class MalformedNotificationDetail(MalformedNotificationBody):
    """The same, with what it said."""

    model_config = example(**_EXAMPLE, body="{}")

    body: str = Field(description="As it came; bytes that are no UTF-8 as \\x escapes.")

    @classmethod
    def showing(cls, row: sa.RowMapping, body: _Revealed) -> "MalformedNotificationDetail":
        """Return what an administrator is shown of one."""
        text = body.reveal().decode(errors="backslashreplace")
        return cls(**MalformedNotificationBody.of(row).model_dump(), body=text)
