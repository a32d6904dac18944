"""The bodies that cross HTTP."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from licensing.decide import over_allocated
from licensing.model import IntentKind, Proof, State
from shared.events.words import AssetKind, Held, Refusal

_ASSET = "0f3d5c1e-7c1d-5a55-9c6e-2f4f0f4f8a10"
_POOL = "0193f0a2-6f6e-7d6c-9a39-0d4b6f2f6c01"
_ENTITLEMENT = "0193f0a2-1111-7d6c-9a39-0d4b6f2f6c02"
_TIME = "2026-11-22T18:30:00Z"


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


class NewContentToken(BaseModel):
    """The text of a .vpptoken file, as Apple's portal let it be downloaded."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"content_token": "eyJleHBEYXRlIjoiMjAyNy0wMS0wMVQ..."}]},
    )

    content_token: SecretStr = Field(max_length=16_384)


class ContentTokenBody(BaseModel):
    """A content token, without its text: that is never shown again."""

    model_config = _example(
        content_token_id=_POOL,
        library_id="2049025000431439",
        state="active",
        cause=None,
        error_number=None,
        organization_name="Lycée Jean Moulin",
        location_name="Lycée Jean Moulin",
        country="FR",
        expires_at="2027-11-22T18:30:00Z",
        notifications_arrive=True,
        assets_read_at=_TIME,
        created_by="admin",
        created_at=_TIME,
    )

    content_token_id: UUID
    library_id: str = Field(description="Apple's uId: what the token speaks for.")
    state: str = Field(description="claiming, active, suspended (see cause), or replaced by a newer token.")
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
        return cls(content_token_id=row["id"], notifications_arrive=row["notified"], **_same(cls, row))


class AppleCounts(BaseModel):
    """Apple's own counts at one time. They are never added to ours."""

    total: int | None
    available: int | None
    assigned: int
    retired: int | None
    read_at: datetime


class PoolBody(BaseModel):
    """All licences of one asset in one library, as our ledger counts them."""

    model_config = _example(
        pool_id=_POOL,
        asset_id=_ASSET,
        library_id="2049025000431439",
        adam_id="361309726",
        pricing_param="STDQ",
        kind="vpp_app",
        device_assignable=True,
        revocable=True,
        platforms=["iOS", "macOS"],
        unlimited=False,
        capacity=50,
        held=40,
        available=10,
        foreign=0,
        waiting=0,
        over_allocated=0,
        apple={"total": 50, "available": 10, "assigned": 40, "retired": 0, "read_at": _TIME},
    )

    pool_id: UUID
    asset_id: UUID
    library_id: str
    adam_id: str
    pricing_param: str
    kind: AssetKind
    device_assignable: bool
    revocable: bool
    platforms: list[str]
    unlimited: bool
    capacity: int | None = Field(description="Total less retired less foreign; null where unlimited.")
    held: int = Field(description="Reserved, associating, assigned or releasing.")
    available: int | None = Field(description="What can still be granted; null where unlimited.")
    foreign: int = Field(description="Assignments at Apple that are not ours, counted by reading its list.")
    waiting: int
    over_allocated: int = Field(description="Held beyond the capacity, after a refund or by another hand.")
    apple: AppleCounts

    @classmethod
    def of(cls, row: sa.RowMapping) -> "PoolBody":
        """Return what callers are shown of a pool."""
        capacity = None if row["unlimited"] else row["total"] - row["retired"] - row["foreign_count"]
        return cls(
            pool_id=row["id"],
            kind=AssetKind.VPP_BOOK if row["is_book"] else AssetKind.VPP_APP,
            capacity=None if capacity is None else max(0, capacity),
            available=None if capacity is None else max(0, capacity - row["held"]),
            foreign=row["foreign_count"],
            over_allocated=over_allocated(capacity, row["held"]),
            apple=_apple_counts(row),
            **_same(cls, row),
        )


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
            **_same(cls, row, but={"kind", "sent_at"}),
        )


class LicenseBody(BaseModel):
    """One life of a licence: the right of one entitlement."""

    model_config = _example(
        entitlement_id=_ENTITLEMENT,
        asset_id=_ASSET,
        pool_id=_POOL,
        serial_number="C02XK1ZGJGH5",
        state="released",
        version=2,
        priority=0,
        held="license",
        refusal=None,
        error_number=None,
        sent_at=None,
        apple_event_id=None,
        settled={
            "kind": "disassociate",
            "apple_event_id": "3c3a7a24-2f0c-4d2b-8a0e-7f6f1f6b9f11",
            "proof": "event",
            "sent_at": _TIME,
            "settled_at": _TIME,
        },
        request_id="0193f0a2-2222-7d6c-9a39-0d4b6f2f6c03",
        changed_at=_TIME,
    )

    entitlement_id: UUID
    asset_id: UUID
    pool_id: UUID | None
    serial_number: str
    state: State
    version: int
    priority: int
    held: Held | None = Field(description="What a release found.")
    refusal: Refusal | None
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
            request_id=row["correlation_id"],
            **_same(cls, row, but={"state"}),
        )


class WaitingBody(BaseModel):
    """A place in a waitlist, as of this answer."""

    model_config = _example(
        entitlement_id=_ENTITLEMENT,
        asset_id=_ASSET,
        pool_id=_POOL,
        serial_number="C02XK1ZGJGH5",
        position=1,
        priority=0,
        request_id="0193f0a2-2222-7d6c-9a39-0d4b6f2f6c03",
        changed_at=_TIME,
    )

    entitlement_id: UUID
    asset_id: UUID
    pool_id: UUID
    serial_number: str
    position: int
    priority: int
    request_id: UUID
    changed_at: datetime = Field(description="Since when it waits, or when its priority was raised.")

    @classmethod
    def of(cls, row: sa.RowMapping) -> "WaitingBody":
        """Return what callers are shown of a waiter."""
        return cls(request_id=row["correlation_id"], **_same(cls, row))


def _apple_counts(row: sa.RowMapping) -> AppleCounts:
    """Return a reading with its time: the list's age where the counts in it did not change since."""
    limited = not row["unlimited"]
    return AppleCounts(
        total=row["total"] if limited else None,
        available=row["apple_available"] if limited else None,
        assigned=row["apple_assigned"],
        retired=row["retired"] if limited else None,
        read_at=max(row["read_at"], row["assets_read_at"] or row["read_at"]),
    )


def _same(
    body: type[BaseModel], row: sa.RowMapping, *, but: frozenset[str] | set[str] = frozenset()
) -> dict[str, Any]:
    """Return the fields that are called like a column."""
    named = set(row.keys()) - but
    return {name: row[name] for name in body.model_fields if name in named}
