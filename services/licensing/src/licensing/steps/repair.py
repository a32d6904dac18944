"""Repairs what a reconciliation found, a set at a time: each difference is looked at again under its pool's lock."""

from collections.abc import Sequence
from typing import assert_never
from uuid import UUID

from licensing import work
from licensing.ledger import Ledger
from licensing.model import Ask, Happening, Holder, Pool
from licensing.model.reconciling import DifferenceState, OpenDifference, RepairKind
from licensing.reconcile import REPAIRS
from licensing.steps.desk import Desk
from licensing.store import differences, licenses
from licensing.store.license_rows import by_kind
from shared import worker
from shared.database import Transaction
from shared.ids import new_id
from shared.worker import WorkRow

_AT_ONCE = 1_000


class RepairStep:
    """Applies what was agreed to. It asks Apple for nothing: the ledger's requests, and the readings, do."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._database = desk.database

    async def do(self, row: WorkRow) -> None:
        """Repair one set in one pool; the row comes again until nothing of these classes is open."""
        reconciliation_id, classes = UUID(row.payload["reconciliation_id"]), row.payload["classes"]
        async with self._database.transaction() as tx:
            place = await differences.next_place(tx, reconciliation_id, classes)
            if place is None:
                await worker.finish(tx, row)
                return
            await worker.proceed(tx, row, payload=row.payload, due_at=tx.now)
            pool_id, asset_id = place
            ledger = await Ledger.of_assets(tx, [asset_id])
            found = await differences.open_in(tx, reconciliation_id, pool_id, classes, limit=_AT_ONCE)
            for kind in RepairKind:
                some = [each for each in found if REPAIRS[each.kind] is kind]
                if some:
                    await self._repair(tx, kind, (ledger, pool_id, reconciliation_id), some)
            await ledger.close()

    async def _repair(
        self,
        tx: Transaction,
        kind: RepairKind,
        place: tuple[Ledger, UUID, UUID],
        found: Sequence[OpenDifference],
    ) -> None:
        ledger, pool_id, reconciliation_id = place
        match kind:
            case RepairKind.RECLAIM:
                [pool] = [pool for pool in ledger.pools if pool.pool_id == pool_id]
                await _reclaim(tx, ledger, pool, reconciliation_id, found)
            case RepairKind.END:
                await _end(tx, ledger, found)
            case RepairKind.READ_LIST:
                await self._let_list_settle(tx, pool_id, found)
            case RepairKind.READ_COUNTS:
                return  # they have no holders, and were settled when the repair was asked for
            case _:
                assert_never(kind)

    async def _let_list_settle(self, tx: Transaction, pool_id: UUID, found: Sequence[OpenDifference]) -> None:
        """Have a list read that settles requests whose outcome was lost: their proof time has passed (promise 6)."""
        sent_before = min(each.found_at for each in found) - self._desk.pace.proof
        still = await differences.still_overdue(tx, [each.difference_id for each in found], sent_before)
        await differences.let_list_settle(tx, set(still.values()))
        if still:
            await work.want_lists(tx, [pool_id])
        await _settle(tx, found, applied=list(still))


async def _reclaim(
    tx: Transaction, ledger: Ledger, pool: Pool, reconciliation_id: UUID, found: Sequence[OpenDifference]
) -> None:
    """Take back what another hand gave, or we failed to: as the life of nobody that is on its way back.

    So the ledger disassociates it like any other, and keeps the proof. An irrevocable licence, one of a person
    whom nobody here knows, and one of a target that has another of ours cannot be reclaimed.
    """
    still = await differences.still_strange(tx, [each.difference_id for each in found])
    begun: set[Holder] = set()
    for of_kind in by_kind(holder for holder in still.values() if holder is not None and pool.revocable):
        asks = [
            Ask(new_id(), 1, holder, pool.asset_id, reconciliation_id, reconciliation_id)
            for holder in of_kind
        ]
        begun.update(ask.holder for ask in await ledger.reclaim(pool, asks))
    mine = {each: holder for each, holder in still.items() if holder in begun}
    await differences.settle(tx, still.keys() - mine.keys(), DifferenceState.IGNORED)
    rest = [each for each in found if each.difference_id in mine or each.difference_id not in still]
    await _settle(tx, rest, applied=list(mine))


async def _end(tx: Transaction, ledger: Ledger, found: Sequence[OpenDifference]) -> None:
    """End the lives of licences that another hand took: assignment hears of it, and may open new ones."""
    still = await differences.still_taken(tx, [each.difference_id for each in found])
    ledger.move(Happening.LOST, await licenses.by_entitlement(tx, list(still.values())))
    await ledger.flush()
    await _settle(tx, found, applied=list(still))


async def _settle(tx: Transaction, found: Sequence[OpenDifference], *, applied: Sequence[UUID]) -> None:
    """Note which were repaired; the others are gone."""
    gone = {each.difference_id for each in found} - set(applied)
    await differences.settle(tx, applied, DifferenceState.APPLIED)
    await differences.settle(tx, gone, DifferenceState.GONE)
