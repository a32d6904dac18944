"""Handlers and steps say what happened to whole sets of licences; the ledger does what follows from it.

It moves them by the state table (decide), keeps the pools' counters, puts who needs it into a request to
Apple, serves the waitlists with what became free, and appends the events that tell it: all in the one
transaction (promises 1, 3 and 6).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from licensing import work
from licensing.decide import IGNORED, move, over_allocated
from licensing.ledger.book import Book
from licensing.ledger.page import NO_OUTCOME, Entry, Outcome, Page, by_state
from licensing.ledger.serving import adopt, grant_waiting, kinds_of_grant, room, serve
from licensing.ledger.telling import outgoing
from licensing.model import HOLDING, Answer, Ask, Cause, Failure, Happening, License, Pool, State
from licensing.store import licenses, pools
from licensing.store import waiting as waitlist
from shared import outbox
from shared.database import Transaction
from shared.events.words import Refusal
from shared.metrics import LICENSES_TOLD

_IN_THE_LINE = HOLDING | {State.WAITLISTED}
_SAID_WHY = frozenset({Answer.REFUSED, Answer.FAILED})


class Ledger:
    """Opened with all pools of some assets locked, told what happens, and closed; nothing may be locked then."""

    def __init__(self, tx: Transaction, locked: Iterable[Pool]) -> None:
        self._tx = tx
        self._book = Book(tx, locked)

    @classmethod
    async def of_assets(cls, tx: Transaction, asset_ids: Collection[UUID]) -> "Ledger":
        """Lock every pool of these assets."""
        return cls(tx, await pools.lock_of_assets(tx, asset_ids))

    @classmethod
    async def of_pools(cls, tx: Transaction, pool_ids: Collection[UUID]) -> "Ledger":
        """Lock these pools, and the others of their assets."""
        return cls(tx, await pools.lock(tx, pool_ids))

    @property
    def pools(self) -> list[Pool]:
        """The locked pools, with their counters as they are by now."""
        return [page.pool for page in self._book.pages.values()]

    def add(
        self, pool: Pool | None, happening: Happening, asks: Sequence[Ask], *, cause: Cause | None = None
    ) -> None:
        """Begin new lives. `pool` is None where no library holds the asset."""
        if not asks:
            return
        step = move(State.UNKNOWN, happening)
        state = step.to or State.UNKNOWN
        page = None if pool is None else self._book.pages[pool.pool_id]
        arrivals: Sequence[int] = [0] * len(asks)
        if page is not None and (state in HOLDING or state is State.WAITLISTED):
            page.count(State.UNKNOWN, state, len(asks))
            arrivals = self._book.arrivals(page, len(asks))
            if state is State.WAITLISTED:
                self._book.places.came(page.pool.pool_id, asks)
        outcome = (step.held, cause, None)
        self._book.enter(Entry(page, asks, state, arrivals, outcome, is_new=True))
        self._book.tell(step.answer, page, asks, outcome)

    async def grant(self, pool: Pool, asks: Sequence[Ask]) -> None:
        """Begin lives that hold a unit; people who have not accepted an invitation yet hold it meanwhile (R9)."""
        for happening, group in await kinds_of_grant(self._tx, self._book.pages[pool.pool_id], asks):
            self.add(pool, happening, group)

    async def adopt(self, pool: Pool, asks: Sequence[Ask]) -> Sequence[Ask]:
        """Grant those who hold a foreign licence of the pool that very one; return the others."""
        adopted = await adopt(self._book, pool.pool_id, asks)
        if not adopted:
            return asks
        await self.grant(pool, [ask for ask in asks if ask.holder in adopted])
        return [ask for ask in asks if ask.holder not in adopted]

    async def reclaim(self, pool: Pool, asks: Sequence[Ask]) -> Sequence[Ask]:
        """Begin lives of nobody that give back what another hand gave, all of devices, or all of people.

        Return which were begun: none beside another living life of the target, in whichever library. That one
        may have to come back any time, and only one of a target's licences is on its way back at once (promise 2).
        """
        known = await licenses.known(self._tx, asks)
        living = {each.holder for each in (*known.in_the_way.values(), *known.leaving)}
        begun = [ask for ask in asks if ask.holder not in living]
        await adopt(self._book, pool.pool_id, begun)
        self.add(pool, Happening.RECLAIMED, begun)
        return begun

    async def adopt_waiting(self, pool_id: UUID) -> None:
        """Grant those who wait, and turned out to hold a foreign licence, that very one."""
        waiting, busy = await waitlist.waiting_foreign(self._tx, pool_id)
        if await adopt(self._book, pool_id, waiting):
            page = self._book.pages[pool_id]
            page.busy |= busy
            await grant_waiting(self._book, page, waiting)

    def move(
        self,
        happening: Happening,
        affected: Sequence[License],
        *,
        cause: Cause | None = None,
        error_number: int | None = None,
        attempt: int | None = None,
    ) -> None:
        """Say what happened to known lives. With `attempt` their next request to Apple is one of their own."""
        for (pool_id, state), group in by_state(affected).items():
            step = move(state, happening)
            if step is IGNORED:
                continue
            page = None if pool_id is None else self._book.pages[pool_id]
            said_why = step.answer in _SAID_WHY
            outcome = (step.held, cause if said_why else None, error_number if said_why else None)
            if step.to is not None:
                entry = Entry(page, group, step.to, _arrivals(group), outcome, attempt=attempt)
                self._book.write(state, entry)
            self._book.tell(step.answer, page, group, outcome)

    def succeed(self, pairs: Iterable[tuple[License, Ask]]) -> list[Ask]:
        """Let new lives take over what former ones of the same targets hold; return who found nothing."""
        groups: dict[tuple[UUID | None, State], list[tuple[License, Ask]]] = {}
        for former, ask in pairs:
            groups.setdefault((former.pool_id, former.state), []).append((former, ask))
        empty_handed: list[Ask] = []
        for (pool_id, state), group in groups.items():
            formers, asks = [former for former, _ in group], [ask for _, ask in group]
            heir = move(state, Happening.SUCCEEDED).heir
            if heir is None or pool_id is None:
                self.move(Happening.SUCCEEDED, formers)
                empty_handed += asks
            else:
                self._pass_on(self._book.pages[pool_id], formers, asks, heir)
        return empty_handed

    def hand_over(self, pairs: Sequence[tuple[License, License]]) -> None:
        """Let later lives, which waited for a release's outcome, take over the licence that was not released."""
        self.move(Happening.SUCCEEDED, [former for former, _ in pairs])
        heir = move(State.DISASSOCIATING, Happening.SUCCEEDED).heir
        if heir is None:
            return
        heirs: dict[UUID, list[License]] = defaultdict(list)
        for former, later in pairs:
            if former.pool_id is not None:
                heirs[former.pool_id].append(later)
        for pool_id, later_ones in heirs.items():
            page = self._book.pages[pool_id]
            for (_, state), group in by_state(later_ones).items():
                self._book.write(state, Entry(page, group, heir, _arrivals(group)))
                self._book.tell(Answer.ASSIGNED, page, group, NO_OUTCOME)

    def note(self, changed: Iterable[License]) -> None:
        """Store what was told anew about lives that stay where they are: version, place, no_wait."""
        groups: dict[tuple[UUID | None, State, Outcome], list[License]] = {}
        for each in changed:
            outcome = (each.held, each.cause, each.error_number)
            groups.setdefault((each.pool_id, each.state, outcome), []).append(each)
        for (pool_id, state, outcome), group in groups.items():
            page = None if pool_id is None else self._book.pages[pool_id]
            intent_ids = [each.intent_id for each in group]
            self._book.enter(Entry(page, group, state, _arrivals(group), outcome, intent_ids=intent_ids))

    def request(self, waiting: Sequence[License]) -> None:
        """Put licences that need one into a request to Apple: what they waited for is over."""
        for (pool_id, state), group in by_state(waiting).items():
            if pool_id is not None:
                self._book.enter(Entry(self._book.pages[pool_id], group, state, _arrivals(group)))

    def separate(self, pool_id: UUID, unsent: Sequence[License], *, attempt: int) -> None:
        """Put members of an unsent request into requests of their own."""
        for (_, state), group in by_state(unsent).items():
            self._book.requests.leave([each.intent_id for each in group if each.intent_id is not None])
            page = self._book.pages[pool_id]
            self._book.enter(Entry(page, group, state, _arrivals(group), attempt=attempt))

    def hesitate(self, pool_id: UUID, *, attempt: int) -> None:
        """Apple had none left though we counted some: who is served now waits before the next try."""
        self._book.pages[pool_id].attempt = attempt

    def busy(self, leaving: Iterable[License]) -> None:
        """Keep these targets out of new requests about the asset: one about them is not settled (promise 6)."""
        for each in leaving:
            for page in self._book.sisters(each.asset_id):
                page.busy.add(each.holder)

    async def shrink(self) -> None:
        """Take back what is held beyond the capacity, as far as it has not left for Apple: the latest first.

        But not what Apple just listed: a licence that was foreign until now.
        """
        for page in self._book.pages.values():
            over = over_allocated(page.pool.capacity, page.pool.held)
            limit = over + len(page.adopted)
            unsent = await licenses.unsent(self._tx, page.pool.pool_id, limit) if over else []
            latest = [each for each in unsent if each.holder not in page.adopted][:over]
            self.move(
                Happening.DENIED, [each for each in latest if each.no_wait], cause=Refusal.NO_LICENCE_LEFT
            )
            self.move(Happening.SHRUNK, [each for each in latest if not each.no_wait])
        await self.flush()

    async def spend(self) -> None:
        """Note which licences Apple counts as retired: they stay with Apple users that have ended (R6)."""
        for page in self._book.pages.values():
            if not page.pool.revocable:
                self.move(Happening.SPENT, await licenses.spent(self._tx, page.pool.pool_id))
        await self.flush()

    async def expire(self) -> None:
        """End the waiting of those who wanted to wait no longer than until now."""
        expired = await waitlist.expired(self._tx, list(self._book.pages))
        self.move(Happening.EXPIRED, expired, cause=Failure.EXPIRED)

    async def end_quarantine(self) -> None:
        """Send back what was kept for its grace."""
        self.request(await licenses.due_for_release(self._tx, list(self._book.pages)))

    async def room(self, ordered: Sequence[Pool]) -> list[tuple[Pool, int | None]]:
        """Return how many newcomers each of these pools of one asset can serve now; None: any number."""
        return await room(self._book, ordered)

    async def flush(self) -> None:
        """Write what happened so far."""
        await self._book.flush()

    async def close(self) -> None:
        """Write, serve the waitlists, save the pools and append the events."""
        await self.flush()
        for asset_id in {page.pool.asset_id for page in self._book.pages.values()}:
            await serve(self._book, self._book.sisters(asset_id))
        touched = [page.pool for page in self._book.pages.values() if page.touched]
        if touched:
            await pools.save(self._tx, touched)
        for library_id, user_ids in self._book.promised.items():
            await work.want_apple_users(self._tx, library_id, user_ids)
        waiters = {
            target.entitlement_id
            for told in self._book.told
            if told.answer is Answer.WAITLISTED
            for target in told.targets
        }
        self._tx.after_commit(self._count)
        places = await self._book.places.find(waiters)
        await outbox.append(self._tx, outgoing(self._book.told, places, self._tx.now))

    def _count(self) -> None:
        for told in self._book.told:
            LICENSES_TOLD.labels(told.answer, told.cause or "").inc(len(told.targets))

    def _pass_on(self, page: Page, formers: Sequence[License], asks: Sequence[Ask], heir: State) -> None:
        """End former lives and begin new ones in their places, in their requests to Apple too."""
        step = move(formers[0].state, Happening.SUCCEEDED)
        arrivals, intent_ids = _arrivals(formers), [former.intent_id for former in formers]
        nowhere: list[UUID | None] = [None] * len(formers)
        if heir is State.ASSIGNED:
            self._book.requests.leave([intent_id for intent_id in intent_ids if intent_id is not None])
            intent_ids = nowhere
        ended: Outcome = (step.held, None, None)
        self._book.enter(Entry(page, formers, State.RELEASED, arrivals, ended, intent_ids=nowhere))
        self._book.enter(Entry(page, asks, heir, arrivals, is_new=True, intent_ids=intent_ids))
        self._book.tell(step.answer, page, formers, ended)
        self._book.tell(_ANSWERS.get(heir, Answer.RESERVED), page, asks, NO_OUTCOME)


_ANSWERS = {State.ASSIGNED: Answer.ASSIGNED, State.AWAITING_ACCEPTANCE: Answer.AWAITING}


def _arrivals(group: Sequence[License]) -> list[int]:
    return [each.arrival for each in group]
