"""Apple users as licensing told them last: who is associated with an Apple Account, and in which library."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.database import Transaction

_PUT = """
INSERT INTO apple_users (user_id, library_id, associated, sequence, changed_at)
SELECT told.*, $5 FROM unnest($1::uuid[], $2::text[], $3::boolean[], $4::bigint[]) AS told
ORDER BY 1, 2
ON CONFLICT (user_id, library_id) DO UPDATE
SET associated = excluded.associated, sequence = excluded.sequence, changed_at = excluded.changed_at
WHERE apple_users.sequence < excluded.sequence
RETURNING user_id, library_id
"""
_LIBRARIES = "SELECT user_id, library_id FROM apple_users WHERE associated AND user_id = ANY ($1::uuid[])"


@dataclass(frozen=True, slots=True)
class Told:
    """A person's Apple user in one library as one event tells it."""

    user_id: UUID
    library_id: str
    associated: bool
    sequence: int


async def put(tx: Transaction, told: Sequence[Told]) -> set[tuple[UUID, str]]:
    """Store Apple users, each told once at most; returns which were news: what a higher sequence told stays."""
    rows = await tx.raw.fetch(
        _PUT,
        [each.user_id for each in told],
        [each.library_id for each in told],
        [each.associated for each in told],
        [each.sequence for each in told],
        tx.now,
    )
    return {(row["user_id"], row["library_id"]) for row in rows}


async def libraries(tx: Transaction, user_ids: Collection[UUID]) -> Mapping[UUID, set[str]]:
    """Return the libraries in which these people are associated; who is in none is absent from the answer."""
    found: defaultdict[UUID, set[str]] = defaultdict(set)
    for row in await tx.raw.fetch(_LIBRARIES, list(user_ids)):
        found[row["user_id"]].add(row["library_id"])
    return found
