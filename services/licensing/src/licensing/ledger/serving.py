"""Who is served with what is free: newcomers behind those who wait, people once they have accepted."""

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from licensing.decide import move
from licensing.ledger.book import Book
from licensing.ledger.page import NO_OUTCOME, Entry, Page, Target, by_state
from licensing.model import Ask, Happening, Holder, License, Pool, State
from licensing.store import apple_users, foreign
from licensing.store import waiting as waitlist
from shared.database import Transaction

MOST_SERVED = 10_000
"""Waiters served in one transaction; the schedule goes on where a purchase frees more."""

T = TypeVar("T", Ask, License)


async def room(book: Book, ordered: Sequence[Pool]) -> list[tuple[Pool, int | None]]:
    """Return how many newcomers each of these pools of one asset can serve now; None: any number.

    Who waits already, and may have what a pool has free, comes first: closing the ledger is about to serve them.
    Who waits no more, or insists on another library, holds up nobody.
    """
    pools = [book.pages[pool.pool_id].pool for pool in ordered]
    queues = [page.pool.pool_id for page in book.sisters(ordered[0].asset_id) if page.pool.waiting]
    some_free = any(pool.free for pool in pools)
    waited_for = await waitlist.libraries_waited_for(book.tx, queues) if queues and some_free else set()
    return [(pool, 0 if pool.free and waited_for & {None, pool.library_id} else pool.free) for pool in pools]


async def kinds_of_grant(
    tx: Transaction, page: Page, targets: Sequence[T]
) -> list[tuple[Happening, Sequence[T]]]:
    """Part those for whom Apple is asked, people who have to accept an invitation before, and who has it already.

    An adopted licence is one that Apple lists: nothing is asked, unless a request about its target is open.
    """
    people = {target.holder for target in targets if isinstance(target.holder, UUID)}
    if not people and not page.adopted:
        return [(Happening.GRANTED, targets)]
    library_id = page.pool.library_id
    associated = await apple_users.associated(tx, [(library_id, user_id) for user_id in people])
    later = people - {user_id for _, user_id in associated}
    listed = page.adopted - page.busy - later
    return [
        (Happening.ADOPTED, [target for target in targets if target.holder in listed]),
        (Happening.GRANTED, [target for target in targets if target.holder not in listed | later]),
        (Happening.PROMISED, [target for target in targets if target.holder in later]),
    ]


async def adopt(book: Book, pool_id: UUID, targets: Sequence[Target]) -> set[Holder]:
    """Make those of these targets ours that hold a foreign licence of the pool; return them."""
    page = book.pages[pool_id]
    if not targets or not page.pool.foreign:
        return set()
    holders = [target.holder for target in targets]
    user_ids = [holder for holder in holders if isinstance(holder, UUID)]
    names = await apple_users.client_user_ids(book.tx, page.pool.library_id, user_ids) if user_ids else {}
    adopted = await foreign.adopt(book.tx, pool_id, holders, names)
    page.adopt(adopted)
    return adopted


async def serve(book: Book, sisters: Sequence[Page]) -> None:
    """Grant what is free to who waits, in the order of the waitlist, pool after pool."""
    for page in sisters:
        free, waiting = page.pool.free, sum(sister.pool.waiting for sister in sisters)
        limit = min(MOST_SERVED, waiting if free is None else min(free, waiting))
        if limit > 0:
            queues = [sister.pool.pool_id for sister in sisters if sister.pool.waiting]
            first, busy = await waitlist.first_waiting(book.tx, queues, page.pool.library_id, limit)
            page.busy |= busy
            await grant_waiting(book, page, first)


async def grant_waiting(book: Book, page: Page, waiting: Sequence[License]) -> None:
    """Grant units of a pool to those who wait, in whichever pool of the asset."""
    for happening, granted in await kinds_of_grant(book.tx, page, waiting):
        step = move(State.WAITLISTED, happening)
        for group in by_state(granted).values():
            entry = Entry(
                page, group, step.to or State.UNKNOWN, [each.arrival for each in group], attempt=page.attempt
            )
            book.write(State.WAITLISTED, entry)
            book.tell(step.answer, page, group, NO_OUTCOME)
    await book.flush()
