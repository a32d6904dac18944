"""Reads who holds the licences of one pool at Apple: it counts the foreign ones, and proves outcomes."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from licensing import work
from licensing.decide import Repair, verdicts
from licensing.ledger import Ledger
from licensing.model import Access, AppleRefused, AssetKey, Intent, ListedAsset, Listing, Pool, TokenRefused
from licensing.steps.desk import Desk
from licensing.steps.outside import Lister
from licensing.steps.settle import settle
from licensing.store import intents, licenses, pools, readings
from shared import worker
from shared.database import Transaction
from shared.errors import Unavailable
from shared.worker import WorkRow

_WALKS = 5
"""How often a list is read anew that changes while it is read, before it is taken as inexact."""


@dataclass(slots=True)
class _Walk:
    """What one reading of the list found."""

    present: set[str] = field(default_factory=set)
    foreign: int = 0
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
        began, asked_about = await self._begin(pool_id)
        pool = await self._desk.pool(pool_id)
        if pool is None:
            async with self._database.transaction() as tx:
                await worker.finish(tx, row)
            return
        key = AssetKey(pool.adam_id, pool.pricing_param)
        async with self._desk.suspending(pool.library_id):
            access = await self._desk.access(pool.library_id)
            walk = await self._read(access, pool, key, (began, asked_about))
            counted = await self._apple.asset(access, key)
        async with self._database.transaction() as tx:
            await worker.finish(tx, row)
            await self._write(tx, pool, began, (walk, counted))

    async def _begin(self, pool_id: UUID) -> tuple[datetime, set[str]]:
        """Mark the beginning: whoever wants a list from now on wants a later one."""
        async with self._database.transaction() as tx:
            await pools.lock(tx, [pool_id])
            await pools.take_list(tx, pool_id)
            open_intents = await self._to_settle(tx, pool_id, tx.now)
            members = [each for one in open_intents for each in await licenses.of_intent(tx, one.intent_id)]
            return tx.now, {member.serial_number for member in members}

    async def _to_settle(self, tx: Transaction, pool_id: UUID, began: datetime) -> list[Intent]:
        return await intents.to_settle(
            tx, pool_id, ended_before=began, sent_before=began - self._desk.pace.proof
        )

    async def _read(
        self, access: Access, pool: Pool, key: AssetKey, wanted: tuple[datetime, AbstractSet[str]]
    ) -> _Walk:
        for _ in range(_WALKS):
            walk = await self._walk(access, pool, key, wanted)
            if walk.exact:
                break
        return walk

    async def _walk(
        self, access: Access, pool: Pool, key: AssetKey, wanted: tuple[datetime, AbstractSet[str]]
    ) -> _Walk:
        """Read the list once, page by page: memory holds only what was asked about."""
        began, asked_about = wanted
        walk = _Walk()
        try:
            async for page in self._apple.assignments(access, key):
                walk.versions.add(page.version_id)
                walk.present.update(asked_about & set(page.serial_numbers))
                async with self._database.reading() as tx:
                    strangers = await licenses.strangers(tx, pool.pool_id, page.serial_numbers, since=began)
                walk.foreign += strangers + page.people
        except TokenRefused:
            raise
        except AppleRefused as refused:
            if not walk.versions:
                raise Unavailable(f"apple_{refused.failure.number}") from refused
            walk.complete = False  # 9650: the list became shorter under us
        return walk

    async def _write(
        self, tx: Transaction, pool: Pool, began: datetime, read: tuple[_Walk, ListedAsset | None]
    ) -> None:
        walk, counted = read
        await pools.lock(tx, [pool.pool_id])
        if counted is not None:
            await readings.store_counts(tx, [pool.pool_id], [counted], began)
        if walk.exact:
            await readings.store_foreign(tx, pool.pool_id, walk.foreign, began)
        ledger = await Ledger.of_pools(tx, [pool.pool_id])
        listing = Listing(frozenset(walk.present), walk.exact)
        unsettled = False
        for intent in await self._to_settle(tx, pool.pool_id, began):
            members = await licenses.of_intent(tx, intent.intent_id)
            judged = verdicts(intent.kind, members, listing, intent.failures)
            await settle(tx, ledger, intent, members, Repair(judged))
            unsettled |= sum(len(group) for group in judged.values()) < len(members)
        if unsettled:
            due_at = tx.now + self._desk.pace.next_list
            await work.want_lists(tx, [pool.pool_id], due_at=due_at)
        await ledger.close()
