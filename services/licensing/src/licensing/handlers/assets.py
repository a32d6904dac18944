"""Telling the assets as we know them now: at most as often as the clock calls, however often they change."""

from licensing.decide import over_allocated
from licensing.store import assets
from licensing.store.assets import AssetRow, PoolRow
from shared import outbox
from shared.database import Transaction
from shared.events import Outgoing
from shared.events.licensing import AssetChanged, PoolCounts
from shared.events.words import AssetKind, Platform
from shared.ids import new_id

_AT_ONCE = 200


async def tell_assets(tx: Transaction) -> int:
    """Append AssetChanged for assets of which something changed since it was told; return how many."""
    told = await assets.take_untold(tx, _AT_ONCE)
    await outbox.append(
        tx,
        [
            Outgoing(_changed(asset, pools), correlation_id=new_id(), sequence=asset.version)
            for asset, pools in told
        ],
    )
    return len(told)


def _changed(asset: AssetRow, pools: list[PoolRow]) -> AssetChanged:
    return AssetChanged(
        asset_id=asset.asset_id,
        kind=AssetKind.VPP_BOOK if asset.is_book else AssetKind.VPP_APP,
        adam_id=asset.adam_id,
        pricing_param=asset.pricing_param,
        device_assignable=asset.device_assignable,
        revocable=asset.revocable,
        platforms=tuple(Platform(name) for name in asset.platforms),
        unlimited=any(pool.capacity is None for pool in pools),
        pools=tuple(_counts(pool) for pool in pools),
    )


def _counts(pool: PoolRow) -> PoolCounts:
    """Return a pool's counts; a capacity below zero (more foreign than owned) is told as none left."""
    capacity = pool.capacity
    return PoolCounts(
        library_id=pool.library_id,
        total=None if capacity is None else pool.total,
        capacity=None if capacity is None else max(0, capacity),
        available=None if capacity is None else max(0, capacity - pool.held),
        held=pool.held,
        foreign=pool.foreign,
        waiting=pool.waiting,
        over_allocated=over_allocated(capacity, pool.held),
    )
