"""What others ask about licences and waitlists."""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from licensing.model import State
from licensing.queries.rows import Rows
from licensing.tables import intent, license_, settlement
from shared.database import Database
from shared.filters import where

_PRESENT = sa.case(
    (intent.c.sent_at.is_(None), license_.c.state),
    (license_.c.state == "reserved", "associating"),
    (intent.c.kind == "associate", "withdrawing"),
    else_="disassociating",
)
"""The state as people should see it: on its way to Apple or not."""


@dataclass(frozen=True, slots=True)
class LicenseFilter:
    """Which licences a list holds; None means any."""

    pool_id: UUID | None = None
    asset_id: UUID | None = None
    serial_number: str | None = None
    user_id: UUID | None = None
    state: State | None = None


async def list_licenses(database: Database, wanted: LicenseFilter, *, limit: int, after: UUID | None) -> Rows:
    """Return lives of licences in the order of their entitlement ids, those behind `after` only."""
    question = _licenses().order_by(license_.c.entitlement_id).limit(limit)
    if after is not None:
        question = question.where(license_.c.entitlement_id > after)
    question = where(
        question,
        {
            license_.c.pool_id: wanted.pool_id,
            license_.c.asset_id: wanted.asset_id,
            license_.c.serial_number: wanted.serial_number,
            license_.c.user_id: wanted.user_id,
            _PRESENT: wanted.state,
        },
    )
    async with database.reading() as tx:
        return (await tx.sql.execute(question)).mappings().all()


async def find_license(database: Database, entitlement_id: UUID) -> sa.RowMapping | None:
    """Return the licence of one entitlement."""
    async with database.reading() as tx:
        question = _licenses().where(license_.c.entitlement_id == entitlement_id)
        return (await tx.sql.execute(question)).mappings().first()


async def list_waiting(
    database: Database, wanted: LicenseFilter, *, limit: int, after: tuple[UUID, int] | None
) -> Rows:
    """Return who waits, pool by pool in the order of the waitlist, with each one's place as of now."""
    position = sa.func.row_number().over(
        partition_by=license_.c.pool_id, order_by=[license_.c.priority.desc(), license_.c.arrival]
    )
    waiting = sa.select(license_, position.label("position")).where(license_.c.state == "waitlisted")
    # Whole pools are left out here: places are counted before any other filter.
    pools = {license_.c.pool_id: wanted.pool_id, license_.c.asset_id: wanted.asset_id}
    waitlist = where(waiting, pools).subquery()
    question = sa.select(waitlist).order_by(waitlist.c.pool_id, waitlist.c.position).limit(limit)
    question = where(
        question, {waitlist.c.serial_number: wanted.serial_number, waitlist.c.user_id: wanted.user_id}
    )
    if after is not None:
        question = question.where(
            sa.tuple_(waitlist.c.pool_id, waitlist.c.position)
            > sa.tuple_(sa.literal(after[0], sa.Uuid), sa.literal(after[1], sa.BigInteger))
        )
    async with database.reading() as tx:
        return (await tx.sql.execute(question)).mappings().all()


def _licenses() -> sa.Select[tuple[object, ...]]:
    return (
        sa.select(
            license_,
            _PRESENT.label("present_state"),
            intent.c.sent_at,
            intent.c.event_id,
            settlement.c.kind.label("settled_kind"),
            settlement.c.event_id.label("settled_event_id"),
            settlement.c.proof,
            settlement.c.sent_at.label("settled_sent_at"),
            settlement.c.settled_at,
        )
        .outerjoin(intent, intent.c.id == license_.c.intent_id)
        .outerjoin(settlement, settlement.c.id == license_.c.settlement_id)
    )
