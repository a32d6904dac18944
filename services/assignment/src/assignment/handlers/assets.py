"""Assets as licensing tells them."""

from collections.abc import Sequence

from assignment.handlers.judging import judge_later
from assignment.store import assets
from shared.database import Transaction
from shared.events import Heard
from shared.events.licensing import AssetChanged


async def asset_told(tx: Transaction, heard: Sequence[Heard[AssetChanged]]) -> None:
    """Keep of each asset what was told with the highest sequence.

    Where decisions rest on what changed (whom it may go to, which libraries hold it), and not its counts alone,
    whoever was refused it is judged anew.
    """
    latest = {one.event.asset_id: one for one in sorted(heard, key=_sequence)}
    before = await assets.read(tx, latest)
    await assets.put(
        tx,
        [assets.Told(one.event.model_dump(mode="json"), _sequence(one)) for _, one in sorted(latest.items())],
    )
    now = await assets.read(tx, latest)
    await judge_later(
        tx, [latest[asset_id] for asset_id in sorted(before) if before[asset_id] != now[asset_id]]
    )


def _sequence(one: Heard[AssetChanged]) -> int:
    return one.envelope.sequence or 0
