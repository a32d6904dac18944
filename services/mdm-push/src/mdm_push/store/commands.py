"""The queue of each channel: what is handed out next, what was reported, what was withdrawn."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from mdm_push.commands import ONE_IS_ENOUGH
from mdm_push.model import CommandState, FinishedCommand, Handout, NewCommand
from mdm_push.store.enrollments import PINNED
from shared.database import Database, Transaction
from shared.ids import new_ids

_SERVE = """
, head AS (
    SELECT c.id FROM commands c JOIN channel ON c.enrollment_id = channel.id
    WHERE c.finished_at IS NULL AND c.due_at <= $3 AND (c.state <> 'refused' OR $4)
    ORDER BY c.id LIMIT 1
), handed AS (
    UPDATE commands c SET state = 'handed_out', handed_out_at = $3, hand_outs = c.hand_outs + 1
    FROM head WHERE c.id = head.id AND c.finished_at IS NULL
    RETURNING c.id, c.request_type, c.arguments
), wake AS (
    SELECT p.enrollment_id, p.version,
           CASE WHEN EXISTS (SELECT FROM head) THEN coalesce(p.next_push_at, $5)
                ELSE (SELECT min(c.wake_at) FROM commands c
                      WHERE c.enrollment_id = p.enrollment_id AND c.finished_at IS NULL) END AS at
    FROM push_state p JOIN channel ON p.enrollment_id = channel.id
), woken AS (
    UPDATE push_state p SET next_push_at = wake.at, version = p.version + 1, attempts = 0
    FROM wake
    WHERE p.enrollment_id = wake.enrollment_id AND p.version = wake.version
      AND p.next_push_at IS DISTINCT FROM wake.at
)
SELECT channel.id AS channel_id, channel.unquestioned, EXISTS (SELECT FROM head) AS found,
       handed.id, handed.request_type, handed.arguments::text AS arguments
FROM channel LEFT JOIN handed ON true
"""
# The wake-up is written only if nobody asked for one since this statement began (its version says so): a command
# that is queued while an empty answer is on its way keeps its push.
_SERVE_PINNED = f"""
WITH channel AS (
    SELECT e.id, e.parent_id IS NULL AND e.questioned_at <= $6 AS unquestioned {PINNED} AND e.state = 'enrolled'
) {_SERVE}
"""
_SERVE_LOCKED = f"""
WITH channel AS (SELECT $1::uuid AS id, false AS unquestioned WHERE $2::bytea IS NULL) {_SERVE}
"""

_ADD = """
INSERT INTO commands (id, enrollment_id, generation, wish_id, request_type, arguments, state, correlation_id,
                      created_at, due_at, wake_at)
SELECT n.id, n.enrollment_id, n.generation, n.wish_id, n.request_type, n.arguments::jsonb, 'queued',
       n.correlation_id, $1, n.due_at, n.due_at
FROM unnest($2::uuid[], $3::uuid[], $4::int[], $5::uuid[], $6::text[], $7::text[], $8::uuid[], $9::timestamptz[])
     AS n (id, enrollment_id, generation, wish_id, request_type, arguments, correlation_id, due_at)
WHERE n.request_type <> ALL ($10::text[]) OR NOT EXISTS (
    SELECT FROM commands o
    WHERE o.enrollment_id = n.enrollment_id AND o.request_type = n.request_type AND o.finished_at IS NULL
      AND o.wake_at <= n.due_at)
"""
_LOCK_OPEN = """
SELECT c.wish_id, c.hand_outs FROM commands c
JOIN wishes w ON w.id = c.wish_id
JOIN unnest($1::uuid[], $2::uuid[]) AS pair (enrollment_id, asset_id)
  ON w.enrollment_id = pair.enrollment_id AND w.asset_id = pair.asset_id
WHERE c.finished_at IS NULL AND w.state = 'commanded'
ORDER BY c.id FOR UPDATE OF c
"""
_FINISH = """
UPDATE commands SET state = $3, finished_at = $4, error_domain = $5, error_code = $6
WHERE id = $1 AND enrollment_id = $2 AND finished_at IS NULL
RETURNING id, request_type, correlation_id, wish_id
"""
_REFUSE = """
UPDATE commands
SET state = 'refused', not_now_count = not_now_count + 1,
    wake_at = $3::timestamptz + ($4::interval[])[least(not_now_count + 1, cardinality($4::interval[]))]
WHERE id = $1 AND enrollment_id = $2 AND finished_at IS NULL
"""
_END_ALL = """
UPDATE commands SET state = $2, finished_at = $3
WHERE {column} = ANY ($1::uuid[]) AND finished_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class Served:
    """What a poll of a channel finds: the command to hand out, None when there is nothing to do.

    `unquestioned` says that the device was not asked about itself for long.
    """

    channel_id: UUID
    command: Handout | None
    unquestioned: bool = False


async def serve_pinned(
    database: Database,
    *,
    channel: str,
    certificate_hash: bytes,
    now: datetime,
    wake_if_silent: datetime,
    questioned_before: datetime,
) -> Served | None:
    """Answer an Idle poll in one statement, a transaction by itself: pin, head of the queue, hand-out, next wake-up.

    None where the certificate may not speak for the channel. Idle begins a session, so what was refused with
    NotNow is offered again.
    """
    while True:
        rows = await database.fetch(
            _SERVE_PINNED, channel, certificate_hash, now, True, wake_if_silent, questioned_before
        )
        if not rows:
            return None
        [row] = rows
        if row["id"] is not None or not row["found"]:
            return _served(row)
        # The head was withdrawn between our look and our hand: look again.


async def serve_locked(tx: Transaction, channel_id: UUID, *, wake_if_silent: datetime) -> Handout | None:
    """Hand out the next command of a channel that is locked, without those refused in this session."""
    while True:
        row = await tx.raw.fetchrow(_SERVE_LOCKED, channel_id, None, tx.now, False, wake_if_silent)
        if row["id"] is not None or not row["found"]:
            return _served(row).command


async def add(tx: Transaction, commands: Sequence[NewCommand]) -> None:
    """Queue commands in this order. A list is not queued where the device is woken for one no later."""
    kept = _without_doubles(commands)
    if not kept:
        return
    await tx.raw.execute(
        _ADD,
        tx.now,
        new_ids(len(kept)),
        [command.enrollment_id for command in kept],
        [command.generation for command in kept],
        [command.wish_id for command in kept],
        [command.request_type for command in kept],
        [json.dumps(command.arguments) for command in kept],
        [command.correlation_id for command in kept],
        [command.due_at for command in kept],
        list(ONE_IS_ENOUGH),
    )


async def lock_open(tx: Transaction, pairs: Sequence[tuple[UUID, UUID]]) -> set[UUID]:
    """Lock the open commands of these (enrollment, asset) and return the wishes whose command was handed out.

    Until the transaction ends no poll hands out what was not handed out yet.
    """
    rows = await tx.raw.fetch(_LOCK_OPEN, [pair[0] for pair in pairs], [pair[1] for pair in pairs])
    return {row["wish_id"] for row in rows if row["hand_outs"]}


async def finish(
    tx: Transaction,
    command_id: UUID,
    enrollment_id: UUID,
    *,
    state: CommandState,
    error: tuple[str, int] | None = None,
) -> FinishedCommand | None:
    """Store a final report; None for a command that is not open here: unknown, or reported before."""
    domain, code = error or (None, None)
    row = await tx.raw.fetchrow(_FINISH, command_id, enrollment_id, state, tx.now, domain, code)
    if row is None:
        return None
    return FinishedCommand(row["id"], row["request_type"], row["correlation_id"], row["wish_id"])


async def refuse(
    tx: Transaction, command_id: UUID, enrollment_id: UUID, *, waits: Sequence[timedelta]
) -> None:
    """Store a NotNow: the command stays; the device is woken for it after the n-th of `waits`, the last repeats."""
    await tx.raw.execute(_REFUSE, command_id, enrollment_id, tx.now, list(waits))


async def withdraw(tx: Transaction, wish_ids: Iterable[UUID]) -> None:
    """End the open commands of these wishes."""
    await tx.raw.execute(_END_ALL.format(column="wish_id"), list(wish_ids), CommandState.WITHDRAWN, tx.now)


async def clear(tx: Transaction, enrollment_ids: Iterable[UUID]) -> None:
    """End every open command of these channels: their life is over. The rows stay as the record of it."""
    await tx.raw.execute(
        _END_ALL.format(column="enrollment_id"), list(enrollment_ids), CommandState.CLEARED, tx.now
    )


async def forget_finished(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Delete at most `limit` commands that ended before this time; return how many."""
    deleted: int = await tx.raw.fetchval(
        """
        WITH old AS (SELECT id FROM commands WHERE finished_at < $1 ORDER BY finished_at LIMIT $2),
             gone AS (DELETE FROM commands USING old WHERE commands.id = old.id RETURNING 1)
        SELECT count(*) FROM gone
        """,
        before,
        limit,
    )
    return deleted


def _without_doubles(commands: Sequence[NewCommand]) -> list[NewCommand]:
    """Keep, of the same question to one channel, the one that comes first."""
    first: dict[tuple[UUID, str], NewCommand] = {}
    for command in sorted(commands, key=lambda command: command.due_at):
        if command.request_type in ONE_IS_ENOUGH:
            first.setdefault((command.enrollment_id, command.request_type), command)
    return [
        command
        for command in commands
        if command.request_type not in ONE_IS_ENOUGH
        or first[command.enrollment_id, command.request_type] is command
    ]


def _served(row: asyncpg.Record) -> Served:
    command = None
    if row["id"] is not None:
        command = Handout(row["id"], row["request_type"], json.loads(row["arguments"]))
    return Served(row["channel_id"], command, unquestioned=bool(row["unquestioned"]))
