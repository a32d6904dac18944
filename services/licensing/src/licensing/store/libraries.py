"""Libraries: how each stands with Apple, and what was set for it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from licensing.model import ClientConfig, LibrarySettings
from licensing.store.content_tokens import READ_ONLY
from shared.database import Transaction

_LOCK_ALL = "SELECT id, state, mdm_id FROM library ORDER BY id FOR UPDATE"
_UPSERT = """
INSERT INTO library (id, state, mdm_id, location_name, country, platform, website_url, created_at)
VALUES ($1, 'claiming', $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET location_name = excluded.location_name, country = excluded.country,
    platform = excluded.platform, website_url = excluded.website_url
"""
_OFFER = "UPDATE library SET offered_hash = $2 WHERE id = $1"
_CLAIMED = """
UPDATE library SET state = 'active', cause = NULL, error_number = NULL, rights = 'full',
       claimed_at = $3, fenced_id = NULL, fenced_name = NULL, fenced_metadata = NULL, fenced_at = NULL,
       notified = CASE WHEN $2::bytea IS NULL THEN false ELSE notified OR offered_hash = $2 END,
       notification_hash = CASE WHEN offered_hash = $2 THEN $2 ELSE notification_hash END,
       offered_hash = nullif(offered_hash, $2)
FROM (SELECT id, state FROM library WHERE id = $1 FOR UPDATE) AS former
WHERE library.id = former.id RETURNING former.state
"""
_TROUBLE = "UPDATE library SET cause = $2, error_number = $3 WHERE id = $1 AND state <> 'suspended'"
_SUSPEND = f"""
UPDATE library SET state = 'suspended', cause = $2, error_number = $3,
       rights = CASE WHEN $2 = '{READ_ONLY}' THEN 'read_only' ELSE rights END
WHERE id = $1
"""
_WANT_ASSETS = "UPDATE library SET assets_wanted = true WHERE id = $1 AND NOT assets_wanted RETURNING id"
_TAKE_ASSETS = "UPDATE library SET assets_wanted = false WHERE id = $1"
_ASSETS_READ = "UPDATE library SET assets_read_at = $2 WHERE id = $1"
_ALL = "SELECT id FROM library ORDER BY id"
_READABLE = f"""
SELECT id FROM library
WHERE state IN ('active', 'fenced') OR (state = 'suspended' AND cause = '{READ_ONLY}') ORDER BY id
"""
_UNNOTIFIED = """
SELECT id FROM library WHERE state = 'active' AND NOT notified
  AND NOT EXISTS (SELECT FROM work WHERE kind = $1 AND payload ->> 'library_id' = library.id) ORDER BY id
"""
_CHANGE = """
UPDATE library SET preference = coalesce($2, preference), reclaim = coalesce($3::jsonb, reclaim),
       repairs = coalesce($4::text[], repairs)
WHERE id = $1 RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Library:
    """A library, locked."""

    library_id: str
    state: str
    mdm_id: UUID


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


async def offer(tx: Transaction, library_id: str, secret_hash: bytes) -> None:
    """Accept notifications that show this secret: Apple is about to be told it, and tries it at once."""
    await tx.raw.execute(_OFFER, library_id, secret_hash)


async def claimed(tx: Transaction, library_id: str, *, subscribed: bytes | None) -> str:
    """Note that Apple took our claim; return the former state.

    `subscribed` is the hash of the secret that Apple took with it, None where it took no subscription. Where
    another one was offered since, Apple has that one: whoever offered it notes it.
    """
    former: str = await tx.raw.fetchval(_CLAIMED, library_id, subscribed, tx.now)
    return former


async def note_trouble(tx: Transaction, library_id: str, cause: str, error_number: int | None) -> None:
    """Say why the claim is not through yet, or not all of it; why a library is suspended says more."""
    await tx.raw.execute(_TROUBLE, library_id, cause, error_number)


async def suspend(tx: Transaction, library_id: str, cause: str, error_number: int) -> None:
    """Stop what is sent for a library."""
    await tx.raw.execute(_SUSPEND, library_id, cause, error_number)


async def want_assets(tx: Transaction, library_id: str) -> bool:
    """Note that the list of assets is wanted; return whether nobody had noted it yet."""
    return await tx.raw.fetchval(_WANT_ASSETS, library_id) is not None


async def take_assets(tx: Transaction, library_id: str) -> None:
    """Note that the list of assets is being read: whoever wants it from now on wants a later one."""
    await tx.raw.execute(_TAKE_ASSETS, library_id)


async def assets_read(tx: Transaction, library_id: str, began: datetime) -> None:
    """Note the age of what is known about a library's assets."""
    await tx.raw.execute(_ASSETS_READ, library_id, began)


async def every(tx: Transaction) -> Sequence[str]:
    """Return all libraries."""
    return [row["id"] for row in await tx.raw.fetch(_ALL)]


async def readable(tx: Transaction) -> Sequence[str]:
    """Return the libraries that Apple lets us read: all but those whose content token it refuses."""
    return [row["id"] for row in await tx.raw.fetch(_READABLE)]


async def change(tx: Transaction, library_id: str, settings: LibrarySettings) -> bool:
    """Store the settings that were said; return whether there is such a library."""
    reclaim = None if settings.reclaim is None else json.dumps(settings.reclaim)
    repairs = None if settings.repairs is None else sorted(settings.repairs)
    return await tx.raw.fetchval(_CHANGE, library_id, settings.preference, reclaim, repairs) is not None


async def unnotified(tx: Transaction, *, errand: str) -> Sequence[str]:
    """Return the libraries whose notifications do not reach us, and for which no such errand is waiting."""
    return [row["id"] for row in await tx.raw.fetch(_UNNOTIFIED, errand)]
