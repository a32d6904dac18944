"""Who is to be woken, and when: materialized, so that nobody searches the queues for it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from mdm_push.model import PushOutcome, WakeUp
from shared.database import Transaction

_BURST = timedelta(seconds=5)

_ASK = """
INSERT INTO push_state (enrollment_id, next_push_at, correlation_id)
SELECT * FROM unnest($1::uuid[], $2::timestamptz[], $3::uuid[]) AS asked (enrollment_id, at, correlation_id)
ORDER BY enrollment_id
ON CONFLICT (enrollment_id) DO UPDATE
SET next_push_at = CASE
        WHEN push_state.next_push_at IS NULL THEN excluded.next_push_at
        WHEN push_state.problem IS NOT NULL THEN push_state.next_push_at
        ELSE least(push_state.next_push_at, greatest(excluded.next_push_at, push_state.last_push_at + $4))
    END,
    attempts = CASE WHEN push_state.problem IS NULL THEN 0 ELSE push_state.attempts END,
    version = push_state.version + 1, correlation_id = excluded.correlation_id
"""
# Whoever was woken just now and has not emptied the queue since comes for this too; and where APNs asked for
# patience, the next push is for everything that waits then.
_RENEWED = """
INSERT INTO push_state (enrollment_id, next_push_at, correlation_id)
SELECT $1, CASE WHEN EXISTS (SELECT FROM commands c WHERE c.enrollment_id = $1 AND c.finished_at IS NULL)
                THEN $2::timestamptz END, $3
ON CONFLICT (enrollment_id) DO UPDATE
SET next_push_at = coalesce(excluded.next_push_at, push_state.next_push_at), dead = false, problem = NULL,
    attempts = 0, version = push_state.version + 1,
    correlation_id = CASE WHEN push_state.next_push_at IS NULL THEN excluded.correlation_id
                          ELSE push_state.correlation_id END
"""
_CLAIM = """
UPDATE push_state p SET next_push_at = $3
FROM enrollments e
WHERE e.id = p.enrollment_id AND p.enrollment_id = ANY (ARRAY(
    SELECT p.enrollment_id FROM push_state p JOIN enrollments e ON e.id = p.enrollment_id
    WHERE p.next_push_at <= $1 AND NOT p.dead AND e.state = 'enrolled' AND e.topic = ANY ($2::text[])
    ORDER BY p.next_push_at LIMIT $4 FOR UPDATE OF p SKIP LOCKED))
RETURNING p.enrollment_id, e.topic, e.push_token AS token, e.push_magic AS magic, e.token_updated_at, p.version,
          p.attempts, p.problem, p.correlation_id
"""
_SETTLE = """
WITH told AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::timestamptz[], $5::timestamptz[], $6::text[])
        AS told (enrollment_id, version, attempts, next_push_at, pushed_at, problem)
), locked AS (
    SELECT p.enrollment_id, p.version FROM push_state p JOIN told USING (enrollment_id)
    ORDER BY p.enrollment_id FOR UPDATE OF p
)
UPDATE push_state p
SET last_push_at = coalesce(told.pushed_at, p.last_push_at),
    next_push_at = CASE WHEN p.version = told.version THEN told.next_push_at ELSE p.next_push_at END,
    attempts = CASE WHEN p.version = told.version THEN told.attempts ELSE p.attempts END,
    problem = CASE WHEN p.version = told.version THEN told.problem ELSE p.problem END,
    dead = CASE WHEN p.version = told.version THEN told.next_push_at IS NULL ELSE p.dead END
FROM told JOIN locked USING (enrollment_id)
WHERE p.enrollment_id = told.enrollment_id
"""
_SEEN = """
UPDATE push_state p SET last_seen_at = seen.at
FROM (SELECT s.enrollment_id, s.at FROM unnest($1::uuid[], $2::timestamptz[]) AS s (enrollment_id, at)
      JOIN push_state USING (enrollment_id)
      ORDER BY s.enrollment_id FOR UPDATE OF push_state SKIP LOCKED) AS seen
WHERE p.enrollment_id = seen.enrollment_id
"""


async def ask(tx: Transaction, wakes: Mapping[UUID, tuple[datetime, UUID]]) -> None:
    """Have these channels woken at these times, each with the thread it is for; an earlier push stays.

    One push serves a burst: a device that is on its way is not woken again within 5 seconds. A push that was
    refused or not answered is tried when that was to be, never sooner.
    """
    if not wakes:
        return
    await tx.raw.execute(
        _ASK,
        list(wakes),
        [at for at, _ in wakes.values()],
        [thread for _, thread in wakes.values()],
        _BURST,
    )


async def token_renewed(tx: Transaction, enrollment_id: UUID, correlation_id: UUID) -> None:
    """Push again with a new token: at once if something waits for the device."""
    await tx.raw.execute(_RENEWED, enrollment_id, tx.now, correlation_id)


async def silence(tx: Transaction, enrollment_ids: Sequence[UUID]) -> None:
    """Never push to these channels again: they are not enrolled any more."""
    await tx.raw.execute(
        """
        UPDATE push_state p SET next_push_at = NULL, version = p.version + 1
        FROM (SELECT enrollment_id FROM push_state WHERE enrollment_id = ANY ($1::uuid[])
              ORDER BY enrollment_id FOR UPDATE) AS mine
        WHERE p.enrollment_id = mine.enrollment_id
        """,
        list(enrollment_ids),
    )


async def claim(tx: Transaction, *, topics: Sequence[str], lease_seconds: float, limit: int) -> list[WakeUp]:
    """Take due wake-ups of these topics, the longest due first; after the lease others may take them."""
    until = tx.now + timedelta(seconds=lease_seconds)
    rows = await tx.raw.fetch(_CLAIM, tx.now, list(topics), until, limit)
    return [WakeUp(**dict(row)) for row in rows]


async def settle(tx: Transaction, outcomes: Sequence[PushOutcome]) -> None:
    """Write back what became of claimed wake-ups.

    Where somebody asked for another one meanwhile, or the queue ran dry, that newer word stays.
    """
    await tx.raw.execute(
        _SETTLE,
        [outcome.enrollment_id for outcome in outcomes],
        [outcome.version for outcome in outcomes],
        [outcome.attempts for outcome in outcomes],
        [outcome.next_push_at for outcome in outcomes],
        [outcome.pushed_at for outcome in outcomes],
        [outcome.problem for outcome in outcomes],
    )


async def seen(tx: Transaction, channels: Mapping[UUID, datetime]) -> None:
    """Store when these channels were last seen; a busy row is left out, it will be seen again."""
    await tx.raw.execute("SET LOCAL synchronous_commit = off")
    await tx.raw.execute(_SEEN, list(channels), list(channels.values()))
