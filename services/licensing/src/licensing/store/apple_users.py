"""People's Apple users: whole sets in and out. Whoever writes one holds its person's row (store.people)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple
from datetime import datetime
from uuid import UUID

import asyncpg

from licensing.model.people import AppleUser, UserState, UserWrite
from shared.database import Transaction
from shared.locks import Rung

_COLUMNS = """
library_id, user_id, client_user_id, correlation_id, state, version, wants, again, part_id, write_id, attempt,
without_mail, without_managed, invite_due, invited_hash, invited_at, ask_at, cause, error_number
"""
_ARRAYS = f"""
unnest($1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::bigint[], $7::text[], $8::bool[],
       $9::uuid[], $10::uuid[], $11::smallint[], $12::bool[], $13::bool[], $14::bool[], $15::bytea[],
       $16::timestamptz[], $17::timestamptz[], $18::text[], $19::int[]) AS new ({_COLUMNS})
"""
_SAVE = f"""
INSERT INTO apple_user ({_COLUMNS}, changed_at) SELECT new.*, $20 FROM {_ARRAYS}
ON CONFLICT (library_id, user_id) DO UPDATE SET
    correlation_id = excluded.correlation_id, state = excluded.state, version = excluded.version,
    wants = excluded.wants, again = excluded.again, part_id = excluded.part_id, write_id = excluded.write_id,
    attempt = excluded.attempt, without_mail = excluded.without_mail,
    without_managed = excluded.without_managed, invite_due = excluded.invite_due,
    invited_hash = excluded.invited_hash, invited_at = excluded.invited_at, ask_at = excluded.ask_at,
    cause = excluded.cause, error_number = excluded.error_number, changed_at = excluded.changed_at
"""
_LOAD = f"SELECT {_COLUMNS} FROM apple_user WHERE library_id = $1 AND user_id = ANY ($2::uuid[])"
_OF_PEOPLE = (
    f"SELECT {_COLUMNS} FROM apple_user WHERE user_id = ANY ($1::uuid[]) ORDER BY library_id, user_id"
)
_ASSOCIATED = """
SELECT library_id, user_id FROM apple_user
JOIN unnest($1::text[], $2::uuid[]) AS asked (library_id, user_id) USING (library_id, user_id)
WHERE state = 'associated' AND wants IS DISTINCT FROM 'retire'
"""
_CLIENT_USER_IDS = """
SELECT user_id, client_user_id FROM apple_user WHERE library_id = $1 AND user_id = ANY ($2::uuid[])
"""
_USER_IDS = """
SELECT client_user_id, user_id FROM apple_user WHERE library_id = $1 AND client_user_id = ANY ($2::text[])
"""
_WANTING = """
SELECT apple_user.user_id FROM apple_user JOIN person USING (user_id)
WHERE library_id = $1 AND wants = $2 AND part_id IS NOT DISTINCT FROM $3::uuid AND write_id IS NULL
  AND (wants = 'retire' OR person.state = 'active' AND person.version >= person.wanted_version)
ORDER BY changed_at, user_id LIMIT $4
"""
_OF_WRITES = "SELECT user_id FROM apple_user WHERE write_id = ANY ($1::uuid[])"
_DUE_FOR_INVITATION = """
SELECT apple_user.user_id FROM apple_user JOIN person USING (user_id)
WHERE library_id = $1 AND invite_due AND wants IS NULL
  AND person.state = 'active' AND person.version >= person.wanted_version
  AND EXISTS (SELECT FROM apple_user_record AS record
              WHERE (record.library_id, record.client_user_id) = (apple_user.library_id, apple_user.client_user_id)
                AND record.status = 'Registered' AND record.invite_code IS NOT NULL)
ORDER BY user_id LIMIT $2
"""
_DUE_TO_ASK = "SELECT user_id FROM apple_user WHERE invited_at IS NOT NULL AND ask_at <= $1 LIMIT $2"
_MAKE_DUE = """
WITH locked AS MATERIALIZED (
    SELECT user_id FROM person WHERE user_id IN (SELECT user_id FROM apple_user WHERE invited_at IS NOT NULL)
    ORDER BY user_id FOR NO KEY UPDATE)
UPDATE apple_user SET ask_at = $1 FROM locked
WHERE apple_user.user_id = locked.user_id AND invited_at IS NOT NULL
"""
_LEAVERS = """
SELECT apple_user.library_id, apple_user.user_id FROM person JOIN apple_user USING (user_id)
WHERE person.state IN ('left', 'deleted') AND apple_user.state IN ('registered', 'associated')
  AND (wants IS NULL OR wants = 'update' AND write_id IS NULL) AND ($2::uuid[] IS NULL OR user_id = ANY ($2))
  AND NOT EXISTS (SELECT FROM license
                  JOIN pool ON pool.id = license.pool_id AND pool.library_id = apple_user.library_id
                  JOIN asset ON asset.id = license.asset_id
                  WHERE license.user_id = apple_user.user_id AND asset.revocable AND license.state IN
                        ('awaiting_acceptance', 'reserved', 'assigned', 'releasing'))
LIMIT $1
"""
_LIBRARY_TO_JOIN = """
SELECT id FROM library WHERE id = $1 OR $1::text IS NULL ORDER BY preference, id LIMIT 1
"""
_WAITING_ASSETS = """
SELECT license.user_id, array_agg(DISTINCT license.asset_id ORDER BY license.asset_id) AS asset_ids
FROM license JOIN pool ON pool.id = license.pool_id
WHERE pool.library_id = $1 AND license.user_id = ANY ($2::uuid[]) AND license.state = 'awaiting_acceptance'
GROUP BY license.user_id
"""
_LEFT_BEHIND = """
SELECT DISTINCT pool.library_id, license.user_id FROM license JOIN pool ON pool.id = license.pool_id
JOIN apple_user ON (apple_user.library_id, apple_user.user_id) = (pool.library_id, license.user_id)
WHERE license.state = 'awaiting_acceptance' AND apple_user.state = 'associated'
  AND apple_user.wants IS DISTINCT FROM 'retire' AND ($1::text IS NULL OR pool.library_id = $1)
LIMIT $2
"""


async def associated(tx: Transaction, pairs: Collection[tuple[str, UUID]]) -> set[tuple[str, UUID]]:
    """Return those of these (library, person) whose Apple user can be given licences now."""
    library_ids, user_ids = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return {(row[0], row[1]) for row in await tx.raw.fetch(_ASSOCIATED, library_ids, user_ids)}


async def client_user_ids(tx: Transaction, library_id: str, user_ids: Collection[UUID]) -> Mapping[UUID, str]:
    """Return under which client user ids Apple knows these people."""
    return {row[0]: row[1] for row in await tx.raw.fetch(_CLIENT_USER_IDS, library_id, list(user_ids))}


async def user_ids(tx: Transaction, library_id: str, client_user_ids: Collection[str]) -> Mapping[str, UUID]:
    """Return which of our people these client user ids are; those of strangers are absent."""
    return {row[0]: row[1] for row in await tx.raw.fetch(_USER_IDS, library_id, list(client_user_ids))}


async def load(tx: Transaction, library_id: str, user_ids: Iterable[UUID]) -> dict[UUID, AppleUser]:
    """Return the Apple users of people in one library."""
    return {row["user_id"]: _user(row) for row in await tx.raw.fetch(_LOAD, library_id, list(user_ids))}


async def of_people(tx: Transaction, user_ids: Iterable[UUID]) -> list[AppleUser]:
    """Return the Apple users of people in every library."""
    return [_user(row) for row in await tx.raw.fetch(_OF_PEOPLE, list(user_ids))]


async def save(tx: Transaction, users: Sequence[AppleUser]) -> None:
    """Write Apple users, new ones and changed ones. A client user id is never changed."""
    if users:
        columns = zip(*(astuple(user) for user in users), strict=True)
        await tx.raw.execute(_SAVE, *(list(column) for column in columns), tx.now)


async def wanting(
    tx: Transaction, library_id: str, kind: UserWrite, part_id: UUID | None, *, limit: int
) -> list[UUID]:
    """Return who waits for such a request, the longest first; whose newer version we wait for does not yet."""
    rows = await tx.raw.fetch(_WANTING, library_id, kind, part_id, limit)
    return [row["user_id"] for row in rows]


async def of_writes(tx: Transaction, write_ids: Collection[UUID]) -> list[UUID]:
    """Return who is part of these requests still."""
    return [row["user_id"] for row in await tx.raw.fetch(_OF_WRITES, list(write_ids))]


async def due_for_invitation(tx: Transaction, library_id: str, *, limit: int) -> list[UUID]:
    """Return whose invitation is to be told."""
    return [row["user_id"] for row in await tx.raw.fetch(_DUE_FOR_INVITATION, library_id, limit)]


async def due_to_ask(tx: Transaction, *, before: datetime, limit: int) -> list[UUID]:
    """Return the people of whose invitation nothing was heard for so long that it is asked for again."""
    return [row["user_id"] for row in await tx.raw.fetch(_DUE_TO_ASK, before, limit)]


async def make_due(tx: Transaction) -> None:
    """Let every open invitation be asked for again now. Locks the people it is about."""
    tx.reach(Rung.PEOPLE)
    await tx.raw.execute(_MAKE_DUE, tx.now)


async def leavers(
    tx: Transaction, *, limit: int | None, among: Collection[UUID] | None = None
) -> list[tuple[str, UUID]]:
    """Return the Apple users, by library and person, whose person left and holds nothing that is revocable."""
    people = None if among is None else list(among)
    return [(row[0], row[1]) for row in await tx.raw.fetch(_LEAVERS, limit, people)]


async def library_to_join(tx: Transaction, library_id: str | None) -> str | None:
    """Return a library that is known, the preferred one if none is named; None where there is none."""
    found: str | None = await tx.raw.fetchval(_LIBRARY_TO_JOIN, library_id)
    return found


async def waiting_assets(
    tx: Transaction, library_id: str, user_ids: Collection[UUID]
) -> Mapping[UUID, Sequence[UUID]]:
    """Return the assets of which a licence is held for each until they accept; who has none is absent."""
    rows = await tx.raw.fetch(_WAITING_ASSETS, library_id, list(user_ids))
    return {row["user_id"]: row["asset_ids"] for row in rows}


async def left_behind(tx: Transaction, library_id: str | None, *, limit: int) -> list[tuple[str, UUID]]:
    """Return who is associated beside a licence that waits for just that, by library and person.

    None is every library. There must be none (scenario 9), except where Apple did not know a user whom it had shown.
    """
    return [(row[0], row[1]) for row in await tx.raw.fetch(_LEFT_BEHIND, library_id, limit)]


def _user(row: asyncpg.Record) -> AppleUser:
    said = dict(row)
    said["state"] = UserState(said["state"])
    said["wants"] = None if said["wants"] is None else UserWrite(said["wants"])
    return AppleUser(**said)
