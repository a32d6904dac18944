"""What becomes of people's licences when their Apple users change. Whoever calls holds the people's locks."""

from collections.abc import Collection
from uuid import UUID

from licensing.ledger.ledger import Ledger
from licensing.model import Cause, Failure, Happening, State
from licensing.store import licenses
from shared.database import Transaction


async def accepted(tx: Transaction, library_id: str, user_ids: Collection[UUID]) -> None:
    """Ask Apple for the licences that were held until these people accepted (promise: R9)."""
    await _move(tx, library_id, user_ids, Happening.ACCEPTED)


async def invitation_ended(tx: Transaction, library_id: str, user_ids: Collection[UUID]) -> None:
    """End what was held for these people: their invitations expired, bounced or were cancelled."""
    await _move(tx, library_id, user_ids, Happening.INVITATION_ENDED, cause=Failure.INVITATION_ENDED)


async def refused(
    tx: Transaction, library_id: str, user_ids: Collection[UUID], cause: Cause, error_number: int | None
) -> None:
    """Refuse what was held for these people: Apple will not have them (Apple errors 9635, 9641)."""
    await _move(tx, library_id, user_ids, Happening.APPLE_REFUSED, cause=cause, error_number=error_number)


async def lost(tx: Transaction, library_id: str, user_ids: Collection[UUID]) -> None:
    """Note that Apple took back what it could of what these people held: their Apple users were retired.

    What was not asked of Apple yet waits until they have accepted once more (R9).
    """
    ledger = await Ledger.of_pools(tx, await licenses.pools_of_people(tx, user_ids))
    revocable = {pool.pool_id for pool in ledger.pools if pool.revocable}
    held = await licenses.of_people(tx, library_id, user_ids, State.ASSIGNED)
    ledger.move(Happening.LOST, [each for each in held if each.pool_id in revocable])
    reserved = await licenses.of_people(tx, library_id, user_ids, State.RESERVED)
    ledger.move(Happening.PROMISED, [each for each in reserved if each.state is State.RESERVED])
    await ledger.close()


async def _move(
    tx: Transaction,
    library_id: str,
    user_ids: Collection[UUID],
    happening: Happening,
    *,
    cause: Cause | None = None,
    error_number: int | None = None,
) -> None:
    """Move all that waits for these people's acceptance. Their pools are locked before it is read."""
    ledger = await Ledger.of_pools(tx, await licenses.pools_of_people(tx, user_ids))
    ledger.busy(await licenses.leaving(tx, user_ids))
    waiting = await licenses.of_people(tx, library_id, user_ids, State.AWAITING_ACCEPTANCE)
    ledger.move(happening, waiting, cause=cause, error_number=error_number)
    await ledger.close()
