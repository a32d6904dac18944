"""Apple users as they cross HTTP. Nothing in them says who the person is but the id that assignment gave them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from licensing.model import AppleUserStatus
from licensing.schemas.fields import EXAMPLE_TIME, LibraryId, example, same

_USER = "0193f0a2-1111-7d6c-9a39-0d4b6f2f6c02"
_OTHER = "0193f0a2-1111-7d6c-9a39-0d4b6f2f6c03"


class AppleUserState(StrEnum):
    """Where an Apple user stands: Apple's word, or what Apple is being asked for."""

    NEW = "new"
    WANTED = "wanted"
    REGISTERING = "registering"
    REGISTERED = "registered"
    ASSOCIATED = "associated"
    FAILED = "failed"
    RETIRING = "retiring"
    RETIRED = "retired"


class RecordBody(BaseModel):
    """One record that Apple showed: of a user many may be retired, and at most one is active."""

    status: AppleUserStatus
    seen_at: datetime


class AppleUserBody(BaseModel):
    """A person as Apple knows them in one library."""

    model_config = example(
        user_id=_USER,
        library_id="2049025000431439",
        client_user_id=_USER,
        state="registered",
        version=1,
        cause=None,
        error_number=None,
        blocked_by=None,
        invited_at=EXAMPLE_TIME,
        shares_account_with=[_OTHER],
        records=[{"status": "Registered", "seen_at": EXAMPLE_TIME}],
        changed_at=EXAMPLE_TIME,
    )

    user_id: UUID
    library_id: str
    client_user_id: str = Field(description="Under which Apple knows them; licensing's own.")
    state: AppleUserState = Field(
        description="wanted: Apple is to be asked. registering: it was. registered: they are to accept an"
        " invitation. associated: their licences go to Apple. failed: see cause."
    )
    version: int
    cause: str | None = Field(description="A slug: why Apple would not.")
    error_number: int | None = Field(description="Apple's.")
    blocked_by: str | None = Field(
        description="What the next step waits for: person_not_heard_of (a newer version of them than we know),"
        " person_left."
    )
    invited_at: datetime | None = Field(
        description="When the present invitation was asked for; null where it has ended, or none was needed."
    )
    shares_account_with: list[UUID] = Field(
        description="Other people of whom Apple showed the same Apple Account, or the directory tells the same"
        " Managed Apple ID: one account cannot serve two."
    )
    records: list[RecordBody] = Field(description="All that Apple showed of them, the last seen first.")
    changed_at: datetime

    @classmethod
    def of(cls, row: sa.RowMapping) -> "AppleUserBody":
        """Return what callers are shown of an Apple user."""
        return cls(
            shares_account_with=sorted(set(row["shares_account_with"])),
            **same(cls, row, but={"shares_account_with"}),
        )


class Reinvitation(BaseModel):
    """In which library a person is to be bound anew."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"library_id": "2049025000431439"}]}
    )

    library_id: LibraryId
