"""Reconciliations are begun, by somebody or by the clock, and what they found is repaired if somebody says so."""

from collections.abc import Collection, Sequence
from uuid import UUID

from licensing import work
from licensing.model.reconciling import DifferenceClass
from licensing.store import differences, libraries, reconciliations
from shared.database import Database, Transaction
from shared.errors import Conflict, Invalid, NotFound
from shared.metrics import DRIFT_LICENSES

CLOCK = "clock"
"""Who asked for the daily ones."""


async def begin_reconciliations(tx: Transaction, library_id: str | None, *, asked_by: str) -> list[UUID]:
    """Have one library reconciled, or all; return their reconciliations.

    A library that is being reconciled is not begun again: that one is answered. Raises Invalid where there is
    no such library.
    """
    known = await libraries.every(tx)
    if library_id is not None and library_id not in known:
        raise Invalid(
            "unknown_library", "there is no library by this id", fields={"library_id": "is not known"}
        )
    return await _begin(tx, known if library_id is None else [library_id], asked_by=asked_by)


async def reconcile_daily(tx: Transaction) -> None:
    """Have every library reconciled that can be read."""
    await _begin(tx, await libraries.readable(tx), asked_by=CLOCK)


async def repair(tx: Transaction, reconciliation_id: UUID, classes: Collection[DifferenceClass]) -> None:
    """Have everything repaired that is open of these classes; a second time there is nothing left.

    Raises NotFound, and Conflict while it is still reading: the plan is shown before it is applied.
    """
    stands = await reconciliations.stands(tx, reconciliation_id)
    if stands is None:
        raise NotFound("unknown_reconciliation", "there is no reconciliation by this id")
    state, library_id = stands
    if state == "reading":
        raise Conflict("still_reading", "this reconciliation is still reading: look at what it found first")
    await work.want_repairs(tx, reconciliation_id, library_id, classes)


async def show_drift(database: Database) -> None:
    """Tell how many differences are open, as the tables have it: so every process tells the same."""
    async with database.reading() as tx:
        drift = await differences.drift(tx)
    for kind, many in drift.items():
        DRIFT_LICENSES.labels(kind).set(many)


async def _begin(tx: Transaction, library_ids: Sequence[str], *, asked_by: str) -> list[UUID]:
    begun, under_way = await reconciliations.begin(tx, library_ids, asked_by=asked_by)
    await work.want_reconciliations(tx, begun)
    return [*begun, *under_way]
