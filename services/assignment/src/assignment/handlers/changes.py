"""What one transaction decides, gathered until it is written: lives, covers, deliveries, steps, totals, events."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never
from uuid import UUID

from assignment.decide.deliveries import TABLE as DELIVERIES
from assignment.decide.deliveries import DeliveryFact
from assignment.decide.entitlements import Effect, Fact, Move, Said, after, is_news, move
from assignment.handlers.telling import Telling
from assignment.model import Delivery, DeliveryState, Entitlement, State
from assignment.resolve import Counts, Ending, Opening, asks_license_again
from assignment.store import covers, deliveries, entitlements
from assignment.store.entitlements import StepRow
from shared import asks
from shared.database import Transaction
from shared.events.words import RevokeReason
from shared.ids import new_id
from shared.locks import Rung

_OPEN = (DeliveryState.ASKED, DeliveryState.INSTALLED, DeliveryState.FAILED)


SaidOf = Callable[[UUID], Said]
"""Gives what led here, by device: each may have its own event."""


@dataclass(frozen=True, slots=True)
class _Moved:
    before: Entitlement
    after: Entitlement
    steps: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class _Delivering:
    life: Entitlement
    event_id: UUID | None
    attempt: int
    first: bool
    """False where an earlier delivery of the same life may stand, which this one replaces."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Why an assignment ends; `unfolding` while a work row still ends its covers."""

    reason: RevokeReason
    unfolding: bool


class Changes:
    """Gathers what is decided about locked lives. `counting.finish` writes the rest, and tells of it."""

    def __init__(self, tx: Transaction) -> None:
        self.tx = tx
        self.lives: dict[UUID, Entitlement] = {}
        self.lost: list[Entitlement] = []
        self.counts: Counts = Counter()
        self.telling = Telling()
        self.reached: Counter[tuple[State, str | None]] = Counter()
        """States that lives came to, each with its cause, for the metrics."""
        self.ask_again_at: datetime = asks.deadline(tx.now)
        self.strangers = 0
        self.begun: set[UUID] = set()
        """Assignments of which a new work row goes on to open or end covers."""
        self.unfolded: set[UUID] = set()
        """Assignments of which a set of covers is complete with this transaction, new ones among them."""
        self.ended: dict[UUID, Ended] = {}
        self._moved: dict[UUID, _Moved] = {}
        self._steps: dict[tuple[str, State, str | None, UUID | None], UUID] = {}
        self._takers: Counter[UUID] = Counter()
        self._delivering: dict[UUID, _Delivering] = {}
        self._revoking: dict[UUID, Said] = {}

    def load(self, lives: Mapping[UUID, Entitlement]) -> None:
        """Take lives that were locked."""
        self.lives.update(lives)

    def hear(self, entitlement_id: UUID, fact: Fact, said: Said, *, attempt: int = 1) -> None:
        """Apply a fact to a life; one that is not ours is counted and changes nothing (scenario 19)."""
        life = self.lives.get(entitlement_id)
        if life is None:
            self.strangers += 1
            return
        moves = move(life.state, fact, life.wish.install_mode)
        if not moves or not is_news(life, moves[-1], said):
            return
        moved = after(life, moves[-1], said, ask_again_at=self.ask_again_at)
        self.lives[life.id] = moved
        former = self._moved.get(life.id)
        steps = (*(former.steps if former else ()), *self._steps_of(life, moves, said))
        self._moved[life.id] = _Moved(former.before if former else life, moved, steps)
        match moves[-1].effect:
            case Effect.DELIVER:
                first = fact is Fact.ASSIGNED
                self._delivering[life.id] = _Delivering(moved, said.event_id, attempt, first)
            case Effect.REVOKE:
                self._delivering.pop(life.id, None)
                self._revoking[life.id] = said
            case Effect.REOPEN:
                self._delivering.pop(life.id, None)
                self.lost.append(moved)
            case Effect.NONE:
                pass
            case effect:
                assert_never(effect)

    def _steps_of(self, life: Entitlement, moves: Sequence[Move], said: Said) -> Iterator[UUID]:
        """Yield the step of each move; a new place in the waitlist is none."""
        for made in moves:
            if made.state is not life.state or made.effect is not Effect.NONE or said.cause:
                what = "InstallRequested" if made.effect is Effect.DELIVER else said.what
                cause = said.cause or made.cause or said.reason
                yield self.step(what, made.state, cause, said.event_id)

    def step(self, what: str, state: State, cause: str | None, event_id: UUID | None) -> UUID:
        """Let one more life take a step, which is stored once for all that do in this transaction; return its id."""
        key = (what, state, cause, event_id)
        if key not in self._steps:
            self._steps[key] = new_id()
        self._takers[self._steps[key]] += 1
        return self._steps[key]

    async def save_moves(self) -> None:
        """Write where lives stand now, and count the moves in every assignment that covers them."""
        moved, self._moved = list(self._moved.values()), {}
        if not moved:
            return
        await entitlements.move(self.tx, [each.after for each in moved], [each.steps for each in moved])
        self.reached.update((each.after.state, each.after.cause) for each in moved if each.steps)
        shifted = [
            (each.after.id, each.after.device_id, each.after.asset_id, each.before.state, each.after.state)
            for each in moved
            if each.before.state is not each.after.state
        ]
        if not shifted:
            return
        for assignment_id, before, later, count in await covers.shifts(self.tx, shifted):
            self.counts[assignment_id, before] -= count
            self.counts[assignment_id, later] += count

    async def save_opening(self, opening: Opening, said_of: SaidOf) -> None:
        """Write new lives and covers, and what covers now want of lives that were there."""
        opened = [(life, said_of(life.device_id)) for life in opening.opened]
        if opened:
            steps = [self.step(said.what, life.state, life.cause, said.event_id) for life, said in opened]
            await entitlements.insert(self.tx, [life for life, _ in opened], steps)
            self.reached.update((life.state, life.cause) for life in opening.opened)
        if opening.covers:
            await covers.put(self.tx, opening.covers)
        self.counts.update(opening.counts)
        for life, said in opened:
            if life.state is State.REQUESTED:
                self.telling.requested(life, said.event_id)
        await self._save_wishes(opening.rewished, said_of)

    async def save_ending(self, ending: Ending, said: Said) -> None:
        """End covers; lives that lose their last one are given back."""
        for life in ending.uncovered:
            self.hear(life.id, Fact.UNCOVERED, said)
        if ending.ended:
            await covers.end(self.tx, ending.ended)
        if ending.dropped:
            await covers.drop(self.tx, ending.dropped)
        self.counts.update(ending.counts)
        await self._save_wishes(ending.rewished, lambda _: said)

    async def _save_wishes(self, changed: Sequence[tuple[Entitlement, Entitlement]], said_of: SaidOf) -> None:
        if not changed:
            return
        await entitlements.rewish(self.tx, [later for _, later in changed])
        for before, later in changed:
            said = said_of(later.device_id)
            self.lives[later.id] = later
            if asks_license_again(before, later):
                self.telling.requested(later, said.event_id)
            if before.wish.install_mode is not later.wish.install_mode:
                self.hear(later.id, Fact.PUSH_WANTED, said)

    async def save_deliveries(self) -> None:
        """Open deliveries for lives that go to their device; take back those of lives that are revoked or lost."""
        gone = {*self._revoking, *(life.id for life in self.lost)}
        again = {each.life.id for each in self._delivering.values() if not each.first}
        former: list[Delivery] = []
        if gone | again:
            self.tx.reach(Rung.TARGETS)
            former = await deliveries.lock_of(self.tx, sorted(gone | again), _OPEN)
        moved = [self._taken_back(delivery) for delivery in former]
        if moved:
            await deliveries.move(self.tx, moved)
        for entitlement_id, said in self._revoking.items():
            self.telling.revoked(self.lives[entitlement_id], said.event_id)
        for delivery in moved:
            if delivery.state is DeliveryState.REMOVING:
                said = self._revoking[delivery.entitlement_id]
                self.telling.removal(delivery, self.lives[delivery.entitlement_id], said.event_id)
        await self._save_new_deliveries()

    def _taken_back(self, delivery: Delivery) -> Delivery:
        revoked = delivery.entitlement_id in self._revoking
        fact = DeliveryFact.REVOKED if revoked else DeliveryFact.REPLACED
        state = DELIVERIES[delivery.state][fact]
        return replace(delivery, state=state, ask_deadline_at=self.ask_again_at if revoked else None)

    async def _save_new_deliveries(self) -> None:
        opened = [(self._delivery(each), each) for each in self._delivering.values()]
        if not opened:
            return
        await deliveries.insert(self.tx, [delivery for delivery, _ in opened])
        for delivery, each in opened:
            self.telling.install(delivery, each.life, each.event_id)

    def _delivery(self, each: _Delivering) -> Delivery:
        life = each.life
        return Delivery(
            id=new_id(),
            entitlement_id=life.id,
            asset_id=life.asset_id,
            enrollment_id=life.device_id,
            request_id=life.request_id,
            attempt=each.attempt,
            ask_deadline_at=self.ask_again_at,
        )

    async def save_steps(self) -> None:
        """Write the steps taken, each once."""
        rows = [StepRow(step_id, *step, self._takers[step_id]) for step, step_id in self._steps.items()]
        if rows:
            await entitlements.insert_steps(self.tx, rows)
