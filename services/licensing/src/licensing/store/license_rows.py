"""Licences as rows: columns in, licences out. Whoever writes one holds its pool's row (store.pools)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from licensing.model import STORED, Ask, Cause, Failure, Holder, License, State
from shared.database import Transaction
from shared.events.words import Held, Refusal

_STATE = """
CASE WHEN intent.sent_at IS NULL THEN license.state
     WHEN license.state = 'reserved' THEN 'associating'
     WHEN intent.kind = 'associate' THEN 'withdrawing'
     ELSE 'disassociating' END
"""
COLUMNS = f"""
license.entitlement_id, license.pool_id, license.asset_id, license.serial_number, license.version,
{_STATE}, license.correlation_id, license.priority, license.arrival, license.no_wait, license.library_id,
license.expires_at, license.release_at, license.intent_id, license.held, license.cause, license.error_number,
license.user_id
"""
SELECT = f"SELECT {COLUMNS} FROM license LEFT JOIN intent ON intent.id = license.intent_id"
_ARRAYS = """
unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::bigint[], $7::text[], $8::uuid[],
       $9::int[], $10::bigint[], $11::bool[], $12::text[], $13::timestamptz[], $14::timestamptz[],
       $15::uuid[], $16::text[], $17::text[], $18::int[])
AS new (entitlement_id, pool_id, asset_id, serial_number, user_id, version, state, correlation_id, priority,
        arrival, no_wait, library_id, expires_at, release_at, intent_id, held, cause, error_number)
"""
_INSERT = f"""
INSERT INTO license (entitlement_id, pool_id, asset_id, serial_number, user_id, version, state, correlation_id,
                     priority, arrival, no_wait, library_id, expires_at, release_at, intent_id, held, cause,
                     error_number, changed_at)
SELECT new.*, $19 FROM {_ARRAYS}
"""
_UPDATE = f"""
UPDATE license SET pool_id = new.pool_id, version = new.version, state = new.state,
       correlation_id = new.correlation_id, priority = new.priority, no_wait = new.no_wait,
       library_id = new.library_id, expires_at = new.expires_at, release_at = new.release_at,
       intent_id = new.intent_id, held = new.held, cause = new.cause, error_number = new.error_number,
       changed_at = $19,
       -- The request that it leaves is the proof of what became of it, where that is settled by now.
       settlement_id = coalesce((SELECT id FROM settlement WHERE id = license.intent_id), settlement_id)
FROM {_ARRAYS} WHERE license.entitlement_id = new.entitlement_id
"""
_FAILURES = frozenset(Failure)
_FIELDS = 18


@dataclass(slots=True)
class Rows:
    """Licences to be written, column by column: a set is never taken apart into one statement per row."""

    columns: tuple[list[object], ...] = field(default_factory=lambda: tuple([] for _ in range(18)))

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
        outcome: tuple[Held | None, Cause | None, int | None],
    ) -> None:
        """Add targets that all come to one state. `outcome` is held, cause and Apple's error number."""
        many = len(targets)
        holders = [target.holder for target in targets]
        values: tuple[Sequence[object], ...] = (
            [target.entitlement_id for target in targets],
            [pool_id] * many,
            [target.asset_id for target in targets],
            [holder if isinstance(holder, str) else None for holder in holders],
            [holder if isinstance(holder, UUID) else None for holder in holders],
            [target.version for target in targets],
            [str(STORED.get(state, state))] * many,
            [target.correlation_id for target in targets],
            [target.priority for target in targets],
            arrivals,
            [target.no_wait for target in targets],
            [target.library_id for target in targets],
            [target.expires_at for target in targets],
            [target.release_at if isinstance(target, License) else None for target in targets],
            intent_ids,
            *([value] * many for value in outcome),
        )
        for column, added in zip(self.columns, values, strict=True):
            column.extend(added)


async def insert(tx: Transaction, rows: Rows) -> None:
    """Store new lives."""
    await tx.raw.execute(_INSERT, *rows.columns, tx.now)


async def update(tx: Transaction, rows: Rows) -> None:
    """Write changed lives back."""
    await tx.raw.execute(_UPDATE, *rows.columns, tx.now)


def by_kind(holders: Iterable[Holder]) -> tuple[list[str], list[UUID]]:
    """Part holders into serial numbers and user ids."""
    serial_numbers: list[str] = []
    user_ids: list[UUID] = []
    for holder in holders:
        if isinstance(holder, str):
            serial_numbers.append(holder)
        else:
            user_ids.append(holder)
    return serial_numbers, user_ids


def to_license(row: asyncpg.Record) -> License:
    """Read a row of SELECT; columns behind its own are left alone."""
    values = list(row)[:_FIELDS]
    user_id = values.pop()
    values[3] = values[3] or user_id
    values[5] = State(values[5])
    values[14] = None if values[14] is None else Held(values[14])
    values[15] = _cause(values[15])
    return License(*values)


def _cause(text: str | None) -> Cause | None:
    if text is None:
        return None
    return Failure(text) if text in _FAILURES else Refusal(text)
