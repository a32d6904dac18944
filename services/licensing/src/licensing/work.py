"""The kinds of work row, and how each comes to be: one row per errand, however many want it run."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from licensing.model.people import UserWrite
from licensing.model.reconciling import DifferenceClass
from licensing.store import differences, libraries, pools, takeover, user_readings
from shared import worker
from shared.database import Transaction
from shared.ids import new_id
from shared.worker import NewWork

INTENT = "intent"
"""Bring one request to Apple to its end."""
CLAIM = "claim"
"""Make a library ours: mdmInfo, and the subscription to its notifications."""
CHECK = "check_library"
"""Compare a library's client/config with what we left there."""
READ_ASSETS = "read_assets"
"""Read the list of a library's assets and counts."""
READ_LIST = "read_list"
"""Read who holds one pool's licences, and settle what that list proves."""
WANT_APPLE_USERS = "want_apple_users"
"""See that people whose licences wait have an Apple user in the library, and were invited."""
WRITE_USERS = "write_users"
"""Bring one request that creates, updates or retires Apple users to its end."""
READ_USERS = "read_users"
"""Read a library's Apple users, and do what follows from what they have become."""
INVITE_USERS = "invite_users"
"""Tell the invitations that are due in a library."""

RECONCILE = "reconcile"
"""Read all that Apple says of a library, and find where our ledger differs."""
REPAIR = "repair"
"""Repair what a reconciliation found."""


async def want_claim(tx: Transaction, library_id: str, correlation_id: UUID) -> None:
    """Have a library claimed with the content token it has now, unless another service claims it."""
    await worker.add(tx, [NewWork(CLAIM, {"library_id": library_id}, correlation_id)])


async def want_takeover(tx: Transaction, library_id: str, correlation_id: UUID) -> None:
    """Have a library claimed whoever claims it now: an administrator's explicit act."""
    await worker.add(tx, [NewWork(CLAIM, {"library_id": library_id, "takeover": True}, correlation_id)])


async def want_check(tx: Transaction, library_id: str, *, unless_since: datetime) -> None:
    """Have a library's client/config looked at, unless it was since then; once for all who want it."""
    if await takeover.want_check(tx, library_id, unless_since=unless_since):
        await worker.add(tx, [NewWork(CHECK, {"library_id": library_id}, new_id())])


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


async def want_reconciliations(tx: Transaction, libraries_of: Mapping[UUID, str]) -> None:
    """Have libraries reconciled, by their new reconciliations: the counts first, then pool by pool."""
    await worker.add(
        tx,
        [
            NewWork(
                RECONCILE,
                {"reconciliation_id": str(each), "library_id": library_id, "pool_id": None},
                each,
            )
            for each, library_id in libraries_of.items()
        ],
    )


async def want_repairs(
    tx: Transaction, reconciliation_id: UUID, library_id: str, classes: Collection[str]
) -> None:
    """Have what is open of these classes repaired; counts are read with all the others of their library."""
    if DifferenceClass.COUNTS in classes and await differences.settle_counts(tx, reconciliation_id):
        await want_assets(tx, library_id)
    payload = {"reconciliation_id": str(reconciliation_id), "classes": sorted(classes)}
    await worker.add(tx, [NewWork(REPAIR, payload, reconciliation_id)])


async def want_apple_users(tx: Transaction, library_id: str, user_ids: Collection[UUID]) -> None:
    """See that these people have an Apple user in a library, and that who is not associated yet is invited."""
    payload = {"library_id": library_id, "user_ids": sorted(map(str, user_ids))}
    await worker.add(tx, [NewWork(WANT_APPLE_USERS, payload, new_id())])


async def want_users(tx: Transaction, library_id: str) -> None:
    """Have a library's Apple users read, soon: once for all who want it before the reading begins."""
    reading = await user_readings.want(tx, library_id)
    if reading is None:
        work_ids = await worker.add(tx, [NewWork(READ_USERS, {"library_id": library_id}, new_id())])
        await user_readings.begin_work(tx, library_id, work_ids[0])
        return
    await worker.hasten(tx, [reading])


async def write_users(
    tx: Transaction,
    library_id: str,
    kind: UserWrite,
    *,
    part_id: UUID | None = None,
    due_at: datetime | None = None,
) -> None:
    """Have a request sent for who wants this of Apple; with `part_id` for this part of them alone."""
    payload = {"library_id": library_id, "kind": kind, "part_id": None if part_id is None else str(part_id)}
    await worker.add(tx, [NewWork(WRITE_USERS, payload, new_id(), due_at)])


async def invite_users(tx: Transaction, library_id: str) -> None:
    """Have the invitations told that are due in a library."""
    await worker.add(tx, [NewWork(INVITE_USERS, {"library_id": library_id}, new_id())])
