"""The records of users that Apple showed, ours and strangers': many retired ones of a client user id, one active.

Apple's records have no ids that last. What tells two of one client user id apart is the account tied to each: a
record that never had one is taken up again, and who comes back with a former account gets that record back.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from licensing.model.apple import AppleUserStatus
from licensing.model.people import Sight, UserState
from shared.database import Transaction

_ACTIVE = "('Registered', 'Associated')"
_STORE = f"""
INSERT INTO apple_user_record AS known (library_id, client_user_id, id_hash, status, invite_code, invite_hash,
                                        reading, seen_at)
SELECT $1, new.*, $7, $8
FROM unnest($2::text[], $3::text[], $4::text[], $5::bytea[], $6::bytea[])
     AS new (client_user_id, id_hash, status, invite_code, invite_hash)
ON CONFLICT (library_id, client_user_id, id_hash) DO UPDATE SET
    status = excluded.status, reading = excluded.reading, seen_at = excluded.seen_at,
    invite_hash = excluded.invite_hash,
    invite_code = CASE WHEN known.invite_hash = excluded.invite_hash THEN known.invite_code
                       ELSE excluded.invite_code END
-- Two of one account, one of them legacy and for ever Deleted: the active one counts.
WHERE NOT (known.reading = excluded.reading AND known.status IN {_ACTIVE} AND excluded.status NOT IN {_ACTIVE})
"""
_TOUCHED = """
SELECT DISTINCT apple_user.user_id FROM apple_user_record JOIN apple_user USING (library_id, client_user_id)
WHERE library_id = $1 AND reading > $2 AND apple_user.user_id > $3 ORDER BY apple_user.user_id LIMIT $4
"""
_STALE = f"""
apple_user_record AS stale, apple_user_record AS later, apple_user
WHERE apple_user.library_id = $1 AND apple_user.user_id = ANY ($2::uuid[])
  AND (stale.library_id, stale.client_user_id) = (apple_user.library_id, apple_user.client_user_id)
  AND (later.library_id, later.client_user_id) = (apple_user.library_id, apple_user.client_user_id)
  AND stale.reading < later.reading AND stale.status IN {_ACTIVE}
"""
# One without an account is shown with every other that changes, or it has become that one, retired since or not.
_DROP = f"""
DELETE FROM apple_user_record AS record
USING (SELECT stale.library_id, stale.client_user_id, stale.id_hash FROM {_STALE} AND stale.id_hash = '') AS gone
WHERE (record.library_id, record.client_user_id, record.id_hash)
    = (gone.library_id, gone.client_user_id, gone.id_hash)
"""
# Of two accounts, the former's record has ended.
_RETIRE = f"""
UPDATE apple_user_record AS record SET status = 'Retired'
FROM (SELECT stale.library_id, stale.client_user_id, stale.id_hash FROM {_STALE}
        AND stale.id_hash <> '' AND later.status IN {_ACTIVE}) AS gone
WHERE (record.library_id, record.client_user_id, record.id_hash)
    = (gone.library_id, gone.client_user_id, gone.id_hash)
"""
_SIGHTS = f"""
SELECT DISTINCT ON (apple_user.user_id) apple_user.user_id, status, invite_hash
FROM apple_user_record JOIN apple_user USING (library_id, client_user_id)
WHERE library_id = $1 AND apple_user.user_id = ANY ($2::uuid[])
ORDER BY apple_user.user_id, status IN {_ACTIVE} DESC, reading DESC
"""
_CODES = """
SELECT apple_user.user_id, client_user_id, invite_code, invite_hash
FROM apple_user_record JOIN apple_user USING (library_id, client_user_id)
WHERE library_id = $1 AND apple_user.user_id = ANY ($2::uuid[]) AND status = 'Registered'
  AND invite_code IS NOT NULL
"""
_FORGET_CODES = """
UPDATE apple_user_record AS record SET invite_code = NULL, invite_hash = NULL FROM apple_user
WHERE apple_user.library_id = $1 AND apple_user.user_id = ANY ($2::uuid[])
  AND (record.library_id, record.client_user_id) = (apple_user.library_id, apple_user.client_user_id)
"""


@dataclass(frozen=True, slots=True)
class Record:
    """One record as Apple shows it; the code is sealed, and of our own registered ones only."""

    client_user_id: str
    id_hash: str
    status: AppleUserStatus
    invite_code: bytes | None = field(default=None, repr=False)
    invite_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class SealedCode:
    """The sealed invitation code of a person, and the digest that says whether it is another one by now."""

    user_id: UUID
    client_user_id: str
    invite_code: bytes = field(repr=False)
    invite_hash: bytes


async def store(tx: Transaction, library_id: str, reading: int, records: Sequence[Record]) -> None:
    """Store a page of records, no two of one client user id and account, as this reading showed them."""
    await tx.raw.execute(
        _STORE,
        library_id,
        [record.client_user_id for record in records],
        [record.id_hash for record in records],
        [record.status for record in records],
        [record.invite_code for record in records],
        [record.invite_hash for record in records],
        reading,
        tx.now,
    )


async def touched(
    tx: Transaction, library_id: str, *, after_reading: int, after: UUID, limit: int
) -> list[UUID]:
    """Return those of our people, in the order of their ids, of whom later readings than that showed something."""
    rows = await tx.raw.fetch(_TOUCHED, library_id, after_reading, after, limit)
    return [row["user_id"] for row in rows]


async def end_stale(tx: Transaction, library_id: str, user_ids: Collection[UUID]) -> None:
    """Let at most one record of each of these people be active: the one that was shown last."""
    await tx.raw.execute(_DROP, library_id, list(user_ids))
    await tx.raw.execute(_RETIRE, library_id, list(user_ids))


async def sights(tx: Transaction, library_id: str, user_ids: Collection[UUID]) -> Mapping[UUID, Sight]:
    """Return what Apple shows of these people; of whom it never showed anything are absent."""
    rows = await tx.raw.fetch(_SIGHTS, library_id, list(user_ids))
    return {
        row["user_id"]: Sight(_STATES[AppleUserStatus(row["status"])], row["invite_hash"]) for row in rows
    }


async def codes(tx: Transaction, library_id: str, user_ids: Collection[UUID]) -> list[SealedCode]:
    """Return the codes with which these people can be invited now."""
    return [SealedCode(*row) for row in await tx.raw.fetch(_CODES, library_id, list(user_ids))]


_STATES = {
    AppleUserStatus.REGISTERED: UserState.REGISTERED,
    AppleUserStatus.ASSOCIATED: UserState.ASSOCIATED,
    AppleUserStatus.RETIRED: UserState.RETIRED,
    AppleUserStatus.DELETED: UserState.RETIRED,
}


async def forget_codes(tx: Transaction, library_id: str, user_ids: Collection[UUID]) -> None:
    """Forget the codes of these people, which cannot be opened: Apple shows them again with the whole list."""
    await tx.raw.execute(_FORGET_CODES, library_id, list(user_ids))
