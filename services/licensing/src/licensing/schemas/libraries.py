"""Libraries as they cross HTTP: how each stands with Apple, and what is set for it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from licensing.model import LibrarySettings
from licensing.model.reconciling import DifferenceClass
from licensing.schemas.fields import EXAMPLE_POOL, EXAMPLE_TIME, example, same
from shared.events.words import RevokeReason

LibraryState = Literal["claiming", "active", "suspended", "fenced"]

_LONGEST_GRACE_SECONDS = 366 * 86_400

Preference = Annotated[
    int,
    Field(
        ge=-1_000_000,
        le=1_000_000,
        description="Of the libraries that hold an asset the lowest is asked first.",
    ),
]
Reclaim = Annotated[
    dict[RevokeReason, Annotated[int, Field(ge=0, le=_LONGEST_GRACE_SECONDS)]],
    Field(
        description="Reason of a revoke: after how many seconds its licence goes back. At once where none is said."
    ),
]
Repairs = Annotated[
    frozenset[DifferenceClass],
    Field(description="Classes of difference from Apple that a reconciliation repairs without a question."),
]


class OtherService(BaseModel):
    """Whom `mdmInfo` names instead of us: all null where it was emptied."""

    id: str | None
    name: str | None
    metadata: str | None
    since: datetime = Field(description="When it was first seen.")


class LibraryBody(BaseModel):
    """What a content token speaks for: Apple's organizational unit, or location."""

    model_config = example(
        library_id="2049025000431439",
        state="active",
        cause=None,
        error_number=None,
        rights="full",
        other_service=None,
        location_name="Lycée Jean Moulin",
        country="FR",
        website_url="https://school.apple.com",
        content_token_id=EXAMPLE_POOL,
        organization_name="Lycée Jean Moulin",
        expires_at="2027-11-22T18:30:00Z",
        notifications_arrive=True,
        assets_read_at=EXAMPLE_TIME,
        checked_at=EXAMPLE_TIME,
        preference=0,
        reclaim={"left_group": 86400},
        repairs=["lost_message"],
        created_at=EXAMPLE_TIME,
    )

    library_id: str = Field(description="Apple's uId.")
    state: LibraryState = Field(
        description="claiming, active, suspended (Apple refuses the content token: see cause), or fenced "
        "(another service claims the library: see other_service). Only active libraries are written to."
    )
    cause: str | None = Field(description="A slug: why it is not active, or what is missing.")
    error_number: int | None = Field(description="Apple's, where Apple refused.")
    rights: str = Field(
        description="What the content token may do: unknown until it was used to write, read_only, or full."
    )
    other_service: OtherService | None
    location_name: str
    country: str
    website_url: str
    content_token_id: UUID
    organization_name: str
    expires_at: datetime = Field(description="When the content token ends.")
    notifications_arrive: bool = Field(description="Whether Apple reaches our notification door.")
    assets_read_at: datetime | None = Field(description="The age of what is known about assets and counts.")
    checked_at: datetime | None = Field(description="When we last looked whose the library is.")
    preference: Preference
    reclaim: Mapping[str, int]
    repairs: list[str]
    created_at: datetime

    @classmethod
    def of(cls, row: sa.RowMapping) -> "LibraryBody":
        """Return what callers are shown of a library."""
        other = (
            None
            if row["fenced_at"] is None
            else OtherService(
                id=row["fenced_id"],
                name=row["fenced_name"],
                metadata=row["fenced_metadata"],
                since=row["fenced_at"],
            )
        )
        return cls(
            library_id=row["id"],
            other_service=other,
            notifications_arrive=row["notified"],
            **same(cls, row),
        )


class LibraryChange(BaseModel):
    """What is to change; what is left out, or null, stays. `reclaim` and `repairs` are replaced whole."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"preference": 1, "reclaim": {"left_group": 86400}}]},
    )

    preference: Preference | None = None
    reclaim: Reclaim | None = None
    repairs: Repairs | None = None

    def settings(self) -> LibrarySettings:
        """Return it in the words of the model."""
        return LibrarySettings(self.preference, self.reclaim, self.repairs)
