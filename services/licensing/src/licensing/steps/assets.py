"""Reads what a library owns: its assets and their counts."""

from datetime import datetime

from licensing import work
from licensing.ledger import Ledger
from licensing.model import AssetList
from licensing.steps.desk import Desk
from licensing.steps.outside import AssetLister
from licensing.store import libraries, pools, readings
from shared import worker
from shared.database import Transaction
from shared.worker import WorkRow


class AssetsStep:
    """Reads the asset lists of libraries."""

    def __init__(self, desk: Desk, apple: AssetLister) -> None:
        self._desk = desk
        self._database = desk.database
        self._apple = apple

    async def do(self, row: WorkRow) -> None:
        """Read one library's list; purchases serve who waits, in the transaction that stores them."""
        library_id = row.payload["library_id"]
        access = await self._desk.reading_access(library_id)
        async with self._database.transaction() as tx:
            await libraries.take_assets(tx, library_id)
            began = tx.now
        async with self._desk.suspending(access):
            listed = await self._apple.assets(access)
        async with self._database.transaction() as tx:
            await worker.finish(tx, row)
            await libraries.assets_read(tx, library_id, began)
            await store_assets(tx, library_id, listed, began)


async def store_assets(tx: Transaction, library_id: str, listed: AssetList, began: datetime) -> None:
    """Store a reading of a library's assets, and serve the waitlists of the pools that it moved."""
    renewed = await readings.renewed_assets(tx, listed.assets)
    changed, gone = await readings.moved_pools(tx, library_id, listed, renewed)
    await pools.lock(tx, [*changed, *gone])
    await readings.store_facts(tx, renewed)
    await readings.store_counts(tx, changed, listed.assets, began)
    opened = await readings.open_pools(tx, library_id, listed.assets, began)
    await readings.empty(tx, gone, began)
    await readings.tell_again(tx, renewed)
    ledger = await Ledger.of_pools(tx, [*changed, *gone])
    await ledger.spend()
    await ledger.shrink()
    await work.want_lists(tx, await readings.suspicious(tx, [*changed, *opened], began))
    await ledger.close()
