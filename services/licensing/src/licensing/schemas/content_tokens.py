"""Content tokens as they cross HTTP: their texts come in and never go out."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from licensing.schemas.fields import EXAMPLE_POOL, EXAMPLE_TIME, LibraryId, example, same

ContentTokenState = Literal["claiming", "active", "suspended", "fenced", "replaced"]


class NewContentToken(BaseModel):
    """The text of a .vpptoken file, as Apple's portal let it be downloaded."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"content_token": "eyJleHBEYXRlIjoiMjAyNy0wMS0wMVQ..."}]},
    )

    content_token: SecretStr = Field(max_length=16_384)
    library_id: LibraryId | None = Field(
        default=None,
        description="This is the renewal of that library: a token of another one is refused.",
    )
    takeover: bool = Field(
        default=False, description="Claim the library even where another service manages it now."
    )


class ContentTokenBody(BaseModel):
    """A content token, without its text: that is never shown again."""

    model_config = example(
        content_token_id=EXAMPLE_POOL,
        library_id="2049025000431439",
        state="active",
        cause=None,
        error_number=None,
        organization_name="Lycée Jean Moulin",
        location_name="Lycée Jean Moulin",
        country="FR",
        expires_at="2027-11-22T18:30:00Z",
        notifications_arrive=True,
        assets_read_at=EXAMPLE_TIME,
        created_by="admin",
        created_at=EXAMPLE_TIME,
    )

    content_token_id: UUID
    library_id: str = Field(description="Apple's uId: what the token speaks for.")
    state: ContentTokenState = Field(
        description="claiming, active, suspended, fenced (see cause), or replaced by a newer token."
    )
    cause: str | None = Field(description="A slug: why it is suspended, or what is missing.")
    error_number: int | None = Field(description="Apple's, where Apple refused.")
    organization_name: str
    location_name: str
    country: str
    expires_at: datetime
    notifications_arrive: bool = Field(description="Whether Apple reaches our notification door.")
    assets_read_at: datetime | None
    created_by: str
    created_at: datetime

    @classmethod
    def of(cls, row: sa.RowMapping) -> "ContentTokenBody":
        """Return what callers are shown of a content token."""
        return cls(content_token_id=row["id"], notifications_arrive=row["notified"], **same(cls, row))
