"""Reconciliations while they read: what Apple lists, beside our own rows, whole sets at a time."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from licensing.model import Reading, State
from licensing.model.reconciling import Candidate, Standing
from shared.database import Transaction
from shared.ids import new_ids

_BEGIN = """
INSERT INTO reconciliation (id, library_id, asked_by, state, began_at)
SELECT id, library_id, $3, 'reading', $4 FROM unnest($1::uuid[], $2::text[]) AS new (id, library_id)
ON CONFLICT (library_id) WHERE state = 'reading' DO NOTHING RETURNING id, library_id
"""
_STANDS = "SELECT state, library_id FROM reconciliation WHERE id = $1"
_UNDER_WAY = "SELECT id FROM reconciliation WHERE library_id = ANY ($1::text[]) AND state = 'reading'"
_COUNTS = """
SELECT asset_id, id, total, apple_available, apple_assigned, retired, unlimited, read_at
FROM pool WHERE library_id = $1
"""
_NEXT_POOL = """
SELECT id FROM pool WHERE library_id = $1 AND id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY id LIMIT 1
"""
_READ = """
UPDATE reconciliation SET pools = pools + 1, inexact = inexact + $2::int, listed = listed + $3 WHERE id = $1
"""
_END = "UPDATE reconciliation SET state = 'ended', ended_at = $2 WHERE id = $1"
_REPAIRS = "SELECT repairs FROM library WHERE id = (SELECT library_id FROM reconciliation WHERE id = $1)"
_FOREIGN_MOVED = """
SELECT EXISTS (SELECT FROM difference
               WHERE reconciliation_id = $1 AND pool_id = $2 AND class IN ('foreign', 'our_fault')
                 AND NOT EXISTS (SELECT FROM foreign_assignment AS known
                                 WHERE (known.pool_id, known.of_people, known.holder)
                                     = (difference.pool_id, difference.of_people, difference.holder)))
    OR EXISTS (SELECT FROM foreign_assignment AS known
               WHERE pool_id = $2 AND NOT EXISTS (SELECT FROM listed_assignment AS listed
                                                  WHERE listed.reading_id = $1
                                                    AND (listed.pool_id, listed.of_people, listed.holder)
                                                      = (known.pool_id, known.of_people, known.holder)))
"""

# Only those are looked at closely where the ledger's living lives and Apple's list disagree.
_CANDIDATES = """
WITH listed AS (
    SELECT listed.holder AS name, {key} AS key FROM listed_assignment AS listed {joined}
    WHERE listed.reading_id = $1 AND listed.pool_id = $2 AND listed.of_people = {of_people}
), living AS (
    SELECT {column} AS key, license.entitlement_id, license.state, coalesce(intent.sent_at < $5, false) AS overdue
    FROM license LEFT JOIN intent ON intent.id = license.intent_id
    WHERE license.pool_id = $2 AND license.asset_id = $3 AND license.{column} IS NOT NULL
      AND license.state IN ('waitlisted', 'awaiting_acceptance', 'reserved', 'assigned', 'releasing')
), candidate AS (
    SELECT listed.name, coalesce(listed.key, living.key) AS key, living.entitlement_id, living.state, living.overdue
    FROM listed FULL JOIN living ON living.key = listed.key
    WHERE living.overdue OR (listed.name IS NOT NULL) <> (living.state IS NOT DISTINCT FROM 'assigned')
)
SELECT coalesce(candidate.name, {name}) AS holder, candidate.name IS NOT NULL AS listed,
       coalesce(candidate.entitlement_id, ended.entitlement_id) AS entitlement_id,
       CASE WHEN lives.returning THEN 'releasing' ELSE coalesce(candidate.state, ended.state) END AS state,
       coalesce(ended.asked, false) AS asked, coalesce(candidate.overdue, false) AS overdue,
       coalesce(lives.moved, false) AS moved
FROM candidate
LEFT JOIN LATERAL (SELECT bool_or(state = 'releasing') AS returning, bool_or(changed_at >= $4) AS moved
                   FROM license
                   WHERE {column} = candidate.key AND asset_id = $3 AND pool_id = $2) AS lives ON true
LEFT JOIN LATERAL (SELECT entitlement_id, state, settlement_id IS NOT NULL AS asked FROM license
                   WHERE {column} = candidate.key AND asset_id = $3 AND pool_id = $2
                   ORDER BY changed_at DESC, entitlement_id DESC LIMIT 1) AS ended ON candidate.state IS NULL
"""
_OF_DEVICES = _CANDIDATES.format(
    key="listed.holder", joined="", of_people="false", column="serial_number", name="candidate.key"
)
_OF_PEOPLE = _CANDIDATES.format(
    key="apple_user.user_id",
    joined="LEFT JOIN apple_user ON apple_user.client_user_id = listed.holder AND apple_user.library_id ="
    " (SELECT library_id FROM pool WHERE pool.id = $2)",
    of_people="true",
    column="user_id",
    name="(SELECT client_user_id FROM apple_user JOIN pool USING (library_id)"
    " WHERE pool.id = $2 AND apple_user.user_id = candidate.key), candidate.key::text",
)
_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared: one reading of one pool.

    What changed at or after `since` proves nothing; a request that was sent before `overdue` is overdue.
    """

    reconciliation_id: UUID
    pool_id: UUID
    asset_id: UUID
    since: datetime
    overdue: datetime
    exact: bool


async def begin(
    tx: Transaction, library_ids: Sequence[str], *, asked_by: str
) -> tuple[Mapping[UUID, str], Sequence[UUID]]:
    """Begin a reconciliation of each library; return the new ones with their libraries, and those under way before."""
    rows = await tx.raw.fetch(_BEGIN, new_ids(len(library_ids)), library_ids, asked_by, tx.now)
    new = {row["id"]: row["library_id"] for row in rows}
    under_way = await tx.raw.fetch(_UNDER_WAY, library_ids)
    return new, [row["id"] for row in under_way if row["id"] not in new]


async def stands(tx: Transaction, reconciliation_id: UUID) -> tuple[str, str] | None:
    """Return the state of a reconciliation and its library; None where there is none."""
    row = await tx.raw.fetchrow(_STANDS, reconciliation_id)
    return None if row is None else (row["state"], row["library_id"])


async def counts(tx: Transaction, library_id: str) -> Mapping[UUID, tuple[UUID, Reading, datetime]]:
    """Return by asset the pools of a library: id, Apple's counts as we know them, and when they were read."""
    rows = await tx.raw.fetch(_COUNTS, library_id)
    return {row[0]: (row[1], Reading(*tuple(row)[2:7]), row[7]) for row in rows}


async def next_pool(tx: Transaction, library_id: str, *, after: UUID | None) -> UUID | None:
    """Return the pool that is read next."""
    pool_id: UUID | None = await tx.raw.fetchval(_NEXT_POOL, library_id, after)
    return pool_id


async def candidates(tx: Transaction, comparison: Comparison) -> AsyncIterator[list[Candidate]]:
    """Yield, some at a time, everybody in a pool about whom our ledger and the stored list may differ."""
    for of_people, question in ((False, _OF_DEVICES), (True, _OF_PEOPLE)):
        cursor = await tx.raw.cursor(
            question,
            comparison.reconciliation_id,
            comparison.pool_id,
            comparison.asset_id,
            comparison.since,
            comparison.overdue,
        )
        while rows := await cursor.fetch(_AT_ONCE):
            yield [_candidate(row, of_people=of_people, exact=comparison.exact) for row in rows]


async def foreign_moved(tx: Transaction, reconciliation_id: UUID, pool_id: UUID) -> bool:
    """Say whether the list shows other foreign assignments of a pool than are stored."""
    return bool(await tx.raw.fetchval(_FOREIGN_MOVED, reconciliation_id, pool_id))


async def pool_read(tx: Transaction, reconciliation_id: UUID, *, exact: bool, listed: int) -> None:
    """Count a pool that was read and compared."""
    await tx.raw.execute(_READ, reconciliation_id, not exact, listed)


async def end(tx: Transaction, reconciliation_id: UUID) -> Sequence[str]:
    """Note that all was read; return the classes that the library's setting lets be repaired without a question."""
    await tx.raw.execute(_END, reconciliation_id, tx.now)
    classes: Sequence[str] = await tx.raw.fetchval(_REPAIRS, reconciliation_id)
    return classes


def _candidate(row: asyncpg.Record, *, of_people: bool, exact: bool) -> Candidate:
    state = None if row["state"] is None else State(row["state"])
    standing = Standing(
        listed=row["listed"],
        exact=exact,
        state=state,
        asked=row["asked"],
        overdue=row["overdue"],
        moved=row["moved"],
    )
    return Candidate(row["holder"], of_people, row["entitlement_id"], standing)
