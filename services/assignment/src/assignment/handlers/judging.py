"""Members that were refused are judged anew, slice by slice, when licensing tells their asset otherwise than before."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from assignment.decide.entitlements import Said
from assignment.handlers import slices
from assignment.handlers.changes import Changes
from assignment.handlers.counting import finish
from assignment.handlers.opening import reopen, worth_reopening
from assignment.store import covers, devices, entitlements
from shared import worker
from shared.database import Transaction
from shared.events import Heard
from shared.events.licensing import AssetChanged
from shared.locks import Rung
from shared.worker import NewWork, WorkRow

JUDGE = "judge"
"""The kind of work row that judges anew, slice by slice, who was refused an asset."""

_WAIT = timedelta(minutes=1)
"""A transaction that judged by the former word may be open still: by then its refusals are there to be seen."""


async def judge_later(tx: Transaction, changed: Sequence[Heard[AssetChanged]]) -> None:
    """Leave it to work rows to judge anew who was refused these assets."""
    rows = [
        NewWork(
            JUDGE,
            {
                "asset_id": str(one.event.asset_id),
                "event_id": str(one.envelope.event_id),
                "cursor": str(slices.BEGINNING),
            },
            one.envelope.correlation_id,
            due_at=tx.now + _WAIT,
        )
        for one in changed
    ]
    await worker.add(tx, rows)


async def judge_slice(tx: Transaction, row: WorkRow) -> None:
    """Open new lives for the next 10,000 who were refused and are covered still, where the reason holds no more.

    Who has a licence keeps it, whatever was told of the asset: this only mends a no.
    """
    asset_id = UUID(row.payload["asset_id"])
    refused = await entitlements.refused_after(tx, asset_id, cursor=slices.cursor_of(row), limit=slices.SLICE)
    await slices.advance(tx, row, list(refused))
    tx.reach(Rung.TARGETS)
    here = await devices.lock(tx, set(refused.values()))
    changes = Changes(tx)
    standing = [one for one in await covers.on(tx, list(here), with_living=()) if one.asset_id == asset_id]
    changes.load(await entitlements.lock(tx, {one.entitlement_id for one in standing}))
    said = Said("AssetChanged", event_id=UUID(row.payload["event_id"]))
    await reopen(changes, here, worth_reopening(standing, changes.lives, set()), lambda _: said)
    await finish(changes)
