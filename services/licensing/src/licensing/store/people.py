"""Our copy of the people. A person's row is the lock of their Apple users in every library."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import asyncpg

from licensing.model.people import NEVER_HEARD, Person, Presence
from shared.database import Transaction
from shared.locks import Rung

_KNOW = """
INSERT INTO person (user_id, version, wanted_version, state)
SELECT user_id, $2, 0, 'unheard' FROM unnest($1::uuid[]) AS user_id ORDER BY user_id
ON CONFLICT DO NOTHING
"""
_LOCK = """
SELECT user_id, version, wanted_version, state, mail_address, managed_apple_id, managed_digest FROM person
WHERE user_id = ANY ($1::uuid[]) ORDER BY user_id FOR NO KEY UPDATE
"""
_WANT = """
UPDATE person SET wanted_version = asked.version FROM unnest($1::uuid[], $2::bigint[]) AS asked (user_id, version)
WHERE person.user_id = asked.user_id AND person.wanted_version < asked.version
"""
_SAVE = """
UPDATE person SET version = told.version, state = told.state, mail_address = told.mail_address,
                  managed_apple_id = told.managed_apple_id, managed_digest = told.managed_digest
FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::bytea[], $5::bytea[], $6::bytea[])
     AS told (user_id, version, state, mail_address, managed_apple_id, managed_digest)
WHERE person.user_id = told.user_id
"""
_DIGEST_KEY = "SELECT sealed FROM digest_key"
_KEEP_DIGEST_KEY = "INSERT INTO digest_key (id, sealed) VALUES (1, $1) ON CONFLICT DO NOTHING"


async def digest_key(tx: Transaction) -> bytes | None:
    """Return the sealed key of the digests of Managed Apple IDs; None before the first person was told of."""
    sealed: bytes | None = await tx.raw.fetchval(_DIGEST_KEY)
    return sealed


async def keep_digest_key(tx: Transaction, sealed: bytes) -> bytes:
    """Keep this key, unless another process has kept one meanwhile; return the one that is kept."""
    await tx.raw.execute(_KEEP_DIGEST_KEY, sealed)
    kept: bytes = await tx.raw.fetchval(_DIGEST_KEY)
    return kept


async def lock(tx: Transaction, wanted: Mapping[UUID, int | None]) -> dict[UUID, Person]:
    """Lock these people, each with the version that who asks about them knew; return them as they were.

    Who was never heard of gets a row, for the lock's sake. A version above our copy's is waited for.
    """
    if not wanted:
        return {}
    tx.reach(Rung.PEOPLE)
    ids = list(wanted)
    await tx.raw.execute(_KNOW, ids, NEVER_HEARD)
    rows = await tx.raw.fetch(_LOCK, ids)
    asked = {user_id: version for user_id, version in wanted.items() if version is not None}
    if asked:
        await tx.raw.execute(_WANT, list(asked), list(asked.values()))
    return {row["user_id"]: _person(row) for row in rows}


async def lock_all(tx: Transaction, user_ids: Iterable[UUID]) -> dict[UUID, Person]:
    """Lock these people, whatever version anybody knew."""
    return await lock(tx, dict.fromkeys(user_ids))


async def save(tx: Transaction, people: Sequence[Person]) -> None:
    """Write our copy of locked people back."""
    await tx.raw.execute(
        _SAVE,
        [person.user_id for person in people],
        [person.version for person in people],
        [person.state for person in people],
        [person.mail_address for person in people],
        [person.managed_apple_id for person in people],
        [person.managed_digest for person in people],
    )


def _person(row: asyncpg.Record) -> Person:
    user_id, version, wanted_version, state, *kept = row
    return Person(user_id, version, wanted_version, Presence(state), *kept)
