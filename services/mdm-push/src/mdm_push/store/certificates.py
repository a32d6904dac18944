"""The push certificates; the newest of each topic is the one in use."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mdm_push.model import PushCertificate
from shared.database import Transaction

_ADD = """
INSERT INTO push_certificates (id, topic, certificate_pem, private_key, apple_account, not_before, not_after,
                               stored_by, stored_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_IN_USE = """
SELECT DISTINCT ON (topic) id, topic, certificate_pem, private_key, not_before, not_after
FROM push_certificates ORDER BY topic, id DESC
"""
_EXPIRING = """
SELECT newest.id, newest.topic, newest.not_after, newest.days_told
FROM (SELECT DISTINCT ON (topic) id, topic, not_after, days_told
      FROM push_certificates ORDER BY topic, id DESC) AS newest
JOIN push_certificates c ON c.id = newest.id
WHERE newest.not_after < $1
ORDER BY newest.id FOR UPDATE OF c
"""


@dataclass(frozen=True, slots=True)
class Expiring:
    """A push certificate near its end, and the last warning told."""

    id: UUID
    topic: str
    not_after: datetime
    days_told: int | None


async def add(
    tx: Transaction, certificate: PushCertificate, *, apple_account: str | None, stored_by: str
) -> None:
    """Store a certificate; from its commit on it is the one in use for its topic."""
    await tx.raw.execute(
        _ADD,
        certificate.id,
        certificate.topic,
        certificate.certificate_pem,
        certificate.private_key,
        apple_account,
        certificate.not_before,
        certificate.not_after,
        stored_by,
        tx.now,
    )


async def topics(tx: Transaction) -> set[str]:
    """Return the topics that have a certificate, however old."""
    return {row["topic"] for row in await tx.raw.fetch("SELECT DISTINCT topic FROM push_certificates")}


async def ids_in_use(tx: Transaction) -> set[UUID]:
    """Return the ids of the certificates in use, to notice that one was replaced."""
    rows = await tx.raw.fetch("SELECT DISTINCT ON (topic) id FROM push_certificates ORDER BY topic, id DESC")
    return {row["id"] for row in rows}


async def in_use(tx: Transaction) -> list[PushCertificate]:
    """Return the certificate in use for each topic."""
    return [PushCertificate(**dict(row)) for row in await tx.raw.fetch(_IN_USE)]


async def expiring(tx: Transaction, *, before: datetime) -> list[Expiring]:
    """Lock and return the certificates in use that end before this time."""
    return [Expiring(**dict(row)) for row in await tx.raw.fetch(_EXPIRING, before)]


async def remember_warning(tx: Transaction, certificate_id: UUID, days: int) -> None:
    """Remember which warning was told."""
    await tx.raw.execute("UPDATE push_certificates SET days_told = $2 WHERE id = $1", certificate_id, days)
