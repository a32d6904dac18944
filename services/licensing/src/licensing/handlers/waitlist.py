"""Serving a waitlist where more became free than one transaction serves."""

from uuid import UUID

from licensing.ledger import Ledger
from shared.database import Transaction


async def serve_pool(tx: Transaction, pool_id: UUID) -> None:
    """Grant what is free to who waits: closing the ledger does it."""
    ledger = await Ledger.of_pools(tx, [pool_id])
    await ledger.close()
