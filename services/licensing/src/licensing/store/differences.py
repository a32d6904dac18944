"""Differences that reconciliations found, and whether they are still there when they are to be repaired."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from licensing.model import Holder
from licensing.model.reconciling import DifferenceClass, DifferenceState, Found, OpenDifference
from shared.database import Transaction
from shared.ids import new_ids

DOUBT = timedelta(minutes=1)
"""What changed so shortly before a reading began proves nothing either: replicas' clocks do not agree closely."""

_INSERT = """
INSERT INTO difference (id, reconciliation_id, class, asset_id, pool_id, holder, of_people, entitlement_id,
                        ours, apples, state, found_at)
SELECT id, $2, class, asset_id, pool_id, holder, of_people, entitlement_id, ours::jsonb, apples::jsonb, 'open', found_at
FROM unnest($1::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::bool[], $8::uuid[], $9::text[],
            $10::text[], $11::timestamptz[])
     AS new (id, class, asset_id, pool_id, holder, of_people, entitlement_id, ours, apples, found_at)
"""
_SUPERSEDE = """
UPDATE difference SET state = 'ignored', settled_at = $2
FROM reconciliation AS former, reconciliation AS newer
WHERE newer.id = $1 AND former.library_id = newer.library_id AND former.id <> newer.id
  AND difference.reconciliation_id = former.id AND difference.state = 'open'
"""
_NEXT = """
SELECT pool_id, asset_id FROM difference
WHERE reconciliation_id = $1 AND state = 'open' AND class = ANY ($2::text[]) AND pool_id IS NOT NULL
  AND class <> 'counts'
ORDER BY pool_id LIMIT 1
"""
_OPEN = """
SELECT id, class, holder, of_people, entitlement_id, found_at FROM difference
WHERE reconciliation_id = $1 AND pool_id = $2 AND state = 'open' AND class = ANY ($3::text[]) AND class <> 'counts'
ORDER BY id LIMIT $4
"""
_SETTLE = "UPDATE difference SET state = $2, settled_at = $3 WHERE id = ANY ($1::uuid[])"
_STILL_STRANGE = """
SELECT difference.id, difference.of_people, difference.holder, apple_user.user_id
FROM difference JOIN pool ON pool.id = difference.pool_id
LEFT JOIN apple_user ON difference.of_people AND apple_user.library_id = pool.library_id
                    AND apple_user.client_user_id = difference.holder
WHERE difference.id = ANY ($1::uuid[])
  AND (pool.listed_at IS NULL OR pool.listed_at <= difference.found_at
       OR EXISTS (SELECT FROM foreign_assignment AS known
                  WHERE (known.pool_id, known.of_people, known.holder)
                      = (difference.pool_id, difference.of_people, difference.holder)))
  AND NOT EXISTS (SELECT FROM license
                  WHERE license.serial_number = CASE WHEN NOT difference.of_people THEN difference.holder END
                    AND license.asset_id = difference.asset_id AND {is_ours})
  AND NOT EXISTS (SELECT FROM license
                  WHERE license.user_id = apple_user.user_id AND license.asset_id = difference.asset_id AND {is_ours})
""".format(
    is_ours="(license.state = 'releasing'"  # of any pool: a target has one licence of an asset on its way back
    " OR (license.pool_id = difference.pool_id"
    " AND (license.state IN ('waitlisted', 'awaiting_acceptance', 'reserved', 'assigned')"
    " OR license.changed_at >= difference.found_at - $2::interval)))"
)
_STILL_TAKEN = """
SELECT difference.id, license.entitlement_id FROM difference JOIN license USING (entitlement_id)
WHERE difference.id = ANY ($1::uuid[]) AND license.state = 'assigned' AND license.pool_id = difference.pool_id
  AND license.changed_at < difference.found_at - $2::interval
"""
_STILL_OVERDUE = """
SELECT difference.id, intent.id AS intent_id
FROM difference JOIN license USING (entitlement_id) JOIN intent ON intent.id = license.intent_id
WHERE difference.id = ANY ($1::uuid[]) AND intent.sent_at < $2
"""
_LET_LIST_SETTLE = "UPDATE intent SET ended_at = $2 WHERE id = ANY ($1::uuid[]) AND ended_at IS NULL"
_SETTLE_COUNTS = """
UPDATE difference SET settled_at = $2,
       state = CASE WHEN EXISTS (SELECT FROM pool JOIN reconciliation USING (library_id)
                                 WHERE reconciliation.id = $1 AND pool.asset_id = difference.asset_id
                                   AND pool.read_at > difference.found_at) THEN 'gone' ELSE 'applied' END
WHERE reconciliation_id = $1 AND class = 'counts' AND state = 'open' RETURNING state
"""
_DRIFT = """
SELECT class, count(*) FROM difference JOIN reconciliation ON reconciliation.id = reconciliation_id
LEFT JOIN pool ON pool.id = difference.pool_id
WHERE difference.state = 'open' AND reconciliation.state = 'ended'
  AND (class <> 'counts' OR pool.id IS NULL OR pool.read_at <= found_at)  -- counts are read anyway, and soon
GROUP BY class
"""
_FORGET = """
DELETE FROM difference WHERE id = ANY (ARRAY(
    SELECT difference.id FROM difference JOIN reconciliation ON reconciliation.id = reconciliation_id
    WHERE reconciliation.ended_at < $1 LIMIT $2))
"""
_FORGET_READ = """
DELETE FROM reconciliation
WHERE ended_at < $1 AND NOT EXISTS (SELECT FROM difference WHERE reconciliation_id = reconciliation.id)
"""


async def insert(tx: Transaction, reconciliation_id: UUID, found: Sequence[Found]) -> None:
    """Store differences; they are open."""
    await tx.raw.execute(
        _INSERT,
        new_ids(len(found)),
        reconciliation_id,
        [str(each.kind) for each in found],
        [each.asset_id for each in found],
        [each.pool_id for each in found],
        [each.holder for each in found],
        [each.of_people for each in found],
        [each.entitlement_id for each in found],
        [json.dumps(each.ours) for each in found],
        [json.dumps(each.apples) for each in found],
        [each.found_at for each in found],
    )


async def supersede(tx: Transaction, reconciliation_id: UUID) -> None:
    """Let nothing be open any more of the reconciliations before this one of the same library."""
    await tx.raw.execute(_SUPERSEDE, reconciliation_id, tx.now)


async def next_place(
    tx: Transaction, reconciliation_id: UUID, classes: Collection[str]
) -> tuple[UUID, UUID] | None:
    """Return a pool, and its asset, in which something of these classes is open; counts have no holders."""
    row = await tx.raw.fetchrow(_NEXT, reconciliation_id, list(classes))
    return None if row is None else (row["pool_id"], row["asset_id"])


async def open_in(
    tx: Transaction, reconciliation_id: UUID, pool_id: UUID, classes: Collection[str], *, limit: int
) -> list[OpenDifference]:
    """Return what is open in a locked pool: nobody else settles it meanwhile."""
    rows = await tx.raw.fetch(_OPEN, reconciliation_id, pool_id, list(classes), limit)
    return [OpenDifference(row[0], DifferenceClass(row[1]), *tuple(row)[2:]) for row in rows]


async def settle(tx: Transaction, difference_ids: Collection[UUID], state: DifferenceState) -> None:
    """Store what became of differences."""
    if difference_ids:
        await tx.raw.execute(_SETTLE, list(difference_ids), state, tx.now)


async def still_strange(tx: Transaction, difference_ids: Sequence[UUID]) -> Mapping[UUID, Holder | None]:
    """Return those in a locked pool whose holders still have no row of ours, and are not known to be gone at Apple.

    With each its holder: None for a person whom nobody here knows.
    """
    rows = await tx.raw.fetch(_STILL_STRANGE, difference_ids, DOUBT)
    return {row["id"]: row["user_id"] if row["of_people"] else row["holder"] for row in rows}


async def still_taken(tx: Transaction, difference_ids: Sequence[UUID]) -> Mapping[UUID, UUID]:
    """Return those in a locked pool whose lives still hold what Apple did not list, and with each its entitlement."""
    rows = await tx.raw.fetch(_STILL_TAKEN, difference_ids, DOUBT)
    return {row["id"]: row["entitlement_id"] for row in rows}


async def still_overdue(
    tx: Transaction, difference_ids: Sequence[UUID], sent_before: datetime
) -> Mapping[UUID, UUID]:
    """Return those in a locked pool whose requests are still not settled, and with each its request."""
    rows = await tx.raw.fetch(_STILL_OVERDUE, difference_ids, sent_before)
    return {row["id"]: row["intent_id"] for row in rows}


async def let_list_settle(tx: Transaction, intent_ids: Collection[UUID]) -> None:
    """From now on a list proves what became of these requests: their proof time has passed (promise 6)."""
    await tx.raw.execute(_LET_LIST_SETTLE, list(intent_ids), tx.now)


async def settle_counts(tx: Transaction, reconciliation_id: UUID) -> bool:
    """Settle what differs in counts: gone where they were read since. Return whether a reading is due."""
    return "applied" in [
        row["state"] for row in await tx.raw.fetch(_SETTLE_COUNTS, reconciliation_id, tx.now)
    ]


async def drift(tx: Transaction) -> Mapping[DifferenceClass, int]:
    """Count what is open, by class, in the last reconciliation of each library that ended."""
    found = {row[0]: row[1] for row in await tx.raw.fetch(_DRIFT)}
    return {kind: found.get(kind, 0) for kind in DifferenceClass}


async def forget(tx: Transaction, before: datetime, *, limit: int) -> int:
    """Delete what reconciliations found that ended before then; return how much."""
    many = int((await tx.raw.execute(_FORGET, before, limit)).split()[-1])
    await tx.raw.execute(_FORGET_READ, before)
    return many
