"""What others ask of this service: one function per question, each in one reading transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from mdm_push.decide.why import Situation, Why, why
from mdm_push.model import EnrollmentState
from shared.database import Database
from shared.events.words import Platform

Row = Mapping[str, Any]

_ENROLLMENT = """
SELECT e.id, e.parent_id, e.state, e.kind, e.generation, e.serial_number, e.platform, e.os_version, e.supervised,
       e.product_name, e.topic AS push_topic, e.created_at, e.enrolled_at, e.unenrolled_at, p.last_seen_at,
       p.last_push_at, p.next_push_at, coalesce(p.attempts, 0) AS attempts, p.problem,
       coalesce(p.dead, false) AS dead
FROM enrollments e LEFT JOIN push_state p ON p.enrollment_id = e.id
"""
_ENROLLMENTS = f"""
{_ENROLLMENT}
WHERE ($1::uuid IS NULL OR e.id > $1) AND ($2::text IS NULL OR e.serial_number = $2)
  AND ($3::text IS NULL OR e.state = $3) AND ($4::text IS NULL OR e.platform = $4)
ORDER BY e.id LIMIT $5
"""
_QUEUE = """
SELECT count(*) AS open, count(*) FILTER (WHERE state = 'refused') AS refused,
       count(*) FILTER (WHERE due_at <= $2) AS due, min(due_at) AS next_due_at
FROM commands WHERE enrollment_id = $1 AND finished_at IS NULL
"""
_DELIVERIES = """
SELECT w.delivery_id, w.entitlement_id, w.asset_id, w.kind, w.intent, w.state, w.cause, w.error_domain,
       w.error_code, w.was, w.tries, w.checks, a.identifier AS app_identifier, a.status AS app_status,
       w.asked_at, w.changed_at
FROM wishes w LEFT JOIN apps a ON a.enrollment_id = w.enrollment_id AND a.asset_id = w.asset_id
WHERE w.enrollment_id = $1 ORDER BY w.id DESC LIMIT 100
"""
_COMMANDS = """
SELECT c.id, c.enrollment_id, w.delivery_id, c.request_type, c.state, c.created_at, c.due_at, c.handed_out_at,
       c.hand_outs, c.not_now_count, c.finished_at, c.error_domain, c.error_code
FROM commands c LEFT JOIN wishes w ON w.id = c.wish_id
WHERE ($1::uuid IS NULL OR c.id > $1) AND ($2::uuid IS NULL OR c.enrollment_id = $2)
  AND ($3::uuid IS NULL OR w.delivery_id = $3) AND ($4::text IS NULL OR c.state = $4)
  AND ($5::text IS NULL OR c.request_type = $5)
ORDER BY c.id LIMIT $6
"""
_CERTIFICATES = """
SELECT id, topic, not_before, not_after, apple_account, stored_at,
       id = max(id::text) OVER (PARTITION BY topic)::uuid AS in_use
FROM push_certificates WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2
"""


@dataclass(frozen=True, slots=True)
class WhichEnrollments:
    """Which enrollments a list holds; None means any."""

    serial_number: str | None = None
    state: str | None = None
    platform: Platform | None = None


@dataclass(frozen=True, slots=True)
class WhichCommands:
    """Which commands a list holds; None means any."""

    enrollment_id: UUID | None = None
    delivery_id: UUID | None = None
    state: str | None = None
    request_type: str | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """One enrollment, its deliveries, and why it stands where it stands."""

    enrollment: Row
    open_commands: int
    deliveries: list[Row]
    why: Why


async def list_enrollments(
    database: Database, which: WhichEnrollments, *, after: UUID | None, limit: int
) -> list[Row]:
    """Return enrollments in the order in which they were first seen."""
    async with database.reading() as tx:
        rows: list[Row] = await tx.raw.fetch(
            _ENROLLMENTS, after, which.serial_number, which.state, which.platform, limit
        )
    return rows


async def tell_enrollment(database: Database, enrollment_id: UUID) -> Story | None:
    """Return the story of one enrollment, None where there is none by this id."""
    async with database.reading() as tx:
        row = await tx.raw.fetchrow(f"{_ENROLLMENT} WHERE e.id = $1", enrollment_id)
        if row is None:
            return None
        queue = await tx.raw.fetchrow(_QUEUE, enrollment_id, tx.now)
        deliveries: list[Row] = await tx.raw.fetch(_DELIVERIES, enrollment_id)
        certified = await tx.raw.fetchval(
            "SELECT EXISTS (SELECT FROM push_certificates WHERE topic = $1 AND not_after > $2)",
            row["push_topic"],
            tx.now,
        )
    situation = Situation(
        state=EnrollmentState(row["state"]),
        open=queue["open"],
        refused=queue["refused"],
        due=queue["due"],
        next_due_at=queue["next_due_at"],
        next_push_at=row["next_push_at"],
        last_push_at=row["last_push_at"],
        problem=row["problem"],
        dead=row["dead"],
        has_certificate=certified,
    )
    return Story(row, queue["open"], deliveries, why(situation))


async def list_commands(
    database: Database, which: WhichCommands, *, after: UUID | None, limit: int
) -> list[Row]:
    """Return commands in the order in which they were queued."""
    async with database.reading() as tx:
        rows: list[Row] = await tx.raw.fetch(
            _COMMANDS,
            after,
            which.enrollment_id,
            which.delivery_id,
            which.state,
            which.request_type,
            limit,
        )
    return rows


async def list_certificates(database: Database, *, after: UUID | None, limit: int) -> list[Row]:
    """Return the stored push certificates, oldest first, without their keys."""
    async with database.reading() as tx:
        rows: list[Row] = await tx.raw.fetch(_CERTIFICATES, after, limit)
    return rows
