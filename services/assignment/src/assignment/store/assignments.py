"""Requests and their assignments, and the totals that say how far each has come."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from asyncpg import Record

from assignment.model import Assignment, State, TargetType
from assignment.store.wishes import wish_of
from shared.database import Transaction

_COLUMNS = """
id, request_id, asset_id, target_type, target_id, assignment_mode, install_mode, priority, expires_at, no_wait,
library_id
"""
_INSERT_REQUEST = "INSERT INTO requests (id, caller, refused, created_at) VALUES ($1, $2, $3::jsonb, $4)"
_INSERT = f"""
INSERT INTO assignments ({_COLUMNS}, unfolding, created_at)
SELECT asked.*, $13
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::int[],
            $9::timestamptz[], $10::boolean[], $11::text[], $12::int[])
     AS asked ({_COLUMNS}, unfolding)
"""
_READ = f"SELECT {_COLUMNS}, ended_at IS NULL AS stands, end_reason, unfolding FROM assignments WHERE id = $1"
_STANDING_ON = f"SELECT {_COLUMNS} FROM assignments WHERE target_id = $1 AND ended_at IS NULL ORDER BY id"
_EXPIRED = """
SELECT id FROM assignments WHERE ended_at IS NULL AND expires_at <= $1 ORDER BY expires_at LIMIT $2
"""
_END = "UPDATE assignments SET ended_at = $2, end_reason = $3, unfolding = $4 WHERE id = $1"
_BEGUN = "UPDATE assignments SET unfolding = unfolding + 1 WHERE id = ANY ($1::uuid[])"
_UNFOLDED = "UPDATE assignments SET unfolding = unfolding - 1 WHERE unfolding > 0 AND id = ANY ($1::uuid[])"
_LOCK_TOTALS = """
SELECT id, request_id, asset_id, round, unfolding FROM assignments WHERE id = ANY ($1::uuid[])
ORDER BY id FOR NO KEY UPDATE
"""
_TOTALS = "SELECT assignment_id, state, entitlements FROM totals WHERE assignment_id = ANY ($1::uuid[])"
_PUT_TOTALS = """
INSERT INTO totals (assignment_id, state, entitlements)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[])
ON CONFLICT (assignment_id, state) DO UPDATE SET entitlements = excluded.entitlements
"""
_ROUNDS = """
UPDATE assignments SET round = told.round FROM unnest($1::uuid[], $2::int[]) AS told (id, round)
WHERE assignments.id = told.id
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """An assignment and whether it stands; `unfolding` counts the work rows that open or end its covers."""

    assignment: Assignment
    stands: bool
    end_reason: str | None
    unfolding: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How an assignment's entitlements stand, as locked for counting."""

    assignment_id: UUID
    request_id: UUID
    asset_id: UUID
    round: int
    unfolding: int
    states: dict[State, int]


async def insert_request(
    tx: Transaction, request_id: UUID, *, caller: str, refused: Sequence[dict[str, Any]]
) -> None:
    """Store a request with the assignments that were refused as a whole, as they were answered."""
    await tx.raw.execute(_INSERT_REQUEST, request_id, caller, json.dumps(refused), tx.now)


async def insert(tx: Transaction, assignments: Sequence[Assignment], unfolding: Sequence[bool]) -> None:
    """Store assignments; `unfolding` says which are left to a work row."""
    wishes = [assignment.wish for assignment in assignments]
    await tx.raw.execute(
        _INSERT,
        [assignment.id for assignment in assignments],
        [assignment.request_id for assignment in assignments],
        [assignment.asset_id for assignment in assignments],
        [assignment.target_type for assignment in assignments],
        [assignment.target_id for assignment in assignments],
        [wish.assignment_mode for wish in wishes],
        [wish.install_mode for wish in wishes],
        [wish.priority for wish in wishes],
        [wish.expires_at for wish in wishes],
        [wish.no_wait for wish in wishes],
        [wish.library_id for wish in wishes],
        [int(each) for each in unfolding],
        tx.now,
    )


async def read(tx: Transaction, assignment_id: UUID) -> Standing | None:
    """Return an assignment without locking it: its target's lock is what its covers change under."""
    row = await tx.raw.fetchrow(_READ, assignment_id)
    return row and Standing(_assignment(row), row["stands"], row["end_reason"], row["unfolding"])


async def standing_on(tx: Transaction, target_id: UUID) -> list[Assignment]:
    """Return the assignments that stand for this target, oldest first."""
    return [_assignment(row) for row in await tx.raw.fetch(_STANDING_ON, target_id)]


async def expired(tx: Transaction, *, before: datetime, limit: int) -> list[UUID]:
    """Return standing assignments whose expiry has passed."""
    return [row["id"] for row in await tx.raw.fetch(_EXPIRED, before, limit)]


async def end(tx: Transaction, assignment_id: UUID, *, reason: str, unfolding: bool) -> None:
    """Store that an assignment has ended; `unfolding` while a work row still ends its covers."""
    await tx.raw.execute(_END, assignment_id, tx.now, reason, int(unfolding))


async def begun(tx: Transaction, ids: Iterable[UUID]) -> None:
    """Store that one more work row is under way for each of these assignments; they are locked."""
    await tx.raw.execute(_BEGUN, list(ids))


async def unfolded(tx: Transaction, ids: Iterable[UUID]) -> None:
    """Store that a work row of each of these assignments, if one was under way, has come to its end."""
    await tx.raw.execute(_UNFOLDED, list(ids))


async def lock_tallies(tx: Transaction, ids: Iterable[UUID]) -> list[Tally]:
    """Lock assignments in the order of their ids and return how their entitlements stand."""
    listed = list(ids)
    assignments = await tx.raw.fetch(_LOCK_TOTALS, listed)
    states: dict[UUID, dict[State, int]] = {row["id"]: {} for row in assignments}
    for row in await tx.raw.fetch(_TOTALS, listed):
        states[row["assignment_id"]][State(row["state"])] = row["entitlements"]
    return [
        Tally(
            row["id"], row["request_id"], row["asset_id"], row["round"], row["unfolding"], states[row["id"]]
        )
        for row in assignments
    ]


async def put_totals(tx: Transaction, totals: Sequence[tuple[UUID, State, int]]) -> None:
    """Store totals, as (assignment, state, entitlements)."""
    await tx.raw.execute(_PUT_TOTALS, *(list(column) for column in zip(*totals, strict=True)))


async def put_rounds(tx: Transaction, rounds: dict[UUID, int]) -> None:
    """Store the round that each of these assignments has completed."""
    await tx.raw.execute(_ROUNDS, list(rounds), list(rounds.values()))


def _assignment(row: Record) -> Assignment:
    return Assignment(
        id=row["id"],
        request_id=row["request_id"],
        asset_id=row["asset_id"],
        target_type=TargetType(row["target_type"]),
        target_id=row["target_id"],
        wish=wish_of(row),
    )
