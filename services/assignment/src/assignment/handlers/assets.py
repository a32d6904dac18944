"""Assets as licensing tells them."""

from collections.abc import Sequence

from assignment.store import assets
from shared.database import Transaction
from shared.events import Heard
from shared.events.licensing import AssetChanged


async def asset_told(tx: Transaction, heard: Sequence[Heard[AssetChanged]]) -> None:
    """Keep of each asset what was told with the highest sequence."""
    latest = {one.event.asset_id: one for one in sorted(heard, key=_sequence)}
    await assets.put(
        tx,
        [assets.Told(one.event.model_dump(mode="json"), _sequence(one)) for _, one in sorted(latest.items())],
    )


def _sequence(one: Heard[AssetChanged]) -> int:
    return one.envelope.sequence or 0
