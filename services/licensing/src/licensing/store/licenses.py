"""Licences: whole sets, found by what they are part of. Whoever writes one holds its pool's row (store.pools)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from licensing.model import HOLDING, Ask, Holder, License, State
from licensing.store.license_rows import SELECT, by_kind, to_license
from shared.database import Transaction

_LIVING = "('waitlisted', 'awaiting_acceptance', 'reserved', 'assigned', 'releasing')"
# OFFSET 0 has each looked up by its index: a plan made while the table was small would compare all with all.
_OF_TARGETS = f"""
SELECT life.* FROM unnest($1::uuid[]) AS asked (id), LATERAL (
    {SELECT} WHERE license.entitlement_id = asked.id OFFSET 0) AS life
UNION
SELECT life.* FROM unnest($2::text[]) AS asked (id), LATERAL (
    {SELECT} WHERE license.serial_number = asked.id AND license.asset_id = ANY ($3::uuid[])
               AND license.state IN {_LIVING} OFFSET 0) AS life
"""
_OF_PEOPLE = f"""
SELECT life.* FROM unnest($1::uuid[]) AS asked (id), LATERAL (
    {SELECT} WHERE license.user_id = asked.id AND license.asset_id = ANY ($2::uuid[])
               AND license.state IN {_LIVING} OFFSET 0) AS life
"""
_BY_ENTITLEMENT = f"{SELECT} WHERE license.entitlement_id = ANY ($1::uuid[])"
_OF_INTENT = f"{SELECT} WHERE license.intent_id = $1 ORDER BY license.arrival, license.entitlement_id"
_HOLDERS = "SELECT serial_number, user_id FROM license WHERE intent_id = ANY ($1::uuid[])"
_WAITING_FOR_OUTCOME = f"""
{SELECT} WHERE license.asset_id = (SELECT asset_id FROM pool WHERE id = $1)
            AND license.state IN ('waitlisted', 'awaiting_acceptance', 'reserved') AND license.intent_id IS NULL
            AND (license.serial_number = ANY ($2::text[]) OR license.user_id = ANY ($3::uuid[]))
"""
_UNSENT = f"""
{SELECT} WHERE license.pool_id = $1 AND license.state IN ('reserved', 'awaiting_acceptance')
            AND intent.sent_at IS NULL
ORDER BY license.arrival DESC LIMIT $2
"""
_OF_HOLDERS = f"""
{SELECT} JOIN pool ON pool.id = license.pool_id
WHERE pool.library_id = $1 AND license.user_id = ANY ($2::uuid[]) AND license.state = $3
"""
_LEAVING = f"""
{SELECT} WHERE license.user_id = ANY ($1::uuid[]) AND license.state = 'releasing' AND intent.sent_at IS NOT NULL
"""
_POOLS_OF_PEOPLE = f"""
SELECT DISTINCT pool.id FROM license JOIN pool ON pool.asset_id = license.asset_id
WHERE license.user_id = ANY ($1::uuid[]) AND license.state IN {_LIVING}
"""
_DUE_FOR_RELEASE = f"""
{SELECT} WHERE license.pool_id = ANY ($1::uuid[]) AND license.state = 'releasing' AND license.intent_id IS NULL
            AND license.release_at <= $2
"""
_POOLS_WITH_DUE = """
SELECT DISTINCT pool_id FROM license
WHERE state = 'releasing' AND intent_id IS NULL AND release_at <= $1 LIMIT $2
"""
_SPENT = f"""
{SELECT} JOIN pool ON pool.id = license.pool_id
          JOIN apple_user ON (apple_user.library_id, apple_user.user_id) = (pool.library_id, license.user_id)
WHERE license.pool_id = $1 AND license.state = 'assigned' AND apple_user.state = 'retired'
ORDER BY license.arrival
LIMIT greatest(0, (SELECT retired FROM pool WHERE id = $1)
                  - (SELECT count(*) FROM license WHERE pool_id = $1 AND state = 'spent'))
"""
_FORGET = """
DELETE FROM license WHERE entitlement_id = ANY (ARRAY(
    SELECT entitlement_id FROM license WHERE state IN ('released', 'refused', 'failed', 'lost') AND changed_at < $1
    LIMIT $2 FOR UPDATE SKIP LOCKED))
"""
_IN_THE_WAY = HOLDING - {State.DISASSOCIATING} | {State.WAITLISTED}


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger knows when asks arrive: their own lives, and other living ones of their targets."""

    lives: Mapping[UUID, License]
    in_the_way: Mapping[tuple[UUID, Holder], License]
    """By asset and holder; what has left for Apple to be released is not in the way."""
    leaving: Sequence[License]
    """Those that have."""


async def known(tx: Transaction, asks: Sequence[Ask]) -> Known:
    """Return what is known about these asks. The pools of their assets are locked."""
    asset_ids = list({ask.asset_id for ask in asks})
    serial_numbers, user_ids = by_kind([ask.holder for ask in asks])
    rows = await tx.raw.fetch(_OF_TARGETS, [ask.entitlement_id for ask in asks], serial_numbers, asset_ids)
    if user_ids:
        rows += await tx.raw.fetch(_OF_PEOPLE, user_ids, asset_ids)
    if not rows:
        return Known({}, {}, ())
    asked = {ask.entitlement_id for ask in asks}
    found = {each.entitlement_id: each for each in map(to_license, rows)}
    others = [
        each for each in found.values() if each.entitlement_id not in asked and each.pool_id is not None
    ]
    return Known(
        {entitlement_id: each for entitlement_id, each in found.items() if entitlement_id in asked},
        {(each.asset_id, each.holder): each for each in others if each.state in _IN_THE_WAY},
        [each for each in found.values() if each.state is State.DISASSOCIATING],
    )


async def by_entitlement(tx: Transaction, entitlement_ids: Collection[UUID]) -> list[License]:
    """Return these lives."""
    return [to_license(row) for row in await tx.raw.fetch(_BY_ENTITLEMENT, list(entitlement_ids))]


async def of_intent(tx: Transaction, intent_id: UUID) -> list[License]:
    """Return the members of a request to Apple, in the order of arrival."""
    return [to_license(row) for row in await tx.raw.fetch(_OF_INTENT, intent_id)]


async def holders(tx: Transaction, intent_ids: Collection[UUID]) -> set[Holder]:
    """Return whose licences these requests are about."""
    return {row[0] or row[1] for row in await tx.raw.fetch(_HOLDERS, list(intent_ids))}


async def waiting_for_outcome(tx: Transaction, pool_id: UUID, holders: Collection[Holder]) -> list[License]:
    """Return the later lives of these, whose former ones are part of a request to Apple."""
    if not holders:
        return []
    return [to_license(row) for row in await tx.raw.fetch(_WAITING_FOR_OUTCOME, pool_id, *by_kind(holders))]


async def unsent(tx: Transaction, pool_id: UUID, limit: int) -> list[License]:
    """Return reservations of a pool that have not left for Apple, the latest first."""
    return [to_license(row) for row in await tx.raw.fetch(_UNSENT, pool_id, limit)]


async def of_people(
    tx: Transaction, library_id: str, user_ids: Collection[UUID], state: State
) -> list[License]:
    """Return the licences of these people in a library that are in this (stored) state."""
    return [
        to_license(row) for row in await tx.raw.fetch(_OF_HOLDERS, library_id, list(user_ids), str(state))
    ]


async def leaving(tx: Transaction, user_ids: Collection[UUID]) -> list[License]:
    """Return the licences of these people that have left for Apple to be released."""
    return [to_license(row) for row in await tx.raw.fetch(_LEAVING, list(user_ids))]


async def pools_of_people(tx: Transaction, user_ids: Collection[UUID]) -> list[UUID]:
    """Return the pools in which these people hold a licence, or wait for one."""
    return [row["id"] for row in await tx.raw.fetch(_POOLS_OF_PEOPLE, list(user_ids))]


async def due_for_release(tx: Transaction, pool_ids: Collection[UUID]) -> list[License]:
    """Return the licences of these locked pools whose grace has passed."""
    return [to_license(row) for row in await tx.raw.fetch(_DUE_FOR_RELEASE, list(pool_ids), tx.now)]


async def pools_with_due(tx: Transaction, *, limit: int) -> list[UUID]:
    """Return pools of which a licence's grace has passed."""
    return [row["pool_id"] for row in await tx.raw.fetch(_POOLS_WITH_DUE, tx.now, limit)]


async def spent(tx: Transaction, pool_id: UUID) -> list[License]:
    """Return licences of a locked pool that Apple's last reading counts as retired with their Apple users."""
    return [to_license(row) for row in await tx.raw.fetch(_SPENT, pool_id)]


async def forget_ended(tx: Transaction, before: datetime, *, limit: int) -> int:
    """Delete lives that ended before then and that nobody is writing; return how many. No pool needs its lock.

    Ended lives hold nothing and nobody counts them; a writer that meets one waits for us, we for none.
    """
    return int((await tx.raw.execute(_FORGET, before, limit)).split()[-1])
