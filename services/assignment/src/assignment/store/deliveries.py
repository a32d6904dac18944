"""Deliveries: one entitlement on one enrollment, and how it goes there."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from assignment.model import Delivery, DeliveryState
from shared.database import Transaction

_SELECT = """
SELECT d.id, d.entitlement_id, d.asset_id, d.enrollment_id, d.request_id, d.state, d.attempt, d.cause,
    d.ask_deadline_at
FROM deliveries d
"""
_LOCK = f"{_SELECT} WHERE d.id = ANY ($1::uuid[]) ORDER BY d.id FOR UPDATE"
_LOCK_OF = f"""{_SELECT}
WHERE d.entitlement_id = ANY ($1::uuid[]) AND d.state = ANY ($2::text[]) ORDER BY d.id FOR UPDATE
"""
_LOCK_DUE = f"""{_SELECT}
WHERE d.ask_deadline_at <= $1 ORDER BY d.ask_deadline_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_INSERT = """
INSERT INTO deliveries (id, entitlement_id, asset_id, enrollment_id, request_id, state, attempt, ask_deadline_at,
    created_at, changed_at)
SELECT *, $9, $9
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::int[], $8::timestamptz[])
"""
_MOVE = """
UPDATE deliveries
SET state = moved.state, cause = moved.cause, ask_deadline_at = moved.ask_deadline_at, changed_at = $5
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[]) AS moved (id, state, cause, ask_deadline_at)
WHERE deliveries.id = moved.id
"""
_POSTPONE = "UPDATE deliveries SET ask_deadline_at = $2 WHERE id = ANY ($1::uuid[])"
_MAKE_DUE = """
WITH open AS (SELECT id FROM deliveries WHERE ask_deadline_at > $1 ORDER BY id FOR UPDATE)
UPDATE deliveries SET ask_deadline_at = $1 FROM open WHERE deliveries.id = open.id
"""


async def lock(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, Delivery]:
    """Lock these deliveries, in the order of their ids; their entitlements are locked before."""
    return {row["id"]: _delivery(row) for row in await tx.raw.fetch(_LOCK, list(ids))}


async def lock_of(
    tx: Transaction, entitlement_ids: Sequence[UUID], states: Iterable[DeliveryState]
) -> list[Delivery]:
    """Lock the deliveries of these entitlements that stand in one of these states."""
    return [_delivery(row) for row in await tx.raw.fetch(_LOCK_OF, entitlement_ids, list(states))]


async def lock_due(tx: Transaction, *, before: datetime, limit: int) -> list[Delivery]:
    """Lock deliveries whose ask is due, the longest overdue first; rows locked by others are left out."""
    return [_delivery(row) for row in await tx.raw.fetch(_LOCK_DUE, before, limit)]


async def insert(tx: Transaction, deliveries: Sequence[Delivery]) -> None:
    """Store new deliveries."""
    await tx.raw.execute(
        _INSERT,
        [delivery.id for delivery in deliveries],
        [delivery.entitlement_id for delivery in deliveries],
        [delivery.asset_id for delivery in deliveries],
        [delivery.enrollment_id for delivery in deliveries],
        [delivery.request_id for delivery in deliveries],
        [delivery.state for delivery in deliveries],
        [delivery.attempt for delivery in deliveries],
        [delivery.ask_deadline_at for delivery in deliveries],
        tx.now,
    )


async def move(tx: Transaction, deliveries: Sequence[Delivery]) -> None:
    """Store where deliveries stand now."""
    await tx.raw.execute(
        _MOVE,
        [delivery.id for delivery in deliveries],
        [delivery.state for delivery in deliveries],
        [delivery.cause for delivery in deliveries],
        [delivery.ask_deadline_at for delivery in deliveries],
        tx.now,
    )


async def postpone(tx: Transaction, ids: Sequence[UUID], until: datetime) -> None:
    """Start the deadlines of these asks anew."""
    await tx.raw.execute(_POSTPONE, ids, until)


async def make_due(tx: Transaction) -> None:
    """Set the deadline of every open ask to now."""
    await tx.raw.execute(_MAKE_DUE, tx.now)


def _delivery(row: Record) -> Delivery:
    return Delivery(
        id=row["id"],
        entitlement_id=row["entitlement_id"],
        asset_id=row["asset_id"],
        enrollment_id=row["enrollment_id"],
        request_id=row["request_id"],
        state=DeliveryState(row["state"]),
        attempt=row["attempt"],
        cause=row["cause"],
        ask_deadline_at=row["ask_deadline_at"],
    )
