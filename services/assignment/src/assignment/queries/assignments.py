"""Questions about requests and assignments: what was asked, and how far it has come."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from assignment.model import SETTLED, State
from assignment.queries.pages import Part, Row, read_one, read_part
from assignment.tables import assignments, covers, entitlements, requests, totals
from shared.database import Database, Transaction
from shared.filters import where


@dataclass(frozen=True, slots=True)
class Progress:
    """How an assignment's entitlements stand; `unfolding` while its set is still being written."""

    assignment_id: UUID
    round: int
    unfolding: bool
    states: dict[str, int]

    @property
    def targets(self) -> int:
        """Return how many entitlements there are."""
        return sum(self.states.values())

    @property
    def settled(self) -> int:
        """Return of how many of them nothing is under way."""
        return sum(count for state, count in self.states.items() if State(state) in SETTLED)


async def list_assignments(
    database: Database, part: Part, **wanted: UUID | str | None
) -> tuple[Sequence[Row], dict[UUID, Progress]]:
    """Return assignments with their progress; `wanted` filters by columns."""
    query = where(sa.select(assignments), {assignments.c[name]: value for name, value in wanted.items()})
    async with database.reading() as tx:
        rows = await read_part(tx, query, part, by=assignments.c.id)
        return rows, await _progress(tx, rows)


async def read_assignment(database: Database, assignment_id: UUID) -> tuple[Row, Progress] | None:
    """Return one assignment with its progress."""
    async with database.reading() as tx:
        return await assignment_in(tx, assignment_id)


async def assignment_in(tx: Transaction, assignment_id: UUID) -> tuple[Row, Progress] | None:
    """Return one assignment with its progress, as this transaction sees it."""
    row = await read_one(tx, sa.select(assignments).where(assignments.c.id == assignment_id))
    return None if row is None else (row, (await _progress(tx, [row]))[assignment_id])


async def read_progress(database: Database, assignment_id: UUID) -> Progress | None:
    """Return how far one assignment has come."""
    found = await read_assignment(database, assignment_id)
    return found and found[1]


async def list_entitlements_of(database: Database, assignment_id: UUID, part: Part) -> Sequence[Row]:
    """Return the latest life on each device that an assignment covers, or covered until its revoke."""
    query = (
        sa.select(entitlements)
        .join(covers, covers.c.entitlement_id == entitlements.c.id)
        .where(covers.c.assignment_id == assignment_id)
    )
    async with database.reading() as tx:
        return await read_part(tx, query, part, by=covers.c.device_id)


async def list_requests(database: Database, part: Part) -> Sequence[Row]:
    """Return requests in the order in which they came."""
    async with database.reading() as tx:
        return await read_part(tx, sa.select(requests), part, by=requests.c.id)


async def read_request(
    database: Database, request_id: UUID
) -> tuple[Row, Sequence[Row], dict[UUID, Progress]] | None:
    """Return one request with its assignments and their progress."""
    async with database.reading() as tx:
        request = await read_one(tx, sa.select(requests).where(requests.c.id == request_id))
        if request is None:
            return None
        query = sa.select(assignments).where(assignments.c.request_id == request_id)
        rows = (await tx.sql.execute(query.order_by(assignments.c.id))).mappings().all()
        return request, rows, await _progress(tx, rows)


async def _progress(tx: Transaction, rows: Sequence[Row]) -> dict[UUID, Progress]:
    states: dict[UUID, dict[str, int]] = {row["id"]: {} for row in rows}
    query = sa.select(totals).where(totals.c.assignment_id.in_(states), totals.c.entitlements > 0)
    for total in (await tx.sql.execute(query)).mappings():
        states[total["assignment_id"]][total["state"]] = total["entitlements"]
    return {
        row["id"]: Progress(row["id"], row["round"], row["unfolding"] > 0, states[row["id"]]) for row in rows
    }
