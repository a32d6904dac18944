"""What the clock finds in waitlists and quarantines: each pool in a transaction of its own."""

from uuid import UUID

from licensing.ledger import Ledger
from shared.database import Transaction


async def serve_pool(tx: Transaction, pool_id: UUID) -> None:
    """Grant what is free to who waits, where more became free than one transaction serves: closing does it."""
    ledger = await Ledger.of_pools(tx, [pool_id])
    await ledger.close()


async def end_waiting(tx: Transaction, pool_id: UUID) -> None:
    """End the waiting of those who wanted to wait no longer."""
    ledger = await Ledger.of_pools(tx, [pool_id])
    await ledger.expire()
    await ledger.close()


async def end_quarantine(tx: Transaction, pool_id: UUID) -> None:
    """Give back what nobody asked for again in its grace."""
    ledger = await Ledger.of_pools(tx, [pool_id])
    await ledger.end_quarantine()
    await ledger.close()
