"""Handlers and steps say what happened to whole sets of licences; the ledger does what follows from it.

It moves them by the state table (decide), keeps the pools' counters, puts who needs it into a request to
Apple, serves the waitlist with what became free, and appends the events that tell it: all in the one
transaction (promises 1, 3 and 6).
"""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from licensing.decide import IGNORED, move
from licensing.ledger.page import NO_OUTCOME, Entry, Outcome, Page, Target, by_outcome, by_state
from licensing.ledger.places import Places
from licensing.ledger.requests import Requests
from licensing.ledger.telling import Told, outgoing
from licensing.model import Answer, Ask, Happening, IntentKind, License, Pool, State
from licensing.store import foreign, licenses, pools
from shared import outbox
from shared.database import Transaction
from shared.events.words import Refusal
from shared.metrics import LICENSES_TOLD

MOST_SERVED = 10_000
"""Waiters served in one transaction; the schedule goes on where a purchase frees more."""

_REQUEST_NEEDED = {State.RESERVED: IntentKind.ASSOCIATE, State.RELEASING: IntentKind.DISASSOCIATE}
_UNSENT = frozenset({State.RESERVED, State.RELEASING})
_SENT = frozenset({State.ASSOCIATING, State.WITHDRAWING})


class Ledger:
    """Opened with locked pools, told what happens, and closed; nothing may be locked after the closing."""

    def __init__(self, tx: Transaction, locked: Iterable[Pool]) -> None:
        self._tx = tx
        self._pages = {pool.pool_id: Page(pool) for pool in locked}
        self._requests = Requests(tx, list(self._pages))
        self._places = Places(tx, self._pages)
        self._entries: list[Entry] = []
        self._told: list[Told] = []

    @classmethod
    async def of_assets(cls, tx: Transaction, asset_ids: Collection[UUID]) -> "Ledger":
        """Lock every pool of these assets."""
        return cls(tx, await pools.lock_of_assets(tx, asset_ids))

    @classmethod
    async def of_pools(cls, tx: Transaction, pool_ids: Collection[UUID]) -> "Ledger":
        """Lock these pools."""
        return cls(tx, await pools.lock(tx, pool_ids))

    @property
    def pools(self) -> list[Pool]:
        """The locked pools, with their counters as they are by now."""
        return [page.pool for page in self._pages.values()]

    def add(
        self, pool: Pool | None, happening: Happening, asks: Sequence[Ask], *, refusal: Refusal | None = None
    ) -> None:
        """Begin new lives. `pool` is None where no library holds the asset."""
        if not asks:
            return
        step = move(State.UNKNOWN, happening)
        state = step.to or State.UNKNOWN
        page = None if pool is None else self._pages[pool.pool_id]
        arrivals: Sequence[int] = [0] * len(asks)
        if page is not None and state in {State.RESERVED, State.WAITLISTED}:
            page.count(State.UNKNOWN, state, len(asks))
            arrivals = page.arrivals(len(asks))
            if state is State.WAITLISTED:
                self._places.came(page.pool.pool_id, asks)
        outcome = (step.held, refusal, None)
        self._entries.append(Entry(page, asks, state, arrivals, outcome, is_new=True))
        self._tell(step.answer, page, asks, outcome)

    async def adopt(self, pool: Pool, asks: Sequence[Ask]) -> Sequence[Ask]:
        """Grant those who hold a foreign licence of the pool that very one; return the others."""
        adopted = await self._adopt(pool.pool_id, asks)
        if not adopted:
            return asks
        self.add(pool, Happening.GRANTED, [ask for ask in asks if ask.serial_number in adopted])
        return [ask for ask in asks if ask.serial_number not in adopted]

    async def adopt_waiting(self, pool_id: UUID) -> None:
        """Grant those who wait, and turned out to hold a foreign licence, that very one."""
        waiting = await licenses.waiting_foreign(self._tx, pool_id)
        if await self._adopt(pool_id, waiting):
            self.move(Happening.GRANTED, waiting)
            await self.flush()

    def move(
        self,
        happening: Happening,
        affected: Sequence[License],
        *,
        refusal: Refusal | None = None,
        error_number: int | None = None,
        attempt: int | None = None,
    ) -> None:
        """Say what happened to known lives. With `attempt` their next request to Apple is one of their own."""
        for (pool_id, state), group in by_state(affected).items():
            step = move(state, happening)
            if step is IGNORED:
                continue
            page = None if pool_id is None else self._pages[pool_id]
            refused = step.answer is Answer.REFUSED
            outcome = (step.held, refusal if refused else None, error_number if refused else None)
            if step.to is not None:
                entry = Entry(page, group, step.to, _arrivals(group), outcome, attempt=attempt)
                self._write(state, entry)
            self._tell(step.answer, page, group, outcome)

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
                self._pass_on(self._pages[pool_id], formers, asks, heir)
        return empty_handed

    def hand_over(self, pairs: Sequence[tuple[License, License]]) -> None:
        """Let later lives, which waited for a release's outcome, take over the licence that was not released."""
        self.move(Happening.SUCCEEDED, [former for former, _ in pairs])
        heir = move(State.DISASSOCIATING, Happening.SUCCEEDED).heir
        for (pool_id, state), group in by_state([later for _, later in pairs]).items():
            if heir is not None and pool_id is not None:
                page = self._pages[pool_id]
                self._write(state, Entry(page, group, heir, _arrivals(group)))
                self._tell(Answer.ASSIGNED, page, group, NO_OUTCOME)

    def note(self, changed: Iterable[License]) -> None:
        """Store what was told anew about lives that stay where they are: version, priority, no_wait."""
        groups: dict[tuple[UUID | None, State, Outcome], list[License]] = {}
        for each in changed:
            outcome = (each.held, each.refusal, each.error_number)
            groups.setdefault((each.pool_id, each.state, outcome), []).append(each)
        for (pool_id, state, outcome), group in groups.items():
            page = None if pool_id is None else self._pages[pool_id]
            intent_ids = [each.intent_id for each in group]
            self._entries.append(Entry(page, group, state, _arrivals(group), outcome, intent_ids=intent_ids))

    def associate(self, pool_id: UUID, reserved: Sequence[License]) -> None:
        """Put reserved licences into a request to Apple: the one they waited for is settled."""
        if reserved:
            entry = Entry(self._pages[pool_id], reserved, State.RESERVED, _arrivals(reserved))
            self._entries.append(entry)

    def separate(self, pool_id: UUID, unsent: Sequence[License], *, attempt: int) -> None:
        """Put members of an unsent request into requests of their own."""
        for (_, state), group in by_state(unsent).items():
            self._requests.leave([each.intent_id for each in group if each.intent_id is not None])
            page = self._pages[pool_id]
            self._entries.append(Entry(page, group, state, _arrivals(group), attempt=attempt))

    def hesitate(self, pool_id: UUID, *, attempt: int) -> None:
        """Apple had none left though we counted some: who is served now waits before the next try."""
        self._pages[pool_id].attempt = attempt

    def busy(self, leaving: Iterable[License]) -> None:
        """Keep the targets of these out of new requests: one about them is not settled yet (promise 6)."""
        for each in leaving:
            if each.pool_id is not None:
                self._pages[each.pool_id].busy.add(each.serial_number)

    async def flush(self) -> None:
        """Write what happened so far."""
        entries, self._entries = self._entries, []
        born, ended, under_way = licenses.Rows(), licenses.Rows(), licenses.Rows()
        for entry in entries:
            intent_ids = await self._intents_of(entry)
            rows = born if entry.is_new else under_way if any(intent_ids) else ended
            rows.extend(
                entry.targets,
                pool_id=entry.page.pool.pool_id if entry.page else None,
                state=entry.state,
                arrivals=entry.arrivals,
                intent_ids=intent_ids,
                outcome=entry.outcome,
            )
        await self._requests.write()
        # What leaves its request first: a target has one unsettled request at any moment.
        for rows, write in ((ended, licenses.update), (under_way, licenses.update), (born, licenses.insert)):
            if rows:
                await write(self._tx, rows)

    async def close(self) -> None:
        """Write, serve the waitlists, save the pools and append the events."""
        await self.flush()
        for page in self._pages.values():
            await self._serve(page)
        touched = [page.pool for page in self._pages.values() if page.touched]
        if touched:
            await pools.save(self._tx, touched)
        waiters = {
            target.entitlement_id
            for told in self._told
            if told.answer is Answer.WAITLISTED
            for target in told.targets
        }
        self._tx.after_commit(self._count)
        places = await self._places.find(waiters)
        await outbox.append(self._tx, outgoing(self._told, places, self._tx.now))

    def _count(self) -> None:
        for told in self._told:
            LICENSES_TOLD.labels(told.answer, told.refusal or "").inc(len(told.targets))

    async def _adopt(self, pool_id: UUID, targets: Sequence[Target]) -> set[str]:
        page = self._pages[pool_id]
        if not targets or not page.pool.foreign:
            return set()
        serial_numbers = [target.serial_number for target in targets]
        adopted = await foreign.adopt(self._tx, pool_id, serial_numbers)
        page.adopt(len(adopted))
        return adopted

    async def _serve(self, page: Page) -> None:
        """Grant what is free to who waits, in the order of the waitlist."""
        free, waiting = page.pool.free, page.pool.waiting
        limit = min(MOST_SERVED, waiting if free is None else min(free, waiting))
        if limit <= 0:
            return
        first, busy = await licenses.first_waiting(self._tx, page.pool.pool_id, limit)
        page.busy |= busy
        self.move(Happening.GRANTED, first, attempt=page.attempt)
        await self.flush()

    def _write(self, before: State, entry: Entry) -> None:
        group = [each for each in entry.targets if isinstance(each, License)]
        if entry.page is not None:
            entry.page.count(before, entry.state, len(group))
        if before in _UNSENT:
            self._requests.leave([each.intent_id for each in group if each.intent_id is not None])
        self._entries.append(entry)

    def _pass_on(self, page: Page, formers: Sequence[License], asks: Sequence[Ask], heir: State) -> None:
        """End former lives and begin new ones in their places, in their requests to Apple too."""
        step = move(formers[0].state, Happening.SUCCEEDED)
        arrivals, intent_ids = _arrivals(formers), [former.intent_id for former in formers]
        nowhere: list[UUID | None] = [None] * len(formers)
        if heir is State.ASSIGNED:
            self._requests.leave([intent_id for intent_id in intent_ids if intent_id is not None])
            intent_ids = nowhere
        ended: Outcome = (step.held, None, None)
        self._entries.append(Entry(page, formers, State.RELEASED, arrivals, ended, intent_ids=nowhere))
        self._entries.append(Entry(page, asks, heir, arrivals, is_new=True, intent_ids=intent_ids))
        self._tell(step.answer, page, formers, ended)
        self._tell(Answer.ASSIGNED if heir is State.ASSIGNED else Answer.RESERVED, page, asks, NO_OUTCOME)

    async def _intents_of(self, entry: Entry) -> Sequence[UUID | None]:
        if entry.intent_ids is not None:
            return entry.intent_ids
        if entry.state in _SENT:
            return [each.intent_id for each in entry.targets if isinstance(each, License)]
        kind, page = _REQUEST_NEEDED.get(entry.state), entry.page
        if kind is None or page is None:
            return [None] * len(entry.targets)
        free = [target for target in entry.targets if target.serial_number not in page.busy]
        joined = await self._requests.join(page.pool.pool_id, kind, free, attempt=entry.attempt)
        if not page.busy:
            return joined
        left = iter(joined)
        return [None if target.serial_number in page.busy else next(left) for target in entry.targets]

    def _tell(self, answer: Answer, page: Page | None, targets: Sequence[Target], outcome: Outcome) -> None:
        library_id = page.pool.library_id if page else ""
        match answer:
            case Answer.NOTHING:
                return
            case Answer.REFUSED | Answer.RELEASED:
                for asset_id, said, group in by_outcome(targets, outcome):
                    self._told.append(Told(answer, asset_id, library_id, group, *said))
            case Answer.RESERVED | Answer.WAITLISTED | Answer.ASSIGNED:
                self._told.append(Told(answer, targets[0].asset_id, library_id, targets))


def _arrivals(group: Sequence[License]) -> list[int]:
    return [each.arrival for each in group]
