"""The kinds of work row, and how each comes to be: one row per errand, however many want it run."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from licensing.store import libraries, pools
from shared import worker
from shared.database import Transaction
from shared.ids import new_id
from shared.worker import NewWork

INTENT = "intent"
"""Bring one request to Apple to its end."""
CLAIM = "claim"
"""Make a library ours: mdmInfo, and the subscription to its notifications."""
READ_ASSETS = "read_assets"
"""Read the list of a library's assets and counts."""
READ_LIST = "read_list"
"""Read who holds one pool's licences, and settle what that list proves."""


async def want_claim(tx: Transaction, library_id: str, correlation_id: UUID) -> None:
    """Have a library claimed, with the content token it has now."""
    await worker.add(tx, [NewWork(CLAIM, {"library_id": library_id}, correlation_id)])


async def want_assets(tx: Transaction, library_id: str) -> None:
    """Have a library's assets read, once for all who want it before the reading begins."""
    if await libraries.want_assets(tx, library_id):
        await worker.add(tx, [NewWork(READ_ASSETS, {"library_id": library_id}, new_id())])


async def want_lists(tx: Transaction, pool_ids: Collection[UUID], *, due_at: datetime | None = None) -> None:
    """Have the lists of locked pools read, once for all who want it before the reading begins."""
    wanted = await pools.want_lists(tx, pool_ids)
    await worker.add(
        tx, [NewWork(READ_LIST, {"pool_id": str(pool_id)}, new_id(), due_at) for pool_id in wanted]
    )
