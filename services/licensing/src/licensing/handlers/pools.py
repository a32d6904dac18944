"""Which library an asset is taken from first."""

from uuid import UUID

from licensing.store import pools
from shared.database import Transaction


async def prefer_pool(tx: Transaction, pool_id: UUID) -> bool:
    """Make a pool's library the default of its asset; return False where there is no such pool."""
    for pool in await pools.lock(tx, [pool_id]):
        if pool.pool_id == pool_id:
            await pools.prefer(tx, pool.asset_id, pool.library_id)
            return True
    return False
