"""Entitlements: locking them in the order of their ids, opening lives, moving them, and the steps they took."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from assignment.model import LIVING, Entitlement, State
from assignment.store.wishes import wish_of
from shared.database import Transaction
from shared.events.words import RevokeReason

_COLUMNS = """
id, asset_id, device_id, serial_number, request_id, state, assignment_mode, install_mode, priority, expires_at,
no_wait, library_id, version, losses, reason, cause, error_number, position, position_at, ask_deadline_at
"""
_LOCK = f"SELECT {_COLUMNS} FROM entitlements WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE"
_READ = f"SELECT {_COLUMNS} FROM entitlements WHERE id = ANY ($1::uuid[])"
_LOCK_LIVING_ON = f"""
SELECT {_COLUMNS} FROM entitlements
WHERE ended_at IS NULL AND device_id = ANY ($1::uuid[])
ORDER BY id FOR UPDATE
"""
_LOCK_DUE = f"""
SELECT {_COLUMNS} FROM entitlements
WHERE ask_deadline_at <= $1
ORDER BY ask_deadline_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_REFUSED_AFTER = """
SELECT id, device_id FROM entitlements
WHERE state = 'refused' AND asset_id = $1 AND id > $2 ORDER BY id LIMIT $3
"""
_LIVING_DEVICES = "SELECT device_id FROM entitlements WHERE id = ANY ($1::uuid[]) AND ended_at IS NULL"

# What lives opened together have in common travels once, not once per life.
_INSERT = """
INSERT INTO entitlements (id, asset_id, device_id, serial_number, request_id, state, assignment_mode, install_mode,
    priority, expires_at, no_wait, library_id, version, losses, cause, ask_deadline_at, steps,
    created_at, changed_at, ended_at)
SELECT life.id, sort.asset_id, life.device_id, life.serial_number, sort.request_id, sort.state,
    sort.assignment_mode, sort.install_mode, sort.priority, sort.expires_at, sort.no_wait, sort.library_id,
    1, sort.losses, sort.cause, sort.ask_deadline_at, ARRAY[sort.step], $17, $17,
    CASE WHEN sort.state = 'requested' THEN NULL ELSE $17::timestamptz END
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::int[]) AS life (id, device_id, serial_number, sort)
JOIN unnest($5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[], $10::int[], $11::timestamptz[],
            $12::boolean[], $13::text[], $14::int[], $15::text[], $16::timestamptz[], $18::uuid[])
     WITH ORDINALITY AS sort (asset_id, request_id, state, assignment_mode, install_mode, priority, expires_at,
            no_wait, library_id, losses, cause, ask_deadline_at, step, number)
     ON sort.number = life.sort
"""
_MOVE = """
UPDATE entitlements AS life
SET state = moved.state, cause = moved.cause, reason = moved.reason, version = moved.version,
    position = moved.position, position_at = moved.position_at, ask_deadline_at = moved.ask_deadline_at,
    error_number = moved.error_number, steps = life.steps || moved.steps::uuid[], changed_at = $11,
    ended_at = CASE WHEN moved.state = ANY ($12::text[]) THEN NULL ELSE coalesce(life.ended_at, $11::timestamptz) END
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::text[], $6::int[], $7::int[], $8::timestamptz[],
            $9::timestamptz[], $10::text[])
     AS moved (id, state, cause, error_number, reason, version, position, position_at, ask_deadline_at, steps)
WHERE life.id = moved.id
"""
_REWISH = """
UPDATE entitlements AS life
SET assignment_mode = wished.assignment_mode, install_mode = wished.install_mode, priority = wished.priority,
    expires_at = wished.expires_at, no_wait = wished.no_wait, library_id = wished.library_id,
    version = wished.version
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::boolean[], $7::text[], $8::int[])
     AS wished (id, assignment_mode, install_mode, priority, expires_at, no_wait, library_id, version)
WHERE life.id = wished.id
"""
_POSTPONE = "UPDATE entitlements SET ask_deadline_at = $2 WHERE id = ANY ($1::uuid[])"
_MAKE_DUE = """
WITH open AS (SELECT id FROM entitlements WHERE ask_deadline_at > $1 ORDER BY id FOR UPDATE)
UPDATE entitlements SET ask_deadline_at = $1 FROM open WHERE entitlements.id = open.id
"""
_STEP = """
INSERT INTO steps (id, at, what, state, cause, event_id, lives)
SELECT id, $7, what, state, cause, event_id, lives
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::int[])
     AS step (id, what, state, cause, event_id, lives)
"""


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of so many entitlements: what happened, where it led, why, and the event that said so."""

    id: UUID
    what: str
    state: State
    cause: str | None
    event_id: UUID | None
    lives: int


async def lock(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, Entitlement]:
    """Lock these entitlements, in the order of their ids; ids that are unknown are absent from the answer."""
    return _by_id(await tx.raw.fetch(_LOCK, list(ids)))


async def read(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, Entitlement]:
    """Return these entitlements without locking them."""
    return _by_id(await tx.raw.fetch(_READ, list(ids)))


async def lock_living_on(tx: Transaction, device_ids: Sequence[UUID]) -> dict[UUID, Entitlement]:
    """Lock every living entitlement of these devices."""
    return _by_id(await tx.raw.fetch(_LOCK_LIVING_ON, device_ids))


async def lock_due(tx: Transaction, *, before: datetime, limit: int) -> list[Entitlement]:
    """Lock entitlements whose ask is due, the longest overdue first; rows locked by others are left out."""
    return [_entitlement(row) for row in await tx.raw.fetch(_LOCK_DUE, before, limit)]


async def refused_after(tx: Transaction, asset_id: UUID, *, cursor: UUID, limit: int) -> dict[UUID, UUID]:
    """Return the next lives of an asset that were refused, in the order of their ids, each with its device."""
    rows = await tx.raw.fetch(_REFUSED_AFTER, asset_id, cursor, limit)
    return {row["id"]: row["device_id"] for row in rows}


async def devices_of_living(tx: Transaction, ids: Iterable[UUID]) -> list[UUID]:
    """Return the devices of those of these entitlements that live; nothing is locked."""
    return [row["device_id"] for row in await tx.raw.fetch(_LIVING_DEVICES, list(ids))]


async def insert(tx: Transaction, lives: Sequence[Entitlement], steps: Sequence[UUID]) -> None:
    """Store new lives, requested or refused, each with the step that opened it."""
    sorts: dict[tuple[object, ...], int] = {}
    numbers: list[int] = []
    for life, step in zip(lives, steps, strict=True):
        wish = life.wish
        sort = (
            life.asset_id,
            life.request_id,
            life.state,
            wish.assignment_mode,
            wish.install_mode,
            wish.priority,
            wish.expires_at,
            wish.no_wait,
            wish.library_id,
            life.losses,
            life.cause,
            life.ask_deadline_at,
            step,
        )
        numbers.append(sorts.setdefault(sort, len(sorts) + 1))
    *columns, step_ids = (list(column) for column in zip(*sorts, strict=True))
    await tx.raw.execute(
        _INSERT,
        [life.id for life in lives],
        [life.device_id for life in lives],
        [life.serial_number for life in lives],
        numbers,
        *columns,
        tx.now,
        step_ids,
    )


async def move(tx: Transaction, lives: Sequence[Entitlement], steps: Sequence[Sequence[UUID]]) -> None:
    """Store where lives stand now, and append to each the steps that it took."""
    await tx.raw.execute(
        _MOVE,
        [life.id for life in lives],
        [life.state for life in lives],
        [life.cause for life in lives],
        [life.error_number for life in lives],
        [life.reason for life in lives],
        [life.version for life in lives],
        [life.position for life in lives],
        [life.position_at for life in lives],
        [life.ask_deadline_at for life in lives],
        [f"{{{','.join(map(str, taken))}}}" for taken in steps],
        tx.now,
        list(LIVING),
    )


async def rewish(tx: Transaction, lives: Sequence[Entitlement]) -> None:
    """Store what all covers of these lives want together now."""
    wishes = [life.wish for life in lives]
    await tx.raw.execute(
        _REWISH,
        [life.id for life in lives],
        [wish.assignment_mode for wish in wishes],
        [wish.install_mode for wish in wishes],
        [wish.priority for wish in wishes],
        [wish.expires_at for wish in wishes],
        [wish.no_wait for wish in wishes],
        [wish.library_id for wish in wishes],
        [life.version for life in lives],
    )


async def postpone(tx: Transaction, ids: Sequence[UUID], until: datetime) -> None:
    """Start the deadlines of these asks anew."""
    await tx.raw.execute(_POSTPONE, ids, until)


async def make_due(tx: Transaction) -> None:
    """Set the deadline of every open ask to now."""
    await tx.raw.execute(_MAKE_DUE, tx.now)


async def insert_steps(tx: Transaction, steps: Sequence[StepRow]) -> None:
    """Store steps, each once for all entitlements that took it."""
    await tx.raw.execute(
        _STEP,
        [step.id for step in steps],
        [step.what for step in steps],
        [step.state for step in steps],
        [step.cause for step in steps],
        [step.event_id for step in steps],
        [step.lives for step in steps],
        tx.now,
    )


def _by_id(rows: Sequence[Record]) -> dict[UUID, Entitlement]:
    return {row["id"]: _entitlement(row) for row in rows}


def _entitlement(row: Record) -> Entitlement:
    reason = row["reason"]
    return Entitlement(
        id=row["id"],
        asset_id=row["asset_id"],
        device_id=row["device_id"],
        serial_number=row["serial_number"],
        request_id=row["request_id"],
        state=State(row["state"]),
        wish=wish_of(row),
        version=row["version"],
        losses=row["losses"],
        reason=None if reason is None else RevokeReason(reason),
        cause=row["cause"],
        error_number=row["error_number"],
        position=row["position"],
        position_at=row["position_at"],
        ask_deadline_at=row["ask_deadline_at"],
    )
