"""Reconciliations as they cross HTTP: what was compared, what differs, and what would be done about it."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from licensing.model.reconciling import DifferenceClass, DifferenceState, RepairKind
from licensing.reconcile import REPAIRS
from licensing.schemas.fields import (
    EXAMPLE_ASSET,
    EXAMPLE_ENTITLEMENT,
    EXAMPLE_POOL,
    EXAMPLE_TIME,
    LibraryId,
    example,
    same,
)

_SHOWN = {
    "reconciliation_id": "0193f0a2-3333-7d6c-9a39-0d4b6f2f6c04",
    "library_id": "2049025000431439",
    "state": "ended",
    "asked_by": "clock",
    "began_at": EXAMPLE_TIME,
    "ended_at": EXAMPLE_TIME,
    "pools": 12,
    "inexact": 0,
    "listed": 4711,
}


class NewReconciliation(BaseModel):
    """Which library is reconciled; none named means all."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"library_id": "2049025000431439"}]}
    )

    library_id: LibraryId | None = None


class NewRepair(BaseModel):
    """Which classes of differences are repaired; none named means all."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"classes": ["taken", "lost_message"]}]}
    )

    classes: Annotated[list[DifferenceClass], Field(min_length=1)] | None = None

    @property
    def wanted(self) -> frozenset[DifferenceClass]:
        """Return the classes meant."""
        return frozenset(DifferenceClass if self.classes is None else self.classes)


class ReconciliationBody(BaseModel):
    """One library, our ledger beside Apple's lists."""

    model_config = example(**_SHOWN)

    reconciliation_id: UUID
    library_id: str
    state: Literal["reading", "ended"]
    asked_by: str = Field(description="Who wanted it; clock for the daily one.")
    began_at: datetime
    ended_at: datetime | None
    pools: int = Field(description="Whose lists were read so far.")
    inexact: int = Field(
        description="Of these, lists that kept changing while they were read: what they lack proves nothing."
    )
    listed: int = Field(description="Assignments that Apple listed.")

    @classmethod
    def of(cls, row: sa.RowMapping) -> "ReconciliationBody":
        """Return what callers are shown of a reconciliation."""
        return cls(reconciliation_id=row["id"], **same(cls, row))


class ClassBody(BaseModel):
    """How many differences of one class a reconciliation found, by what became of them."""

    kind: DifferenceClass = Field(alias="class")
    repair: RepairKind
    open: int
    applied: int
    gone: int
    ignored: int


class FullReconciliationBody(ReconciliationBody):
    """The same, with the plan: what was found by class, and the repair of each."""

    model_config = example(
        **_SHOWN,
        differences=[
            {"class": "foreign", "repair": "reclaim", "open": 2, "applied": 0, "gone": 0, "ignored": 0}
        ],
    )

    differences: list[ClassBody]

    @classmethod
    def with_counts(cls, row: sa.RowMapping, counts: Iterable[sa.RowMapping]) -> "FullReconciliationBody":
        """Return it with how many were found; classes of which none was found are left out."""
        found: dict[DifferenceClass, Counter[DifferenceState]] = {}
        for each in counts:
            kind, state = DifferenceClass(each["class"]), DifferenceState(each["state"])
            found.setdefault(kind, Counter())[state] += each["many"]
        differences = [
            ClassBody.model_validate(
                {"class": kind, "repair": REPAIRS[kind]}
                | {str(state): found[kind][state] for state in DifferenceState}
            )
            for kind in DifferenceClass
            if kind in found
        ]
        return cls(differences=differences, **ReconciliationBody.of(row).model_dump())


class DifferenceBody(BaseModel):
    """One difference: what we have, what Apple has, and what would repair it."""

    model_config = example(
        difference_id="0193f0a2-4444-7d6c-9a39-0d4b6f2f6c05",
        asset_id=EXAMPLE_ASSET,
        adam_id="361309726",
        pricing_param="STDQ",
        pool_id=EXAMPLE_POOL,
        serial_number="C02XK1ZGJGH5",
        client_user_id=None,
        user_id=None,
        entitlement_id=EXAMPLE_ENTITLEMENT,
        ours={"state": "assigned"},
        apples={"listed": False},
        repair="end",
        state="open",
        found_at=EXAMPLE_TIME,
        settled_at=None,
        **{"class": "taken"},
    )

    difference_id: UUID
    kind: DifferenceClass = Field(alias="class")
    asset_id: UUID
    adam_id: str | None = Field(description="Null for an asset that is not known here yet.")
    pricing_param: str | None
    pool_id: UUID | None
    serial_number: str | None = Field(description="The device's, where a device has it.")
    client_user_id: str | None = Field(description="Apple's name of the person, where a person has it.")
    user_id: UUID | None = Field(description="The person, where somebody here knows them.")
    entitlement_id: UUID | None = Field(description="The life that it is about, where there is one.")
    ours: dict[str, Any] = Field(
        description="What we have: the state of the life, or the counts as we know them."
    )
    apples: dict[str, Any] = Field(description="What Apple has: whether it lists the holder, or its counts.")
    repair: RepairKind = Field(
        description="reclaim: take it back with a request to Apple, with its proof. end: end the life, and tell that"
        " it was lost. read_list, read_counts: read what Apple says anew, for only that settles it."
    )
    state: DifferenceState
    found_at: datetime = Field(description="When the reading began that found it.")
    settled_at: datetime | None

    @classmethod
    def of(cls, row: sa.RowMapping) -> "DifferenceBody":
        """Return what callers are shown of a difference."""
        of_people = row["of_people"]
        kind = DifferenceClass(row["class"])
        return cls.model_validate(
            {
                "difference_id": row["id"],
                "class": kind,
                "repair": REPAIRS[kind],
                "serial_number": None if of_people else row["holder"],
                "client_user_id": row["holder"] if of_people else None,
                **same(cls, row),
            }
        )
