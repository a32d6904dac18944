"""Reads who holds the licences of one pool at Apple: it counts the foreign ones, and proves outcomes."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from licensing import work
from licensing.decide import Repair, verdicts
from licensing.ledger import Ledger
from licensing.model import (
    Access,
    AppleRefused,
    AssetKey,
    AssignmentPage,
    Holder,
    ListedAsset,
    Listing,
    Pool,
    Proof,
    TokenRefused,
)
from licensing.steps.desk import Desk
from licensing.steps.outside import Lister
from licensing.steps.settle import settle
from licensing.store import apple_users, foreign, intents, licenses, pools, readings
from shared import worker
from shared.database import Transaction
from shared.errors import Unavailable
from shared.worker import WorkRow

_WALKS = 5
"""How often a list is read anew that changes while it is read, before it is taken as inexact."""


@dataclass(frozen=True, slots=True)
class _Question:
    """What a reading is to settle: the requests that had ended when it began, and their targets."""

    began: datetime
    intent_ids: AbstractSet[UUID]
    holders: AbstractSet[Holder]


@dataclass(slots=True)
class _Walk:
    """What one reading of the list found."""

    present: set[Holder] = field(default_factory=set)
    devices: set[str] = field(default_factory=set)
    people: set[str] = field(default_factory=set)
    versions: set[str] = field(default_factory=set)
    complete: bool = True

    @property
    def exact(self) -> bool:
        return self.complete and len(self.versions) == 1


class ListStep:
    """Reads lists, and settles what ended before the reading began."""

    def __init__(self, desk: Desk, apple: Lister) -> None:
        self._desk = desk
        self._database = desk.database
        self._apple = apple

    async def do(self, row: WorkRow) -> None:
        """Read one pool's list, and write all that it proves in one transaction."""
        pool_id = UUID(row.payload["pool_id"])
        pool = await self._desk.pool(pool_id)
        if pool is None:
            async with self._database.transaction() as tx:
                await worker.finish(tx, row)
            return
        key = AssetKey(pool.adam_id, pool.pricing_param)
        access = await self._desk.reading_access(pool.library_id)
        question = await self._begin(pool_id)
        async with self._desk.suspending(access):
            walk = await self._read(access, pool, key, question)
            counted = await self._apple.asset(access, key)
        async with self._database.transaction() as tx:
            await worker.finish(tx, row)
            await self._write(tx, pool, question, (walk, counted))

    async def _begin(self, pool_id: UUID) -> _Question:
        """Mark the beginning: whoever wants a list from now on wants a later one."""
        async with self._database.transaction() as tx:
            await pools.lock(tx, [pool_id])
            await pools.take_list(tx, pool_id)
            intent_ids = {intent.intent_id for intent in await intents.ended(tx, pool_id)}
            return _Question(tx.now, intent_ids, await licenses.holders(tx, intent_ids))

    async def _read(self, access: Access, pool: Pool, key: AssetKey, question: _Question) -> _Walk:
        for _ in range(_WALKS):
            walk = await self._walk(access, pool, key, question)
            if walk.exact:
                break
        return walk

    async def _walk(self, access: Access, pool: Pool, key: AssetKey, question: _Question) -> _Walk:
        """Read the list once, page by page: memory holds only strangers, and what was asked about."""
        walk = _Walk()
        try:
            async for page in self._apple.assignments(access, key):
                walk.versions.add(page.version_id)
                async with self._database.reading() as tx:
                    await _note(tx, pool, page, question, walk)
        except TokenRefused:
            raise
        except AppleRefused as refused:
            if not walk.versions:
                raise Unavailable(f"apple_{refused.failure.number}") from refused
            walk.complete = False  # 9650: the list became shorter under us
        return walk

    async def _write(
        self, tx: Transaction, pool: Pool, question: _Question, read: tuple[_Walk, ListedAsset | None]
    ) -> None:
        walk, counted = read
        await pools.lock(tx, [pool.pool_id])
        if counted is not None:
            await readings.store_counts(tx, [pool.pool_id], [counted], question.began)
        if walk.exact:
            await foreign.store(
                tx, pool.pool_id, devices=walk.devices, people=walk.people, since=question.began
            )
        ledger = await Ledger.of_pools(tx, [pool.pool_id])
        await ledger.spend()
        await ledger.adopt_waiting(pool.pool_id)
        listing = Listing(frozenset(walk.present), walk.exact)
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


async def _note(tx: Transaction, pool: Pool, page: AssignmentPage, question: _Question, walk: _Walk) -> None:
    """Keep of a page who was asked about, and who holds a licence that is not of our giving."""
    user_ids = await apple_users.user_ids(tx, pool.library_id, page.client_user_ids)
    walk.present |= question.holders & {*page.serial_numbers, *user_ids.values()}
    since = question.began
    walk.devices.update(await foreign.strange_devices(tx, pool.pool_id, page.serial_numbers, since=since))
    walk.people.update(await foreign.strange_people(tx, pool.pool_id, page.client_user_ids, since=since))
