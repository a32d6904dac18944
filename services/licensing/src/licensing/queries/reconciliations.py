"""What others ask about reconciliations and what they found."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from licensing.model.reconciling import DifferenceClass, DifferenceState
from licensing.queries.rows import Rows
from licensing.tables import apple_user, asset, difference, reconciliation
from shared.database import Database, Transaction
from shared.filters import where


@dataclass(frozen=True, slots=True)
class DifferenceFilter:
    """Which differences a list holds; None means any."""

    kind: DifferenceClass | None = None
    state: DifferenceState | None = None


async def list_reconciliations(
    database: Database, library_id: str | None, *, limit: int, before: UUID | None
) -> Rows:
    """Return reconciliations, the newest first, those older than `before` only."""
    question = sa.select(reconciliation).order_by(reconciliation.c.id.desc()).limit(limit)
    if library_id is not None:
        question = question.where(reconciliation.c.library_id == library_id)
    if before is not None:
        question = question.where(reconciliation.c.id < before)
    async with database.reading() as tx:
        return (await tx.sql.execute(question)).mappings().all()


async def reconciliations_in(tx: Transaction, reconciliation_ids: Sequence[UUID]) -> Rows:
    """Return these within the transaction that began them."""
    question = sa.select(reconciliation).where(reconciliation.c.id.in_(reconciliation_ids))
    return (await tx.sql.execute(question.order_by(reconciliation.c.id))).mappings().all()


async def find_reconciliation(
    database: Database, reconciliation_id: UUID
) -> tuple[sa.RowMapping, Rows] | None:
    """Return one, and how many differences it found by class and state."""
    async with database.reading() as tx:
        return await reconciliation_in(tx, reconciliation_id)


async def reconciliation_in(tx: Transaction, reconciliation_id: UUID) -> tuple[sa.RowMapping, Rows] | None:
    """Return the same within a transaction."""
    rows = await reconciliations_in(tx, [reconciliation_id])
    if not rows:
        return None
    kind, state = difference.c["class"], difference.c.state
    counted = (
        sa.select(kind, state, sa.func.count().label("many"))
        .where(difference.c.reconciliation_id == reconciliation_id)
        .group_by(kind, state)
    )
    return rows[0], (await tx.sql.execute(counted)).mappings().all()


async def list_differences(
    database: Database,
    reconciliation_id: UUID,
    wanted: DifferenceFilter,
    *,
    limit: int,
    after: UUID | None,
) -> Rows | None:
    """Return what a reconciliation found, in the order of finding; None where there is no such reconciliation."""
    question = (
        sa.select(difference, asset.c.adam_id, asset.c.pricing_param, apple_user.c.user_id)
        .join(reconciliation, reconciliation.c.id == difference.c.reconciliation_id)
        .outerjoin(asset, asset.c.id == difference.c.asset_id)
        .outerjoin(
            apple_user,
            sa.and_(
                difference.c.of_people,
                apple_user.c.library_id == reconciliation.c.library_id,
                apple_user.c.client_user_id == difference.c.holder,
            ),
        )
        .where(difference.c.reconciliation_id == reconciliation_id)
        .order_by(difference.c.id)
        .limit(limit)
    )
    question = where(question, {difference.c["class"]: wanted.kind, difference.c.state: wanted.state})
    if after is not None:
        question = question.where(difference.c.id > after)
    async with database.reading() as tx:
        if not await reconciliations_in(tx, [reconciliation_id]):
            return None
        return (await tx.sql.execute(question)).mappings().all()
