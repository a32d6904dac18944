"""Content tokens: sealed, one per library in use, the replaced ones kept."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.database import Transaction

READ_ONLY = "token_read_only"
"""Why a library is suspended whose content token may read and not write."""

_REPLACE = "UPDATE content_token SET replaced_at = $2 WHERE library_id = $1 AND replaced_at IS NULL"
_STORE_ANOTHER = """
INSERT INTO content_token (id, library_id, sealed, organization_name, expires_at, created_by, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_NEW_RIGHTS = "UPDATE library SET rights = 'unknown' WHERE id = $1"
_IN_USE = """
SELECT library.state, library.cause, library.mdm_id, library.claimed_at, library.fenced_at IS NOT NULL,
       content_token.id, content_token.sealed
FROM library JOIN content_token ON content_token.library_id = library.id AND replaced_at IS NULL
WHERE library.id = $1
"""
_EXPIRES = "UPDATE content_token SET expires_at = $2 WHERE id = $1"
_ENDING = """
SELECT id, library_id, expires_at, told_rung FROM content_token
WHERE replaced_at IS NULL AND expires_at <= $1 ORDER BY library_id FOR UPDATE
"""
_TOLD = """
UPDATE content_token SET told_rung = told.rung::smallint
FROM jsonb_each_text($1::jsonb) AS told (id, rung) WHERE content_token.id = told.id::uuid
"""


@dataclass(frozen=True, slots=True)
class TokenInUse:
    """The sealed content token that speaks for a library now, and how that library stands.

    `claimed_at` is None until Apple took our claim once; `fenced` says that another service's claim was found
    and nobody has taken the library over again since.
    """

    library_state: str
    cause: str | None
    mdm_id: UUID
    claimed_at: datetime | None
    fenced: bool
    token_id: UUID
    sealed: bytes

    @property
    def writes(self) -> bool:
        """Say whether the library may be written to."""
        return self.library_state == "active"

    @property
    def reads(self) -> bool:
        """Say whether Apple lets it be read: where only writing is stopped, reading goes on."""
        return self.library_state != "suspended" or self.cause == READ_ONLY


@dataclass(frozen=True, slots=True)
class NewToken:
    """A content token to be stored."""

    token_id: UUID
    sealed: bytes
    organization_name: str
    expires_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class EndingToken:
    """A content token in use that ends soon, locked; `told_rung` is the lowest rung told so far."""

    token_id: UUID
    library_id: str
    expires_at: datetime
    told_rung: int | None


async def replace(tx: Transaction, library_id: str, token: NewToken) -> None:
    """Let this token speak for the library from now on; what it may do is yet to be seen."""
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
    await tx.raw.execute(_NEW_RIGHTS, library_id)


async def in_use(tx: Transaction, library_id: str) -> TokenInUse | None:
    """Return the token that speaks for a library."""
    row = await tx.raw.fetchrow(_IN_USE, library_id)
    return None if row is None else TokenInUse(*row)


async def correct_expiry(tx: Transaction, token_id: UUID, expires_at: datetime | None) -> None:
    """Note when Apple says that a token ends, if it says so: its word is better than the file's."""
    if expires_at is not None:
        await tx.raw.execute(_EXPIRES, token_id, expires_at)


async def ending(tx: Transaction, before: datetime) -> Sequence[EndingToken]:
    """Lock the tokens in use that end by then."""
    return [EndingToken(*row) for row in await tx.raw.fetch(_ENDING, before)]


async def mark_told(tx: Transaction, rungs: Mapping[UUID, int]) -> None:
    """Note the lowest rung told of each token."""
    await tx.raw.execute(_TOLD, json.dumps({str(token_id): rung for token_id, rung in rungs.items()}))
