"""What the parts of a long reading saw of a list, kept until it is read to its end.

The table is unlogged, and PostgreSQL empties it when it recovers: whoever goes on counts what is there.
"""

from collections.abc import Collection
from uuid import UUID

from shared.database import Transaction

Place = tuple[UUID, UUID]
"""A reading, and the pool whose list it reads."""

_OF_DEVICES, _OF_PEOPLE = False, True
_KEEP = """
INSERT INTO listed_assignment (reading_id, pool_id, of_people, holder)
SELECT $1, $2, $3, unnest($4::text[]) ON CONFLICT DO NOTHING
"""
_COUNT = "SELECT count(*) FROM listed_assignment WHERE reading_id = $1 AND pool_id = $2"
_KEPT = "SELECT holder FROM listed_assignment WHERE reading_id = $1 AND pool_id = $2 AND of_people = $3"
_UNDER_WAY = """
SELECT EXISTS (SELECT FROM work WHERE kind = 'read_list' AND payload ? 'walk' AND payload->>'pool_id' = $1)
"""
_FORGET = "DELETE FROM listed_assignment WHERE reading_id = $1 AND pool_id = $2"


async def keep(
    tx: Transaction, place: Place, *, serial_numbers: Collection[str], client_user_ids: Collection[str]
) -> int:
    """Keep some of a list; return how many of them were new."""
    new = 0
    for of_people, holders in ((_OF_DEVICES, serial_numbers), (_OF_PEOPLE, client_user_ids)):
        if holders:
            new += int((await tx.raw.execute(_KEEP, *place, of_people, holders)).split()[-1])
    return new


async def count(tx: Transaction, place: Place) -> int:
    """Count what is kept."""
    return int(await tx.raw.fetchval(_COUNT, *place))


async def kept(tx: Transaction, place: Place) -> tuple[set[str], set[str]]:
    """Return what is kept: serial numbers, and client user ids."""
    devices = await tx.raw.fetch(_KEPT, *place, _OF_DEVICES)
    people = await tx.raw.fetch(_KEPT, *place, _OF_PEOPLE)
    return {row[0] for row in devices}, {row[0] for row in people}


async def forget(tx: Transaction, place: Place) -> None:
    """Delete what is kept."""
    await tx.raw.execute(_FORGET, *place)


async def under_way(tx: Transaction, pool_id: UUID) -> bool:
    """Say whether a reading that proves outcomes has read a part of a pool's list, and not all of it."""
    return bool(await tx.raw.fetchval(_UNDER_WAY, str(pool_id)))
