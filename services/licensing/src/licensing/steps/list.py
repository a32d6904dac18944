"""Reads who holds the licences of one pool at Apple: it counts the foreign ones, and proves outcomes.

Most lists are read in one step. What takes longer is read in parts; the work row says where the next one begins.
"""

from collections.abc import Set as AbstractSet
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from licensing import work
from licensing.decide import Repair, verdicts
from licensing.ledger import Ledger
from licensing.model import (
    Access,
    AssetKey,
    AssignmentPage,
    Holder,
    ListedAsset,
    Listing,
    Pool,
    Proof,
    Walk,
)
from licensing.steps.desk import Desk
from licensing.steps.outside import Lister
from licensing.steps.settle import settle
from licensing.store import apple_users, foreign, intents, licenses, listed, pools, readings
from shared import worker
from shared.database import Transaction
from shared.worker import WorkRow


@dataclass(frozen=True, slots=True)
class _Question:
    """What a reading is to settle: the requests that had ended when it began, and their targets."""

    began: datetime
    intent_ids: AbstractSet[UUID]
    holders: AbstractSet[Holder]


@dataclass(frozen=True, slots=True)
class _Found:
    """Apple's names of those in the list who were asked about, or hold a licence that is not of our giving."""

    serial_numbers: set[str] = field(default_factory=set)
    client_user_ids: set[str] = field(default_factory=set)


class ListStep:
    """Reads lists, and settles what ended before the reading began."""

    def __init__(self, desk: Desk, apple: Lister) -> None:
        self._desk = desk
        self._database = desk.database
        self._apple = apple

    async def do(self, row: WorkRow) -> None:
        """Read a part of one pool's list; after the last, write all that it proves in one transaction."""
        pool = await self._desk.pool(UUID(row.payload["pool_id"]))
        if pool is None:
            async with self._database.transaction() as tx:
                await worker.finish(tx, row)
            return
        access = await self._desk.reading_access(pool.library_id)
        question = await (self._resume(row) if "walk" in row.payload else self._begin(row, pool))
        if question is None:
            return
        walk = Walk.of(row.payload.get("walk"))
        async with self._desk.suspending(access):
            found = await self._walk(access, pool, question, walk)
            if walk.ended:
                await self._recall(row, pool, walk, found)
            following = walk.following()
            if following is not None:
                await self._go_on(row, pool, question, following, found if following is walk else None)
                return
            counted = await self._apple.asset(access, _key(pool))
        async with self._database.transaction() as tx:
            await worker.finish(tx, row)
            await listed.forget(tx, (row.id, pool.pool_id))
            await self._write(tx, pool, question, walk, (found, counted))

    async def _begin(self, row: WorkRow, pool: Pool) -> _Question | None:
        """Mark the beginning: whoever wants a list from now on wants a later one.

        None while another reading of the same long list is under way: side by side, all would be slower.
        """
        async with self._database.transaction() as tx:
            if await listed.under_way(tx, pool.pool_id):
                due_at = tx.now + self._desk.pace.next_list
                await worker.proceed(tx, row, payload=row.payload, due_at=due_at)
                return None
            await pools.lock(tx, [pool.pool_id])
            await pools.take_list(tx, pool.pool_id)
            intent_ids = {intent.intent_id for intent in await intents.ended(tx, pool.pool_id)}
            return _Question(tx.now, intent_ids, await licenses.holders(tx, intent_ids))

    async def _resume(self, row: WorkRow) -> _Question:
        intent_ids = {UUID(each) for each in row.payload["intent_ids"]}
        async with self._database.reading() as tx:
            holders = await licenses.holders(tx, intent_ids)
        return _Question(datetime.fromisoformat(row.payload["began"]), intent_ids, holders)

    async def _walk(self, access: Access, pool: Pool, question: _Question, walk: Walk) -> _Found:
        """Read a part page by page: memory holds only strangers, and what was asked about."""
        found = _Found()
        listing = self._apple.assignments(access, _key(pool), first_page=walk.next_page or 0)
        async with aclosing(walk.through(listing, enough=self._desk.part())) as pages:
            async for page in pages:
                async with self._database.reading() as tx:
                    await _note(tx, pool, page, question, found)
        return found

    async def _recall(self, row: WorkRow, pool: Pool, walk: Walk, found: _Found) -> None:
        """Add what earlier parts found. If the database lost any of it, the list was not read."""
        kept = row.payload.get("kept", 0)
        if not kept:
            return
        async with self._database.reading() as tx:
            serial_numbers, client_user_ids = await listed.kept(tx, (row.id, pool.pool_id))
        walk.complete &= len(serial_numbers) + len(client_user_ids) == kept
        found.serial_numbers.update(serial_numbers)
        found.client_user_ids.update(client_user_ids)

    async def _go_on(
        self, row: WorkRow, pool: Pool, question: _Question, walk: Walk, found: _Found | None
    ) -> None:
        """Leave the rest to the next step: of this walk, which found that, or of a new one."""
        place = (row.id, pool.pool_id)
        async with self._database.transaction() as tx:
            kept = 0
            if found is None:
                await listed.forget(tx, place)
            else:
                kept = row.payload.get("kept", 0) + await listed.keep(
                    tx, place, serial_numbers=found.serial_numbers, client_user_ids=found.client_user_ids
                )
            payload = {
                "pool_id": str(pool.pool_id),
                "began": question.began.isoformat(),
                "intent_ids": sorted(map(str, question.intent_ids)),
                "walk": walk.stored(),
                "kept": kept,
            }
            await worker.proceed(tx, row, payload=payload, due_at=tx.now)

    async def _write(
        self,
        tx: Transaction,
        pool: Pool,
        question: _Question,
        walk: Walk,
        read: tuple[_Found, ListedAsset | None],
    ) -> None:
        found, counted = read
        await pools.lock(tx, [pool.pool_id])
        if counted is not None:
            await readings.store_counts(tx, [pool.pool_id], [counted], question.began)
        if walk.exact:
            await foreign.store(
                tx,
                pool.pool_id,
                devices=found.serial_numbers,
                people=found.client_user_ids,
                since=question.began,
            )
        ledger = await Ledger.of_pools(tx, [pool.pool_id])
        await ledger.spend()
        await ledger.adopt_waiting(pool.pool_id)
        listing = Listing(await _present(tx, pool, question, found), walk.exact)
        unsettled = False
        for intent in await intents.ended(tx, pool.pool_id):
            if intent.intent_id not in question.intent_ids:
                continue  # it ended while this list was read: a later one, wanted by now, settles it
            members = await licenses.of_intent(tx, intent.intent_id)
            judged = verdicts(intent.kind, members, listing, intent.faults)
            await settle(tx, ledger, intent, members, Repair(Proof.LIST, judged))
            unsettled |= sum(len(group) for group in judged.values()) < len(members)
        if unsettled:
            due_at = tx.now + self._desk.pace.next_list
            await work.want_lists(tx, [pool.pool_id], due_at=due_at)
        await ledger.shrink()
        await ledger.close()


def _key(pool: Pool) -> AssetKey:
    return AssetKey(pool.adam_id, pool.pricing_param)


async def _note(
    tx: Transaction, pool: Pool, page: AssignmentPage, question: _Question, found: _Found
) -> None:
    """Keep of a page who was asked about, and who holds a licence that is not of our giving."""
    user_ids = await apple_users.user_ids(tx, pool.library_id, page.client_user_ids)
    found.serial_numbers.update(name for name in page.serial_numbers if name in question.holders)
    found.client_user_ids.update(name for name, user_id in user_ids.items() if user_id in question.holders)
    since = question.began
    found.serial_numbers.update(
        await foreign.strange_devices(tx, pool.pool_id, page.serial_numbers, since=since)
    )
    found.client_user_ids.update(
        await foreign.strange_people(tx, pool.pool_id, page.client_user_ids, since=since)
    )


async def _present(tx: Transaction, pool: Pool, question: _Question, found: _Found) -> frozenset[Holder]:
    """Return those who were asked about and are in the list."""
    if not question.holders:
        return frozenset()
    user_ids = await apple_users.user_ids(tx, pool.library_id, found.client_user_ids)
    return frozenset(question.holders & {*found.serial_numbers, *user_ids.values()})
