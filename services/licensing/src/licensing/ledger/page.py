"""One locked pool in the ledger, and a set of its licences that is to be written."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from licensing.model import HOLDING, Ask, Cause, Holder, License, Pool, State
from shared.events.words import Held

Outcome = tuple[Held | None, Cause | None, int | None]
"""What a release found, why a target was refused or failed, and Apple's error number."""

NO_OUTCOME: Outcome = (None, None, None)


@dataclass(slots=True)
class Page:
    """A locked pool, its counters as they become, and the targets that another open request is about."""

    pool: Pool
    touched: bool = False
    busy: set[Holder] = field(default_factory=set)
    attempt: int | None = None  # of the requests of those who are served now
    adopted: set[Holder] = field(default_factory=set)  # whose foreign licence became ours

    def count(self, before: State, after: State, many: int) -> None:
        """Move so many licences from one state to another."""
        held = (after in HOLDING) - (before in HOLDING)
        waiting = (after is State.WAITLISTED) - (before is State.WAITLISTED)
        if held or waiting:
            pool = self.pool
            self.pool = replace(pool, held=pool.held + held * many, waiting=pool.waiting + waiting * many)
            self.touched = True

    def adopt(self, holders: Collection[Holder]) -> None:
        """Count their licences as ours that were foreign: a unit of the capacity comes with each."""
        self.adopted |= set(holders)
        pool, many = self.pool, len(holders)
        capacity = None if pool.capacity is None else pool.capacity + many
        self.pool = replace(pool, foreign=pool.foreign - many, capacity=capacity)

    def arrived(self, last: int) -> None:
        """Note the last number drawn in the order of arrival, which is the asset's."""
        self.pool = replace(self.pool, arrival=last)
        self.touched = True


@dataclass(frozen=True, slots=True)
class Entry:
    """A set of licences to be written, all to one state; `page` is None for those without a pool.

    `intent_ids` None means: the request to Apple that the state needs, if any; with `attempt` one of their
    own, else one shared with whoever needs one too.
    """

    page: Page | None
    targets: Sequence[Ask | License]
    state: State
    arrivals: Sequence[int]
    outcome: Outcome = NO_OUTCOME
    is_new: bool = False
    intent_ids: Sequence[UUID | None] | None = None
    attempt: int | None = None


Target = Ask | License


def by_state(affected: Sequence[License]) -> dict[tuple[UUID | None, State], list[License]]:
    """Group licences by pool and state: each group moves as one."""
    groups: dict[tuple[UUID | None, State], list[License]] = {}
    for each in affected:
        groups.setdefault((each.pool_id, each.state), []).append(each)
    return groups


def by_outcome(targets: Sequence[Target], outcome: Outcome) -> list[tuple[UUID, Outcome, Sequence[Target]]]:
    """Group what is refused, failed or released by asset, and by the stored outcome where an answer is repeated."""
    groups: dict[tuple[UUID, Outcome], list[Target]] = {}
    for target in targets:
        said = outcome
        if outcome == NO_OUTCOME and isinstance(target, License):
            said = (target.held, target.cause, target.error_number)
        groups.setdefault((target.asset_id, said), []).append(target)
    return [(asset_id, said, group) for (asset_id, said), group in groups.items()]
