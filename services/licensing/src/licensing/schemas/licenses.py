"""Licences and places in a waitlist as they cross HTTP."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, Field

from licensing.model import Failure, IntentKind, Proof, State
from licensing.schemas.fields import (
    EXAMPLE_ASSET,
    EXAMPLE_ENTITLEMENT,
    EXAMPLE_POOL,
    EXAMPLE_TIME,
    example,
    same,
)
from shared.events.words import Held, Refusal


class SettlementBody(BaseModel):
    """A request to Apple whose outcome is known: the proof of what became of a licence."""

    kind: IntentKind
    apple_event_id: str | None = Field(description="None where Apple's answer was lost, or refused it.")
    proof: Proof = Field(
        description="event: its event was COMPLETE. list: Apple's list, read after it ended, shows what was done."
        " refusal: Apple refused it whole."
    )
    sent_at: datetime | None
    settled_at: datetime

    @classmethod
    def of(cls, row: sa.RowMapping) -> "SettlementBody | None":
        """Return what callers are shown of the last settled request of a licence; None before there is one."""
        if row["settled_at"] is None:
            return None
        return cls(
            kind=row["settled_kind"],
            apple_event_id=row["settled_event_id"],
            sent_at=row["settled_sent_at"],
            **same(cls, row, but={"kind", "sent_at"}),
        )


class LicenseBody(BaseModel):
    """One life of a licence: the right of one entitlement."""

    model_config = example(
        entitlement_id=EXAMPLE_ENTITLEMENT,
        asset_id=EXAMPLE_ASSET,
        pool_id=EXAMPLE_POOL,
        serial_number="C02XK1ZGJGH5",
        user_id=None,
        state="released",
        version=2,
        priority=0,
        held="license",
        quarantined_until=None,
        cause=None,
        error_number=None,
        sent_at=None,
        apple_event_id=None,
        settled={
            "kind": "disassociate",
            "apple_event_id": "3c3a7a24-2f0c-4d2b-8a0e-7f6f1f6b9f11",
            "proof": "event",
            "sent_at": EXAMPLE_TIME,
            "settled_at": EXAMPLE_TIME,
        },
        request_id="0193f0a2-2222-7d6c-9a39-0d4b6f2f6c03",
        changed_at=EXAMPLE_TIME,
    )

    entitlement_id: UUID
    asset_id: UUID
    pool_id: UUID | None
    serial_number: str | None = Field(description="The device that it is for, else the person is named.")
    user_id: UUID | None = Field(description="The person that it is for.")
    state: State
    version: int
    priority: int
    held: Held | None = Field(description="What a release found.")
    quarantined_until: datetime | None = Field(
        description="A licence on its way back is kept for its target until then, where a grace is set."
    )
    cause: Refusal | Failure | None = Field(description="Why it was refused, or failed.")
    error_number: int | None = Field(description="Apple's, where Apple refused.")
    sent_at: datetime | None = Field(description="When the request to Apple left that it is part of now.")
    apple_event_id: str | None = Field(description="Of that request.")
    settled: SettlementBody | None = Field(
        description="The last request to Apple about it whose outcome is known: the proof of its return."
    )
    request_id: UUID = Field(description="The request that asked last.")
    changed_at: datetime

    @classmethod
    def of(cls, row: sa.RowMapping) -> "LicenseBody":
        """Return what callers are shown of a licence."""
        return cls(
            state=State(row["present_state"]),
            apple_event_id=row["event_id"],
            settled=SettlementBody.of(row),
            quarantined_until=row["release_at"] if row["present_state"] == "releasing" else None,
            request_id=row["correlation_id"],
            **same(cls, row, but={"state"}),
        )


class WaitingBody(BaseModel):
    """A place in a waitlist, as of this answer."""

    model_config = example(
        entitlement_id=EXAMPLE_ENTITLEMENT,
        asset_id=EXAMPLE_ASSET,
        pool_id=EXAMPLE_POOL,
        serial_number="C02XK1ZGJGH5",
        user_id=None,
        position=1,
        priority=0,
        library_id=None,
        expires_at=None,
        request_id="0193f0a2-2222-7d6c-9a39-0d4b6f2f6c03",
        changed_at=EXAMPLE_TIME,
    )

    entitlement_id: UUID
    asset_id: UUID
    pool_id: UUID
    serial_number: str | None
    user_id: UUID | None
    position: int
    priority: int
    library_id: str | None = Field(description="The only library that it may come from; null: any.")
    expires_at: datetime | None = Field(description="Who waits longer than this waits no more.")
    request_id: UUID
    changed_at: datetime = Field(description="Since when it waits, or when its priority was raised.")

    @classmethod
    def of(cls, row: sa.RowMapping) -> "WaitingBody":
        """Return what callers are shown of a waiter."""
        return cls(request_id=row["correlation_id"], **same(cls, row))
