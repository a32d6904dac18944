"""Licences: whole sets in and out. Whoever writes one holds its pool's row (store.pools)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import asyncpg

from licensing.model import HOLDING, STORED, Ask, License, State
from shared.database import Transaction
from shared.events.words import Held, Refusal

_LIVING = "('waitlisted', 'reserved', 'assigned', 'releasing')"
_STATE = """
CASE WHEN intent.sent_at IS NULL THEN license.state
     WHEN license.state = 'reserved' THEN 'associating'
     WHEN intent.kind = 'associate' THEN 'withdrawing'
     ELSE 'disassociating' END
"""
_COLUMNS = f"""
license.entitlement_id, license.pool_id, license.asset_id, license.serial_number, license.version,
{_STATE}, license.correlation_id, license.priority, license.arrival, license.no_wait, license.intent_id,
license.held, license.refusal, license.error_number
"""
_SELECT = f"SELECT {_COLUMNS} FROM license LEFT JOIN intent ON intent.id = license.intent_id"
_KNOWN = f"""
{_SELECT} WHERE license.entitlement_id = ANY ($1::uuid[])
UNION
{_SELECT} WHERE license.serial_number = ANY ($2::text[]) AND license.pool_id = ANY ($3::uuid[])
            AND license.state IN {_LIVING}
"""
_OF_INTENT = f"{_SELECT} WHERE license.intent_id = $1 ORDER BY license.arrival, license.entitlement_id"
_SERIAL_NUMBERS = "SELECT serial_number FROM license WHERE intent_id = ANY ($1::uuid[])"
_FIRST_WAITING = f"""
SELECT {_COLUMNS},
       EXISTS (SELECT FROM license AS other
               WHERE other.pool_id = license.pool_id AND other.serial_number = license.serial_number
                 AND other.intent_id IS NOT NULL) AS busy
FROM license LEFT JOIN intent ON intent.id = license.intent_id
WHERE license.pool_id = $1 AND license.state = 'waitlisted'
ORDER BY license.priority DESC, license.arrival LIMIT $2
"""
_WAITING_FOREIGN = f"""
{_SELECT} WHERE license.pool_id = $1 AND license.state = 'waitlisted'
            AND EXISTS (SELECT FROM foreign_assignment AS stranger
                        WHERE (stranger.pool_id, stranger.serial_number)
                            = (license.pool_id, license.serial_number))
"""
_WAITING_FOR_OUTCOME = f"""
{_SELECT} WHERE license.serial_number = ANY ($2::text[]) AND license.pool_id = $1
            AND license.state IN ('waitlisted', 'reserved') AND license.intent_id IS NULL
"""
_ARRAYS = """
unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::uuid[], $8::int[],
       $9::bigint[], $10::bool[], $11::uuid[], $12::text[], $13::text[], $14::int[])
AS new (entitlement_id, pool_id, asset_id, serial_number, version, state, correlation_id, priority, arrival,
        no_wait, intent_id, held, refusal, error_number)
"""
_INSERT = f"""
INSERT INTO license (entitlement_id, pool_id, asset_id, serial_number, version, state, correlation_id,
                     priority, arrival, no_wait, intent_id, held, refusal, error_number, changed_at)
SELECT new.*, $15 FROM {_ARRAYS}
"""
_UPDATE = f"""
UPDATE license SET version = new.version, state = new.state, correlation_id = new.correlation_id,
       priority = new.priority, no_wait = new.no_wait, intent_id = new.intent_id, held = new.held,
       refusal = new.refusal, error_number = new.error_number, changed_at = $15,
       -- The request that it leaves is the proof of what became of it, where that is settled by now.
       settlement_id = coalesce((SELECT id FROM settlement WHERE id = license.intent_id), settlement_id)
FROM {_ARRAYS} WHERE license.entitlement_id = new.entitlement_id
"""
_LOWER = """
SELECT asked.pool_id, asked.priority, count(license.entitlement_id)
FROM unnest($1::uuid[], $2::int[]) AS asked (pool_id, priority)
LEFT JOIN license ON license.pool_id = asked.pool_id AND license.state = 'waitlisted'
                 AND license.priority < asked.priority
GROUP BY asked.pool_id, asked.priority
"""
_POSITIONS = """
SELECT entitlement_id, position
FROM (SELECT entitlement_id,
             row_number() OVER (PARTITION BY pool_id ORDER BY priority DESC, arrival) AS position
      FROM license WHERE state = 'waitlisted' AND pool_id = ANY ($2::uuid[])) AS waitlist
WHERE entitlement_id = ANY ($1::uuid[])
"""
_FORGET = """
DELETE FROM license WHERE entitlement_id IN (
    SELECT entitlement_id FROM license WHERE state IN ('released', 'refused') AND changed_at < $1
    LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger knows when asks arrive: their own lives, and other living ones of their targets."""

    lives: Mapping[UUID, License]
    in_the_way: Mapping[tuple[UUID, str], License]
    """By asset and serial number; what has left for Apple to be released is not in the way."""
    leaving: Sequence[License]
    """Those that have."""


@dataclass(slots=True)
class Rows:
    """Licences to be written, column by column: a set is never taken apart into one statement per row."""

    columns: tuple[list[object], ...] = field(default_factory=lambda: tuple([] for _ in range(14)))

    def __len__(self) -> int:
        return len(self.columns[0])

    def extend(
        self,
        targets: Sequence[Ask | License],
        *,
        pool_id: UUID | None,
        state: State,
        arrivals: Sequence[int],
        intent_ids: Sequence[UUID | None],
        outcome: tuple[Held | None, Refusal | None, int | None],
    ) -> None:
        """Add targets that all come to one state. `outcome` is held, refusal and Apple's error number."""
        many = len(targets)
        values: tuple[Sequence[object], ...] = (
            [target.entitlement_id for target in targets],
            [pool_id] * many,
            [target.asset_id for target in targets],
            [target.serial_number for target in targets],
            [target.version for target in targets],
            [str(STORED.get(state, state))] * many,
            [target.correlation_id for target in targets],
            [target.priority for target in targets],
            arrivals,
            [target.no_wait for target in targets],
            intent_ids,
            *([value] * many for value in outcome),
        )
        for column, added in zip(self.columns, values, strict=True):
            column.extend(added)


async def known(tx: Transaction, asks: Sequence[Ask], pool_ids: Sequence[UUID]) -> Known:
    """Return what is known about these asks. The pools of their assets are locked."""
    rows = await tx.raw.fetch(
        _KNOWN, [ask.entitlement_id for ask in asks], [ask.serial_number for ask in asks], pool_ids
    )
    asked = {ask.entitlement_id for ask in asks} if rows else frozenset[UUID]()
    found = [_license(row) for row in rows]
    return Known(
        {each.entitlement_id: each for each in found if each.entitlement_id in asked},
        {
            (each.asset_id, each.serial_number): each
            for each in found
            if each.entitlement_id not in asked and each.pool_id is not None and each.state in _IN_THE_WAY
        },
        [each for each in found if each.state is State.DISASSOCIATING],
    )


async def of_intent(tx: Transaction, intent_id: UUID) -> list[License]:
    """Return the members of a request to Apple, in the order of arrival."""
    return [_license(row) for row in await tx.raw.fetch(_OF_INTENT, intent_id)]


async def serial_numbers(tx: Transaction, intent_ids: Collection[UUID]) -> set[str]:
    """Return the targets of these requests."""
    return {row["serial_number"] for row in await tx.raw.fetch(_SERIAL_NUMBERS, list(intent_ids))}


async def first_waiting(tx: Transaction, pool_id: UUID, limit: int) -> tuple[list[License], set[str]]:
    """Return who is first in the waitlist, and the serial numbers among them that another request is about."""
    rows = await tx.raw.fetch(_FIRST_WAITING, pool_id, limit)
    return (
        [_license(tuple(row)[:-1]) for row in rows],
        {row["serial_number"] for row in rows if row["busy"]},
    )


async def waiting_foreign(tx: Transaction, pool_id: UUID) -> list[License]:
    """Return who waits in a pool though a foreign licence of it is theirs."""
    return [_license(row) for row in await tx.raw.fetch(_WAITING_FOREIGN, pool_id)]


async def waiting_for_outcome(
    tx: Transaction, pool_id: UUID, serial_numbers: Collection[str]
) -> list[License]:
    """Return the later lives of these targets, whose former ones are part of a request to Apple."""
    if not serial_numbers:
        return []
    return [_license(row) for row in await tx.raw.fetch(_WAITING_FOR_OUTCOME, pool_id, list(serial_numbers))]


async def insert(tx: Transaction, rows: Rows) -> None:
    """Store new lives."""
    await tx.raw.execute(_INSERT, *rows.columns, tx.now)


async def update(tx: Transaction, rows: Rows) -> None:
    """Write changed lives back."""
    await tx.raw.execute(_UPDATE, *rows.columns, tx.now)


async def forget_ended(tx: Transaction, before: datetime, *, limit: int) -> int:
    """Delete lives that ended before then and that nobody is writing; return how many. No pool needs its lock.

    Ended lives hold nothing and nobody counts them; a writer that meets one waits for us, we for none.
    """
    return int((await tx.raw.execute(_FORGET, before, limit)).split()[-1])


async def waiting_below(
    tx: Transaction, places: Sequence[tuple[UUID, int]]
) -> Mapping[tuple[UUID, int], int]:
    """Return for each (pool, priority) how many wait in the pool with a lower priority."""
    rows = await tx.raw.fetch(_LOWER, [pool for pool, _ in places], [priority for _, priority in places])
    return {(row[0], row[1]): row[2] for row in rows}


async def positions(
    tx: Transaction, entitlement_ids: Collection[UUID], pool_ids: Collection[UUID]
) -> Mapping[UUID, int]:
    """Return the present places of waiters, counted from 1. Reads the whole waitlist of each pool."""
    rows = await tx.raw.fetch(_POSITIONS, list(entitlement_ids), list(pool_ids))
    return {row["entitlement_id"]: row["position"] for row in rows}


_IN_THE_WAY = HOLDING - {State.DISASSOCIATING} | {State.WAITLISTED}


def _license(row: asyncpg.Record | tuple[object, ...]) -> License:
    values = list(row)
    values[5] = State(values[5])
    values[11] = None if values[11] is None else Held(values[11])
    values[12] = None if values[12] is None else Refusal(values[12])
    return License(*values)
