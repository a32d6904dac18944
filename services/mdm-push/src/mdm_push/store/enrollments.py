"""Enrollments and the device certificates bound to them."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from mdm_push.model import DeviceCertificate, Enrollment, EnrollmentState
from shared.database import Transaction
from shared.events.words import EnrollmentKind, Platform
from shared.locks import Rung

_COLUMNS = """
e.id, e.parent_id, e.apple_id, e.generation, e.version, e.state, e.kind, e.platform, e.os_version, e.supervised,
e.serial_number, e.product_name
"""

PINNED = """
FROM enrollments e
JOIN identities i ON i.enrollment_id = coalesce(e.parent_id, e.id) AND i.generation = e.generation
WHERE e.apple_id = $1 AND i.certificate_hash = $2
"""
"""A channel that may be spoken for with this certificate: bound to its device, in the device's present life.

The life is read from the channel's own row: of all rows that alone is read anew after waiting for its lock. A life
that began meanwhile has another generation, and the certificate of the former one is no longer good.
"""

_LOCK_MANY = f"""
SELECT {_COLUMNS} FROM enrollments e WHERE e.id = ANY ($1::uuid[]) ORDER BY e.id FOR NO KEY UPDATE
"""
_LOCK_FAMILY = f"""
SELECT {_COLUMNS} FROM enrollments e
WHERE e.id = (SELECT id FROM enrollments WHERE apple_id = $1)
   OR e.parent_id = (SELECT id FROM enrollments WHERE apple_id = $1)
ORDER BY e.id FOR NO KEY UPDATE
"""
_INSERT = """
INSERT INTO enrollments (id, parent_id, apple_id, generation, version, state, kind, platform, os_version,
                         supervised, serial_number, product_name, topic, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (apple_id) DO NOTHING RETURNING id
"""
_FORGET_LIFE = """
UPDATE enrollments
SET topic = $2, push_token = NULL, push_magic = NULL, unlock_token = NULL, bootstrap_token = NULL,
    token_updated_at = NULL, awaiting_configuration = false, enrolled_at = NULL, unenrolled_at = NULL
WHERE id = $1
"""
_SAVE = """
UPDATE enrollments
SET version = $2, state = $3, kind = $4, platform = $5, os_version = $6, supervised = $7, serial_number = $8,
    product_name = $9, generation = $11,
    enrolled_at = CASE WHEN $3 = 'enrolled' THEN coalesce(enrolled_at, $10) ELSE enrolled_at END,
    unenrolled_at = CASE WHEN $3 = 'unenrolled' THEN coalesce(unenrolled_at, $10) END
WHERE id = $1
"""
_SAVE_TOKENS = """
UPDATE enrollments
SET topic = $2, push_token = $3, push_magic = $4, unlock_token = coalesce($5, unlock_token),
    awaiting_configuration = $6, token_updated_at = $7
WHERE id = $1
"""
_BIND = """
INSERT INTO identities (certificate_hash, enrollment_id, generation, not_after, bound_at)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (certificate_hash) DO UPDATE SET generation = excluded.generation
WHERE identities.enrollment_id = excluded.enrollment_id
"""
_BIND_AGAIN = f"{_BIND} RETURNING 1"
_BIND_RENEWED = f"{_BIND} AND identities.generation = excluded.generation RETURNING 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """How a channel is woken, sealed; `unlock_token` None leaves the stored one."""

    topic: str
    push_token: bytes
    push_magic: bytes
    unlock_token: bytes | None
    awaiting_configuration: bool


async def lock_many(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, Enrollment]:
    """Lock these channels in the order of their ids and return those that exist."""
    tx.reach(Rung.TARGETS)
    rows = await tx.raw.fetch(_LOCK_MANY, list(set(ids)))
    return {row["id"]: to_enrollment(row) for row in rows}


async def lock_family(tx: Transaction, device: str) -> list[Enrollment]:
    """Lock a device channel, by Apple's id, and its user channels; the device comes first, [] if unknown."""
    tx.reach(Rung.TARGETS)
    family = [to_enrollment(row) for row in await tx.raw.fetch(_LOCK_FAMILY, device)]
    return sorted(family, key=lambda channel: channel.parent_id is not None)


async def lock_pinned(tx: Transaction, channel: str, certificate_hash: bytes) -> Enrollment | None:
    """Lock a channel, by Apple's id, if this certificate may speak for it; None if not."""
    tx.reach(Rung.TARGETS)
    row = await tx.raw.fetchrow(
        f"SELECT {_COLUMNS} {PINNED} FOR NO KEY UPDATE OF e", channel, certificate_hash
    )
    return to_enrollment(row) if row else None


async def add(tx: Transaction, enrollment: Enrollment, *, topic: str) -> bool:
    """Store a new channel; False if another request stored it meanwhile."""
    stored = await tx.raw.fetchval(
        _INSERT,
        enrollment.id,
        enrollment.parent_id,
        enrollment.apple_id,
        enrollment.generation,
        enrollment.version,
        enrollment.state,
        enrollment.kind,
        enrollment.platform,
        enrollment.os_version,
        enrollment.supervised,
        enrollment.serial_number,
        enrollment.product_name,
        topic,
        tx.now,
    )
    return stored is not None


async def forget_life(tx: Transaction, enrollment_id: UUID, *, topic: str) -> None:
    """Forget the former life's times and secrets: the next one begins, with its topic."""
    await tx.raw.execute(_FORGET_LIFE, enrollment_id, topic)


async def save(tx: Transaction, enrollment: Enrollment) -> None:
    """Store what changed of a channel."""
    await tx.raw.execute(
        _SAVE,
        enrollment.id,
        enrollment.version,
        enrollment.state,
        enrollment.kind,
        enrollment.platform,
        enrollment.os_version,
        enrollment.supervised,
        enrollment.serial_number,
        enrollment.product_name,
        tx.now,
        enrollment.generation,
    )


async def save_tokens(tx: Transaction, enrollment_id: UUID, tokens: Tokens) -> None:
    """Store how a channel is woken from now on."""
    await tx.raw.execute(
        _SAVE_TOKENS,
        enrollment_id,
        tokens.topic,
        tokens.push_token,
        tokens.push_magic,
        tokens.unlock_token,
        tokens.awaiting_configuration,
        tx.now,
    )


async def bind(tx: Transaction, enrollment: Enrollment, certificate: DeviceCertificate) -> bool:
    """Bind a certificate to a device's present life; False if it is bound to another device."""
    return await _bind(tx, _BIND_AGAIN, enrollment, certificate)


async def bind_renewed(tx: Transaction, enrollment: Enrollment, certificate: DeviceCertificate) -> bool:
    """Bind one certificate more to a device's present life; False if it is bound to any other."""
    return await _bind(tx, _BIND_RENEWED, enrollment, certificate)


async def _bind(
    tx: Transaction, statement: str, enrollment: Enrollment, certificate: DeviceCertificate
) -> bool:
    bound = await tx.raw.fetchval(
        statement, certificate.hash, enrollment.id, enrollment.generation, certificate.not_after, tx.now
    )
    return bound is not None


async def questioned(tx: Transaction, enrollment_id: UUID) -> None:
    """Remember that the device is asked about itself now."""
    await tx.raw.execute("UPDATE enrollments SET questioned_at = $2 WHERE id = $1", enrollment_id, tx.now)


async def unenroll_users(tx: Transaction, ids: Iterable[UUID]) -> None:
    """End these user channels together with their device."""
    await tx.raw.execute(
        """
        UPDATE enrollments SET state = 'unenrolled', unenrolled_at = $2, push_token = NULL, push_magic = NULL
        WHERE id = ANY ($1::uuid[])
        """,
        list(ids),
        tx.now,
    )


async def save_bootstrap_token(tx: Transaction, enrollment_id: UUID, sealed: bytes | None) -> None:
    """Store a sealed bootstrap token, or forget it."""
    await tx.raw.execute("UPDATE enrollments SET bootstrap_token = $2 WHERE id = $1", enrollment_id, sealed)


async def bootstrap_token(tx: Transaction, enrollment_id: UUID) -> bytes | None:
    """Return the sealed bootstrap token of a device."""
    token: bytes | None = await tx.raw.fetchval(
        "SELECT bootstrap_token FROM enrollments WHERE id = $1", enrollment_id
    )
    return token


async def topics_in_use(tx: Transaction) -> set[str]:
    """Return the push topics of all living enrollments."""
    rows = await tx.raw.fetch("SELECT DISTINCT topic FROM enrollments WHERE state <> 'unenrolled'")
    return {row["topic"] for row in rows}


def to_enrollment(row: asyncpg.Record) -> Enrollment:
    """Read a row."""
    return Enrollment(
        id=row["id"],
        parent_id=row["parent_id"],
        apple_id=row["apple_id"],
        generation=row["generation"],
        version=row["version"],
        state=EnrollmentState(row["state"]),
        kind=EnrollmentKind(row["kind"]),
        platform=Platform(row["platform"]),
        os_version=row["os_version"],
        supervised=row["supervised"],
        serial_number=row["serial_number"],
        product_name=row["product_name"],
    )
