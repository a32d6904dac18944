"""Reserving licences: licensing's own handler beside its statements."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from bench.figures import Figure, Size
from bench.handled_sets import Contest, Statement, compare
from bench.license_sets import LicenseSet
from bench.licensing_database import ASSET_ID, LIBRARY
from licensing import handlers
from licensing.model import State
from licensing.store.license_rows import _INSERT as INSERT_LICENSES
from licensing.store.pools import _OF_ASSETS as LOCK_POOLS
from licensing.store.pools import _SAVE as SAVE_POOLS
from shared.events.assignment import AssignmentRequested
from shared.events.licensing import LicenseReserved
from shared.inbox import _CLAIM as CLAIM
from shared.outbox import _INSERT as INSERT_OUTBOX


async def measure(size: Size) -> list[Figure]:
    """Measure `reserve`: from the record that asks to the commit that tells the reservations."""
    contest = Contest(
        "reserve",
        _nothing,
        {AssignmentRequested: handlers.reserve},
        LicenseSet.requested,
        _statements,
        "into one pool",
    )
    return [await compare(contest, size)]


async def _nothing(_connection: asyncpg.Connection, _pool_id: UUID, _sets: Sequence[LicenseSet]) -> None:
    """Begin with an empty pool."""


def _statements(each: LicenseSet, pool_id: UUID, _sets: int) -> list[Statement]:
    told = LicenseReserved.model_validate(
        {
            "asset_id": ASSET_ID,
            "library_id": LIBRARY,
            "targets": [target.model_dump() for target in each.targets()],
        }
    )
    held = each.before + len(told.targets)
    return [
        (CLAIM, each.claim()),
        (LOCK_POOLS, [[ASSET_ID]]),
        (INSERT_LICENSES, each.licenses(pool_id, State.RESERVED)),
        (SAVE_POOLS, ([pool_id], [held], [0], [held])),
        (INSERT_OUTBOX, each.told(told)),
    ]
