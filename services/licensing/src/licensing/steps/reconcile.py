"""Reads all that Apple says of a library, and finds where our ledger differs; it changes nothing in the ledger.

The counts first, then pool by pool: each pass of the work row reads a part of one list, and where a process dies,
that pool's list is read again.
"""

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from licensing import work
from licensing.model import (
    Access,
    AssetKey,
    AssetList,
    AssignmentPage,
    Pool,
    Reading,
    Walk,
)
from licensing.model.reconciling import Candidate, DifferenceClass, Found
from licensing.reconcile import classify, counts_moved
from licensing.steps.desk import Desk
from licensing.steps.outside import AssetLister, HolderLister
from licensing.store import differences, listed, pools, reconciliations
from licensing.store.differences import DOUBT
from licensing.store.listed import Place
from licensing.store.reconciliations import Comparison
from shared import worker
from shared.database import Transaction
from shared.errors import Unavailable
from shared.ids import asset_id
from shared.worker import WorkRow

Known = Mapping[UUID, tuple[UUID, Reading, datetime]]
"""By asset: its pool here, Apple's counts as we know them, and when they were read."""


class Auditor(AssetLister, HolderLister, Protocol):
    """Reads what a library owns, and who holds it."""


@dataclass(slots=True)
class _Reading:
    """One walk through a list: when it began, and how many rows of it are in the database."""

    began: datetime
    walk: Walk
    listed: int = 0

    @classmethod
    def of(cls, stored: dict[str, Any] | None, now: datetime) -> "_Reading":
        """Return the reading that the former pass stored, else one that begins now."""
        if stored is None:
            return cls(now, Walk())
        return cls(datetime.fromisoformat(stored["began"]), Walk.of(stored["walk"]), stored["listed"])

    def stored(self) -> dict[str, Any]:
        """Return what the next pass needs to go on."""
        return {"began": self.began.isoformat(), "walk": self.walk.stored(), "listed": self.listed}


class ReconcileStep:
    """Reconciles libraries."""

    def __init__(self, desk: Desk, apple: Auditor) -> None:
        self._desk = desk
        self._database = desk.database
        self._apple = apple

    async def do(self, row: WorkRow) -> None:
        """Read the counts, or the list of one pool."""
        access = await self._desk.reading_access(row.payload["library_id"])
        async with self._desk.suspending(access):
            if row.payload["pool_id"] is None:
                await self._count(row, access)
            else:
                await self._read(row, access, UUID(row.payload["pool_id"]))

    async def _count(self, row: WorkRow, access: Access) -> None:
        began = self._database.clock.now()
        owned = await self._apple.assets(access)
        async with self._database.transaction() as tx:
            known = await reconciliations.counts(tx, access.library_id)
            await differences.insert(tx, _reconciliation(row), _moved_counts(known, owned, began))
            await _go_on(tx, row, after=None)

    async def _read(self, row: WorkRow, access: Access, pool_id: UUID) -> None:
        pool = await self._desk.pool(pool_id)
        if pool is None:
            raise Unavailable("no_pool")
        reading = await self._resume(row, pool)
        await self._walk(row, access, pool, reading)
        following = reading.walk.following()
        async with self._database.transaction() as tx:
            if following is None:
                await _go_on(tx, row, after=pool_id)
                await self._compare(tx, _reconciliation(row), pool, reading)
                return
            if following is not reading.walk:
                await listed.forget(tx, (_reconciliation(row), pool_id))
                reading = _Reading(tx.now, following)
            payload = {**row.payload, "reading": reading.stored()}
            await worker.proceed(tx, row, payload=payload, due_at=tx.now)

    async def _resume(self, row: WorkRow, pool: Pool) -> _Reading:
        """Go on from where the former pass stood, or from the first page where the database holds anything else.

        It does so after a death in the middle of a pass. And PostgreSQL empties an unlogged table when it recovers.
        """
        place = (_reconciliation(row), pool.pool_id)
        async with self._database.transaction() as tx:
            reading = _Reading.of(row.payload["reading"], tx.now)
            if await listed.count(tx, place) != reading.listed:
                await listed.forget(tx, place)
                reading = _Reading(tx.now, Walk(reading.walk.number))
        return reading

    async def _walk(self, row: WorkRow, access: Access, pool: Pool, reading: _Reading) -> None:
        """Read a part of a list into the database, page by page: memory holds a few pages of it."""
        place = (_reconciliation(row), pool.pool_id)
        key, walk = AssetKey(pool.adam_id, pool.pricing_param), reading.walk
        listing = self._apple.assignments(access, key, first_page=walk.next_page or 0)
        async with aclosing(walk.through(listing, enough=self._desk.part())) as pages:
            async for page in pages:
                reading.listed += await self._keep(place, page)

    async def _keep(self, place: Place, page: AssignmentPage) -> int:
        async with self._database.transaction() as tx:
            return await listed.keep(
                tx, place, serial_numbers=page.serial_numbers, client_user_ids=page.client_user_ids
            )

    async def _compare(self, tx: Transaction, reconciliation_id: UUID, pool: Pool, reading: _Reading) -> None:
        """Store where we differ, and have foreign assignments counted anew where others were found.

        Half a list would look like licences taken.
        """
        place, exact = (reconciliation_id, pool.pool_id), reading.walk.exact
        if await listed.count(tx, place) != reading.listed:
            raise Unavailable("list_lost")
        comparison = Comparison(
            reconciliation_id,
            pool.pool_id,
            pool.asset_id,
            since=reading.began - DOUBT,
            overdue=reading.began - self._desk.pace.proof,
            exact=exact,
        )
        async for some in reconciliations.candidates(tx, comparison):
            found = [
                _found(each, kind, pool, reading.began) for each in some if (kind := classify(each.standing))
            ]
            await differences.insert(tx, reconciliation_id, found)
        if await reconciliations.foreign_moved(tx, reconciliation_id, pool.pool_id):
            await pools.lock(tx, [pool.pool_id])
            await work.want_lists(tx, [pool.pool_id])
        await listed.forget(tx, place)
        await reconciliations.pool_read(tx, reconciliation_id, exact=exact, listed=reading.listed)


async def _go_on(tx: Transaction, row: WorkRow, *, after: UUID | None) -> None:
    """Go on to the next pool, or end: what earlier reconciliations left open is this one's from now on."""
    pool_id = await reconciliations.next_pool(tx, row.payload["library_id"], after=after)
    if pool_id is not None:
        payload = {**row.payload, "pool_id": str(pool_id), "reading": None}
        await worker.proceed(tx, row, payload=payload, due_at=tx.now)
        return
    reconciliation_id = _reconciliation(row)
    await worker.finish(tx, row)
    classes = await reconciliations.end(tx, reconciliation_id)
    await differences.supersede(tx, reconciliation_id)
    if classes:
        await work.want_repairs(tx, reconciliation_id, row.payload["library_id"], classes)


def _reconciliation(row: WorkRow) -> UUID:
    return UUID(row.payload["reconciliation_id"])


def _moved_counts(known: Known, owned: AssetList, began: datetime) -> list[Found]:
    """Return the assets that were bought, refunded or transferred, and whose counts were not read meanwhile.

    An inexact list lacks nothing for certain.
    """
    listed = {
        asset_id(each.facts.key.adam_id, each.facts.key.pricing_param): each.reading for each in owned.assets
    }
    looked_at = listed.keys() | (known.keys() if owned.exact else set())
    found = []
    for each in sorted(looked_at):
        pool_id, ours, read_at = known.get(each, (None, None, None))
        apples = listed.get(each)
        if counts_moved(ours, apples) and (read_at is None or read_at < began):
            counts = (_counts(ours), _counts(apples))
            found.append(Found(DifferenceClass.COUNTS, each, pool_id, began, *counts))
    return found


def _counts(reading: Reading | None) -> dict[str, object]:
    if reading is None:
        return {"total": 0, "retired": 0, "unlimited": False}
    total = None if reading.unlimited else reading.total
    return {"total": total, "retired": reading.retired, "unlimited": reading.unlimited}


def _found(candidate: Candidate, kind: DifferenceClass, pool: Pool, began: datetime) -> Found:
    standing = candidate.standing
    return Found(
        kind,
        pool.asset_id,
        pool.pool_id,
        began,
        {"state": standing.state},
        {"listed": standing.listed},
        candidate.holder,
        candidate.of_people,
        candidate.entitlement_id,
    )
