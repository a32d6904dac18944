"""Libraries and their content tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from licensing.model import Access, ClientConfig
from shared.database import Transaction

_LOCK_ALL = """
SELECT id, state, mdm_id, notification_hash, offered_hash FROM library ORDER BY id FOR UPDATE
"""
_UPSERT = """
INSERT INTO library (id, state, mdm_id, location_name, country, platform, website_url, created_at)
VALUES ($1, 'claiming', $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET location_name = excluded.location_name, country = excluded.country,
    platform = excluded.platform, website_url = excluded.website_url
"""
_REPLACE = "UPDATE content_token SET replaced_at = $2 WHERE library_id = $1 AND replaced_at IS NULL"
_STORE_ANOTHER = """
INSERT INTO content_token (id, library_id, sealed, organization_name, expires_at, created_by, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_IN_USE = """
SELECT library.state, library.mdm_id, content_token.id, content_token.sealed
FROM library JOIN content_token ON content_token.library_id = library.id AND replaced_at IS NULL
WHERE library.id = $1
"""
_OFFER = "UPDATE library SET offered_hash = $2 WHERE id = $1"
_CLAIMED = """
UPDATE library SET state = 'active', cause = NULL, error_number = NULL, notified = $2,
       notification_hash = CASE WHEN $2 THEN offered_hash ELSE notification_hash END,
       offered_hash = CASE WHEN $2 THEN NULL ELSE offered_hash END
FROM (SELECT id, state FROM library WHERE id = $1 FOR UPDATE) AS former
WHERE library.id = former.id RETURNING former.state
"""
_TROUBLE = "UPDATE library SET cause = $2, error_number = $3 WHERE id = $1"
_EXPIRES = "UPDATE content_token SET expires_at = $2 WHERE library_id = $1 AND replaced_at IS NULL"
_SUSPEND = """
UPDATE library SET state = 'suspended', cause = $2, error_number = $3
WHERE id = $1 AND state <> 'suspended'
  AND EXISTS (SELECT FROM content_token WHERE content_token.id = $4 AND replaced_at IS NULL) RETURNING id
"""
_WANT_ASSETS = "UPDATE library SET assets_wanted = true WHERE id = $1 AND NOT assets_wanted RETURNING id"
_TAKE_ASSETS = "UPDATE library SET assets_wanted = false WHERE id = $1"
_ASSETS_READ = "UPDATE library SET assets_read_at = $2 WHERE id = $1"
_ACTIVE = "SELECT id FROM library WHERE state = 'active' ORDER BY id"
_UNNOTIFIED = """
SELECT id FROM library WHERE state = 'active' AND NOT notified
  AND NOT EXISTS (SELECT FROM work WHERE kind = $1 AND payload ->> 'library_id' = library.id) ORDER BY id
"""
_HASHES = "SELECT notification_hash, offered_hash FROM library WHERE id = $1"
_RESUME_WORK = """
UPDATE work SET due_at = $1 WHERE lease IS NULL AND due_at > $1 AND attempts > 0
"""


@dataclass(frozen=True, slots=True)
class Library:
    """A library, locked."""

    library_id: str
    state: str
    mdm_id: UUID


@dataclass(frozen=True, slots=True)
class TokenInUse:
    """The sealed content token that speaks for a library now."""

    library_state: str
    mdm_id: UUID
    token_id: UUID
    sealed: bytes


@dataclass(frozen=True, slots=True)
class NewToken:
    """A content token to be stored."""

    token_id: UUID
    sealed: bytes
    organization_name: str
    expires_at: datetime
    created_by: str


async def lock_all(tx: Transaction) -> list[Library]:
    """Lock every library: there are few, and a content token is a rare thing."""
    return [Library(row["id"], row["state"], row["mdm_id"]) for row in await tx.raw.fetch(_LOCK_ALL)]


async def upsert(tx: Transaction, config: ClientConfig, mdm_id: UUID) -> None:
    """Store a library as Apple describes it; a new one is yet to be claimed."""
    await tx.raw.execute(
        _UPSERT,
        config.library_id,
        mdm_id,
        config.location_name,
        config.country,
        config.platform,
        config.website_url,
        tx.now,
    )


async def replace_token(tx: Transaction, library_id: str, token: NewToken) -> None:
    """Let this token speak for the library from now on."""
    await tx.raw.execute(_REPLACE, library_id, tx.now)
    await tx.raw.execute(
        _STORE_ANOTHER,
        token.token_id,
        library_id,
        token.sealed,
        token.organization_name,
        token.expires_at,
        token.created_by,
        tx.now,
    )


async def in_use(tx: Transaction, library_id: str) -> TokenInUse | None:
    """Return the token that speaks for a library."""
    row = await tx.raw.fetchrow(_IN_USE, library_id)
    return None if row is None else TokenInUse(*row)


async def offer(tx: Transaction, library_id: str, secret_hash: bytes) -> None:
    """Accept notifications that show this secret: Apple is about to be told it, and tries it at once."""
    await tx.raw.execute(_OFFER, library_id, secret_hash)


async def claimed(
    tx: Transaction, library_id: str, *, notified: bool, token_expires_at: datetime | None
) -> str:
    """Note that Apple took our claim, and our subscription too if `notified`; return the former state."""
    if token_expires_at is not None:
        await tx.raw.execute(_EXPIRES, library_id, token_expires_at)
    former: str = await tx.raw.fetchval(_CLAIMED, library_id, notified)
    return former


async def note_trouble(tx: Transaction, library_id: str, cause: str, error_number: int | None) -> None:
    """Say why the claim is not through yet, or not all of it."""
    await tx.raw.execute(_TROUBLE, library_id, cause, error_number)


async def suspend(tx: Transaction, access: Access, cause: str, error_number: int) -> bool:
    """Stop all that is sent for a library, if this is its content token still; return whether it was not stopped."""
    suspended = await tx.raw.fetchval(_SUSPEND, access.library_id, cause, error_number, access.token_id)
    return suspended is not None


async def want_assets(tx: Transaction, library_id: str) -> bool:
    """Note that the list of assets is wanted; return whether nobody had noted it yet."""
    return await tx.raw.fetchval(_WANT_ASSETS, library_id) is not None


async def take_assets(tx: Transaction, library_id: str) -> None:
    """Note that the list of assets is being read: whoever wants it from now on wants a later one."""
    await tx.raw.execute(_TAKE_ASSETS, library_id)


async def assets_read(tx: Transaction, library_id: str, began: datetime) -> None:
    """Note the age of what is known about a library's assets."""
    await tx.raw.execute(_ASSETS_READ, library_id, began)


async def active(tx: Transaction) -> Sequence[str]:
    """Return the libraries that are worked for."""
    return [row["id"] for row in await tx.raw.fetch(_ACTIVE)]


async def unnotified(tx: Transaction, *, errand: str) -> Sequence[str]:
    """Return the libraries whose notifications do not reach us, and for which no such errand is waiting."""
    return [row["id"] for row in await tx.raw.fetch(_UNNOTIFIED, errand)]


async def secret_hashes(tx: Transaction, library_id: str) -> list[bytes]:
    """Return the hashes of the secrets that Apple may show for a library."""
    row = await tx.raw.fetchrow(_HASHES, library_id)
    return [] if row is None else [value for value in row if value is not None]


async def resume_work(tx: Transaction) -> None:
    """Try at once again what was put off."""
    await tx.raw.execute(_RESUME_WORK, tx.now)
    tx.after_commit(tx.nudges.work.ring)
