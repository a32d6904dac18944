"""Releasing licences that have not left for Apple yet: they are free at once, and that is told at once."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from bench.figures import Figure, Size
from bench.handled_sets import Contest, Statement, compare
from bench.license_sets import LicenseSet
from bench.licensing_database import ASSET_ID, LIBRARY, NOON
from licensing import handlers
from licensing.model import IntentKind, State
from licensing.store.intents import _INSERT as INSERT_INTENTS
from licensing.store.intents import _RESIZE as RESIZE_INTENTS
from licensing.store.license_rows import _INSERT as INSERT_LICENSES
from licensing.store.license_rows import _UPDATE as UPDATE_LICENSES
from licensing.store.licenses import _OF_TARGETS as FIND_LICENSES
from licensing.store.pools import _OF_ASSETS as LOCK_POOLS
from licensing.store.pools import _SAVE as SAVE_POOLS
from shared.events import MAX_TARGETS_PER_EVENT
from shared.events.assignment import AssignmentRevoked
from shared.events.licensing import LicenseReleased
from shared.events.words import Held
from shared.ids import new_id
from shared.inbox import _CLAIM as CLAIM
from shared.outbox import _INSERT as INSERT_OUTBOX


async def measure(size: Size) -> list[Figure]:
    """Measure `release`: from the record that takes back to the commit that tells the releases."""
    contest = Contest(
        "release",
        _reserved,
        {AssignmentRevoked: handlers.release},
        LicenseSet.revoked,
        _statements,
        "reserved ones, out of one pool",
    )
    return [await compare(contest, size)]


async def _reserved(connection: asyncpg.Connection, pool_id: UUID, sets: Sequence[LicenseSet]) -> None:
    """Have all of them reserved, each set in a request to Apple that is not sent."""
    async with connection.transaction():
        for each in sets:
            await connection.execute(INSERT_INTENTS, *_intent(each, pool_id))
            await connection.execute(INSERT_LICENSES, *each.licenses(pool_id, State.RESERVED))
        held = sets[-1].before + MAX_TARGETS_PER_EVENT
        await connection.execute(SAVE_POOLS, [pool_id], [held], [0], [held])
    await connection.execute("VACUUM ANALYZE")


def _intent(each: LicenseSet, pool_id: UUID) -> tuple[object, ...]:
    kind, size = str(IntentKind.ASSOCIATE), MAX_TARGETS_PER_EVENT
    return [each.intent_id], [pool_id], [kind], [False], [0], [True], [size], [new_id()], NOON


def _statements(each: LicenseSet, pool_id: UUID, sets: int) -> list[Statement]:
    told = LicenseReleased.model_validate(
        {
            "asset_id": ASSET_ID,
            "library_id": LIBRARY,
            "targets": [{**target.model_dump(), "held": Held.LICENSE} for target in each.targets(version=2)],
        }
    )
    arrivals = sets * len(told.targets)
    held = arrivals - each.before - len(told.targets)
    return [
        (CLAIM, each.claim()),
        (LOCK_POOLS, [[ASSET_ID]]),
        (FIND_LICENSES, each.known()),
        (RESIZE_INTENTS, ([each.intent_id], [-len(told.targets)])),
        (UPDATE_LICENSES, each.licenses(pool_id, State.RELEASED, held=Held.LICENSE)),
        (SAVE_POOLS, ([pool_id], [held], [0], [arrivals])),
        (INSERT_OUTBOX, each.told(told)),
    ]
