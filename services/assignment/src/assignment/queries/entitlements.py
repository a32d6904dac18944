"""Questions about entitlements: which there are, and why one stands where it stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from assignment.decide.why import Why, explain
from assignment.model import DeliveryState, State
from assignment.queries.pages import Part, Row, read_one, read_part
from assignment.store import entitlements as store
from assignment.tables import covers, deliveries, devices, entitlements, steps
from shared.database import Database, Transaction
from shared.filters import where


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entitlements a list holds; None means any. `assignment_id` names the latest lives it covers."""

    asset_id: UUID | None = None
    device_id: UUID | None = None
    serial_number: str | None = None
    state: State | None = None
    assignment_id: UUID | None = None
    request_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """One entitlement, everything that happened to it, who covers it, how it is delivered, and why it stands so."""

    entitlement: Row
    why: Why
    steps: Sequence[Row]
    covers: Sequence[Row]
    deliveries: Sequence[Row]


async def list_entitlements(database: Database, wanted: Wanted, part: Part) -> Sequence[Row]:
    """Return entitlements in the order in which their lives were opened."""
    async with database.reading() as tx:
        return await read_part(tx, select_entitlements(wanted), part, by=entitlements.c.id)


def select_entitlements(wanted: Wanted) -> sa.Select[Any]:
    """Return the query that a list pages through; tables.py says which index serves which filter."""
    column = entitlements.c
    filters = {column.asset_id: wanted.asset_id, column.request_id: wanted.request_id}
    query = where(sa.select(entitlements), filters)
    if wanted.state is not None:
        # Literally, for an index of some states serves no parameter.
        query = query.where(column.state == sa.bindparam(None, wanted.state, literal_execute=True))
    if wanted.device_id is not None:
        query = query.where(_on(sa.literal(wanted.device_id, sa.Uuid)))
    if wanted.serial_number is not None:
        # As an array, for a join would keep the planner from the two indexes.
        here = sa.select(devices.c.id).where(devices.c.serial_number == wanted.serial_number)
        query = query.where(_on(sa.func.any(sa.func.array(here.scalar_subquery()))))
    if wanted.assignment_id is not None:
        covered = sa.select(covers.c.entitlement_id).where(covers.c.assignment_id == wanted.assignment_id)
        query = query.where(column.id.in_(covered))
    return query


def _on(device_id: sa.ColumnElement[UUID]) -> sa.ColumnElement[bool]:
    """Say which device; living and ended lives of a device have an index each, and so neither weighs on the other."""
    column = entitlements.c
    return (column.device_id == device_id) & (column.ended_at.is_(None) | column.ended_at.is_not(None))


async def tell_story(database: Database, entitlement_id: UUID) -> Story | None:
    """Return one entitlement with why: every step, what blocks it, what happens next by itself, and when."""
    async with database.reading() as tx:
        row = await read_one(tx, sa.select(entitlements).where(entitlements.c.id == entitlement_id))
        if row is None:
            return None
        taken = sa.select(steps).where(steps.c.id.in_(row["steps"])).order_by(steps.c.id)
        covering = sa.select(covers).where(
            covers.c.device_id == row["device_id"],
            covers.c.asset_id == row["asset_id"],
            covers.c.entitlement_id == entitlement_id,
        )
        sent = (
            sa.select(deliveries)
            .where(deliveries.c.entitlement_id == entitlement_id)
            .order_by(deliveries.c.id)
        )
        delivered = await _all(tx, sent)
        life = (await store.read(tx, [entitlement_id]))[entitlement_id]
        asked = [each for each in delivered if each["state"] == DeliveryState.ASKED]
        again_at = asked[-1]["ask_deadline_at"] if asked else None
        covered_by = await _all(tx, covering)
        stands = any(each["ended_at"] is None for each in covered_by)
        why = explain(life, delivery_asks_again_at=again_at, covered=stands)
        return Story(row, why, await _all(tx, taken), covered_by, delivered)


async def _all(tx: Transaction, query: sa.Select[tuple[object, ...]]) -> Sequence[Row]:
    return (await tx.sql.execute(query)).mappings().all()
