"""Foreign assignments: those of Apple's that have no row of ours (promise 1). Guarded by the pool's row."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from licensing.model import Holder
from licensing.store.differences import DOUBT
from licensing.store.license_rows import by_kind
from shared.database import Transaction

_OF_DEVICES, _OF_PEOPLE = False, True
_OURS = """
license.state IN ('reserved', 'assigned', 'releasing', 'spent')
OR (license.state IN ('released', 'refused', 'failed', 'lost') AND license.changed_at >= $3)
"""
_STRANGE_DEVICES = f"""
SELECT listed.name FROM unnest($2::text[]) AS listed (name)
WHERE NOT EXISTS (SELECT FROM license
                  WHERE license.pool_id = $1 AND license.serial_number = listed.name AND ({_OURS}))
"""
_STRANGE_PEOPLE = f"""
SELECT listed.client_user_id FROM unnest($2::text[]) AS listed (client_user_id)
LEFT JOIN pool ON pool.id = $1
LEFT JOIN apple_user ON apple_user.library_id = pool.library_id
                    AND apple_user.client_user_id = listed.client_user_id
WHERE NOT EXISTS (SELECT FROM license
                  WHERE license.pool_id = $1 AND license.user_id = apple_user.user_id AND ({_OURS}))
"""
_LISTED_LATER = "SELECT coalesce(listed_at > $2, false) FROM pool WHERE id = $1"
_FORGET = """
DELETE FROM foreign_assignment AS known
WHERE pool_id = $1 AND of_people = $3
  AND NOT EXISTS (SELECT FROM unnest($2::text[]) AS listed (holder) WHERE listed.holder = known.holder)
"""
_STORE = """
INSERT INTO foreign_assignment (pool_id, of_people, holder) SELECT $1, $3, unnest($2::text[])
ON CONFLICT DO NOTHING
"""
_COUNT = """
UPDATE pool SET foreign_count = (SELECT count(*) FROM foreign_assignment WHERE pool_id = $1),
       listed_at = $2, untold = true
WHERE id = $1
"""
_ADOPT = """
WITH adopted AS (DELETE FROM foreign_assignment
                 WHERE pool_id = $1 AND of_people = $3 AND holder = ANY ($2::text[]) RETURNING holder),
     counted AS (UPDATE pool SET foreign_count = foreign_count - (SELECT count(*) FROM adopted)
                 WHERE id = $1 AND EXISTS (SELECT FROM adopted))
SELECT holder FROM adopted
"""


async def strange_devices(
    tx: Transaction, pool_id: UUID, serial_numbers: Collection[str], *, since: datetime
) -> list[str]:
    """Return those of the serials that Apple lists that hold nothing of ours, nor did `since` then, nearly.

    What was given back while a list is read may be in it still, and would be adopted with no licence behind it.
    """
    return [row[0] for row in await tx.raw.fetch(_STRANGE_DEVICES, pool_id, serial_numbers, since - DOUBT)]


async def strange_people(
    tx: Transaction, pool_id: UUID, client_user_ids: Collection[str], *, since: datetime
) -> list[str]:
    """Return the same for people, by their client user ids."""
    return [row[0] for row in await tx.raw.fetch(_STRANGE_PEOPLE, pool_id, client_user_ids, since - DOUBT)]


async def store(
    tx: Transaction,
    pool_id: UUID,
    *,
    devices: Collection[str],
    people: Collection[str],
    since: datetime,
) -> None:
    """Store who in a locked pool is foreign, by a list whose reading began `since` then.

    Who asked us while it was read is ours by now. A reading that began earlier than the stored one changes nothing.
    """
    if await tx.raw.fetchval(_LISTED_LATER, pool_id, since):
        return
    strangers = {
        _OF_DEVICES: await strange_devices(tx, pool_id, devices, since=since),
        _OF_PEOPLE: await strange_people(tx, pool_id, people, since=since),
    }
    for of_people, holders in strangers.items():
        await tx.raw.execute(_FORGET, pool_id, holders, of_people)
        await tx.raw.execute(_STORE, pool_id, holders, of_people)
    await tx.raw.execute(_COUNT, pool_id, since)


async def adopt(
    tx: Transaction, pool_id: UUID, holders: Collection[Holder], client_user_ids: Mapping[UUID, str]
) -> set[Holder]:
    """Take out those of these targets of a locked pool that are foreign, for they become ours; return them."""
    serial_numbers, user_ids = by_kind(holders)
    names = {client_user_ids.get(user_id, str(user_id)): user_id for user_id in user_ids}
    devices = await tx.raw.fetch(_ADOPT, pool_id, serial_numbers, _OF_DEVICES) if serial_numbers else ()
    people = await tx.raw.fetch(_ADOPT, pool_id, list(names), _OF_PEOPLE) if names else ()
    return {row["holder"] for row in devices} | {names[row["holder"]] for row in people}
