"""Work rows: what has to be done with an outside party, claimed under a lease, done with no transaction open."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from shared import metrics
from shared.database import Database, Transaction, unavailable
from shared.errors import ManagedDistributionError, Unavailable
from shared.ids import new_id, new_ids
from shared.retry import Backoff, delay_seconds
from shared.waiting import pause

_log = structlog.get_logger(__name__)

_ADD = """
INSERT INTO work (id, kind, payload, correlation_id, due_at, created_at)
SELECT id, kind, payload::jsonb, correlation_id, due_at, $6
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::timestamptz[])
     AS row (id, kind, payload, correlation_id, due_at)
"""
# A set with a LIMIT is an array here, as everywhere: joined to, it may be made again for every row.
_CLAIM = """
UPDATE work SET lease = $1, leased_until = clock_timestamp() + make_interval(secs => $2)
WHERE id = ANY (ARRAY(
    SELECT id FROM work
    WHERE kind = ANY ($3::text[]) AND due_at <= clock_timestamp()
      AND (leased_until IS NULL OR leased_until < clock_timestamp())
    ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED))
RETURNING id, kind, payload::text AS payload, correlation_id, attempts
"""
_FINISH = "DELETE FROM work WHERE id = $1 AND lease = $2 RETURNING id"
_PROCEED = """
UPDATE work SET payload = $3::jsonb, due_at = $4, attempts = 0, problem = NULL, lease = NULL, leased_until = NULL
WHERE id = $1 AND lease = $2 RETURNING id
"""
_POSTPONE = """
UPDATE work SET due_at = $3, attempts = attempts + 1, problem = $4, lease = NULL, leased_until = NULL
WHERE id = $1 AND lease = $2 RETURNING id
"""
# Both lock in one order, so that two who bring the same rows forward do not block each other.
_HASTEN = """
UPDATE work SET due_at = $2
WHERE id = ANY (ARRAY(
    SELECT id FROM work WHERE id = ANY ($1::uuid[]) AND due_at > $2 AND attempts = 0 ORDER BY id FOR UPDATE))
"""
_RESUME = """
UPDATE work SET due_at = $1
WHERE id = ANY (ARRAY(
    SELECT id FROM work WHERE due_at > $1 AND attempts > 0 AND lease IS NULL ORDER BY id FOR UPDATE))
"""


class LeaseLost(ManagedDistributionError):
    """Another worker took this row meanwhile: whatever was about to be written is not ours to write."""


@dataclass(frozen=True, slots=True)
class NewWork:
    """A row to be: `payload` is JSON, `due_at` None means now."""

    kind: str
    payload: dict[str, Any]
    correlation_id: UUID
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class WorkRow:
    """A claimed row; `lease` proves to the outcome's transaction that it still is ours."""

    id: UUID
    kind: str
    payload: dict[str, Any]
    correlation_id: UUID
    attempts: int
    lease: UUID


Step = Callable[[WorkRow], Awaitable[None]]
"""Does one row: calls the outside party with no transaction open, then writes the outcome in its own
transaction, which ends the row with `finish`, `proceed` or `postpone`."""


async def add(tx: Transaction, rows: Sequence[NewWork]) -> list[UUID]:
    """Store work; an idle worker of this process is woken after the commit."""
    if not rows:
        return []
    ids = new_ids(len(rows))
    await tx.raw.execute(
        _ADD,
        ids,
        [row.kind for row in rows],
        [json.dumps(row.payload) for row in rows],
        [row.correlation_id for row in rows],
        [row.due_at or tx.now for row in rows],
        tx.now,
    )
    tx.after_commit(tx.nudges.work.ring)
    return ids


async def finish(tx: Transaction, row: WorkRow) -> None:
    """Delete a row that is done. Raises LeaseLost."""
    await _settle(tx, row, _FINISH)


async def proceed(tx: Transaction, row: WorkRow, *, payload: dict[str, Any], due_at: datetime) -> None:
    """Give a row its next part to do. Raises LeaseLost."""
    await _settle(tx, row, _PROCEED, json.dumps(payload), due_at)
    tx.after_commit(tx.nudges.work.ring)


async def postpone(tx: Transaction, row: WorkRow, *, due_at: datetime, problem: str) -> None:
    """Try a row again later; `problem` is a slug. Raises LeaseLost."""
    await _settle(tx, row, _POSTPONE, due_at, problem)


async def hasten(tx: Transaction, work_ids: Sequence[UUID]) -> None:
    """Let these be done now; what was put off after a failed try is not: it waits as long as it was asked to."""
    await tx.raw.execute(_HASTEN, work_ids, tx.now)
    tx.after_commit(tx.nudges.work.ring)


async def resume(tx: Transaction) -> None:
    """Let everything that was put off be tried again now: what it waited for is there."""
    await tx.raw.execute(_RESUME, tx.now)
    tx.after_commit(tx.nudges.work.ring)


async def _settle(tx: Transaction, row: WorkRow, statement: str, *values: object) -> None:
    if await tx.raw.fetchval(statement, row.id, row.lease, *values) is None:
        raise LeaseLost(f"{row.kind} {row.id} was taken by another worker")


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """A step has `lease_seconds` to come to its end, and `stop_seconds` once the process is to end.

    `concurrency` steps run at once.
    """

    concurrency: int = 16
    lease_seconds: float = 120.0
    stop_seconds: float = 20.0
    fastest_seconds: float = 0.01
    slowest_seconds: float = 0.25
    first_retry_seconds: float = 1.0
    longest_retry_seconds: float = 900.0


class Worker:
    """Claims due rows of the kinds it has steps for, and does them side by side."""

    def __init__(
        self, database: Database, steps: Mapping[str, Step], settings: WorkerSettings | None = None
    ) -> None:
        self._database = database
        self._steps = steps
        self._settings = settings or WorkerSettings()
        self._running: set[asyncio.Task[None]] = set()
        self._turned_at = database.clock.monotonic()

    def progressing(self) -> bool:
        """Say whether the loop still turns."""
        return self._database.clock.monotonic() - self._turned_at < 120

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then let the steps under way end; one that takes too long is cut off.

        What was cut off stays leased: another worker takes it up once its outcome can no longer come.
        """
        wait = Backoff(first=self._settings.fastest_seconds, most=self._settings.slowest_seconds)
        while not stop.is_set():
            self._turned_at = self._database.clock.monotonic()
            if await self._start_some(stop):
                wait.reset()
            if len(self._running) >= self._settings.concurrency:
                await asyncio.wait(self._running, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
            elif await self._database.nudges.work.wait(wait.next()):
                wait.reset()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self._settings.stop_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _start_some(self, stop: asyncio.Event) -> int:
        free = self._settings.concurrency - len(self._running)
        try:
            rows = await self._claim(free) if free > 0 else []
        except Exception as error:
            if not unavailable(error):
                raise
            _log.warning("worker: the database does not answer", cause=type(error).__name__)
            await pause(stop, 1.0)
            return 0
        for row in rows:
            task = asyncio.create_task(self._do(row), name=f"{row.kind} {row.id}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return len(rows)

    async def _claim(self, limit: int) -> list[WorkRow]:
        lease = new_id()
        rows = await self._database.fetch(
            _CLAIM, lease, self._settings.lease_seconds, list(self._steps), limit
        )
        return [
            WorkRow(
                row["id"],
                row["kind"],
                json.loads(row["payload"]),
                row["correlation_id"],
                row["attempts"],
                lease,
            )
            for row in rows
        ]

    async def _do(self, row: WorkRow) -> None:
        with structlog.contextvars.bound_contextvars(correlation_id=str(row.correlation_id)):
            try:
                async with asyncio.timeout(self._settings.lease_seconds * 0.9):
                    await self._steps[row.kind](row)
                metrics.WORK_DONE.labels(row.kind).inc()
            except LeaseLost:
                _log.warning("worker: a lease was lost", kind=row.kind)
            except Exception as error:  # noqa: BLE001 - whatever a step raises, its row is tried again
                await self._failed(row, error)

    async def _failed(self, row: WorkRow, error: Exception) -> None:
        settings = self._settings
        wait = delay_seconds(
            row.attempts, first=settings.first_retry_seconds, most=settings.longest_retry_seconds
        )
        if isinstance(error, Unavailable):
            wait = max(wait, error.retry_after_seconds or 0.0)
            _log.warning("worker: unavailable", kind=row.kind, cause=error.reason)
        elif unavailable(error):
            _log.warning("worker: unavailable", kind=row.kind, cause=type(error).__name__)
        else:
            _log.error("worker: a step failed", kind=row.kind, error=type(error).__name__, exc_info=error)
        metrics.WORK_POSTPONED.labels(row.kind).inc()
        problem = error.reason if isinstance(error, Unavailable) else type(error).__name__
        try:
            async with self._database.transaction() as tx:
                due_at = await tx.raw.fetchval("SELECT clock_timestamp() + make_interval(secs => $1)", wait)
                await postpone(tx, row, due_at=due_at, problem=problem)
        except Exception as failure:  # noqa: BLE001 - the lease expires and the row is tried again
            _log.warning("worker: a row is left to its lease", kind=row.kind, cause=type(failure).__name__)
