"""Which request to Apple a licence joins: requests are filled to Apple's limit, across what was asked."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from licensing.model import Ask, IntentKind, License, State
from licensing.store import intents
from licensing.store.intents import NewIntent
from licensing.work import INTENT
from shared import worker
from shared.database import Transaction
from shared.events import MAX_TARGETS_PER_EVENT
from shared.ids import new_id
from shared.retry import delay_seconds
from shared.worker import NewWork

_NEEDED = {State.RESERVED: IntentKind.ASSOCIATE, State.RELEASING: IntentKind.DISASSOCIATE}
_FIRST_DELAY_SECONDS = 1.0
_LONGEST_DELAY_SECONDS = 300.0
"""Apple's advice for error 9603: some quick tries, then minutes apart."""


@dataclass(slots=True, eq=False)
class _Filling:
    """A request that takes members: one that is `stored` already, or one that this transaction begins.

    With `attempt` nobody joins it but those it was begun for.
    """

    intent_id: UUID
    pool_id: UUID
    kind: IntentKind
    of_people: bool
    size: int
    attempt: int | None = None
    stored: bool = False

    @property
    def room(self) -> int:
        return MAX_TARGETS_PER_EVENT - self.size


def request_needed(state: State) -> IntentKind | None:
    """Return what has to be asked of Apple for a licence in this state."""
    return _NEEDED.get(state)


class Requests:
    """The unsent requests of some locked pools, those of the database and those of this transaction."""

    def __init__(self, tx: Transaction, pool_ids: Sequence[UUID]) -> None:
        self._tx = tx
        self._pool_ids = pool_ids
        self._shared: dict[tuple[UUID, IntentKind, bool], _Filling] | None = None
        self._begun: dict[_Filling, UUID] = {}
        self._changes: Counter[UUID] = Counter()

    def leave(self, intent_ids: Sequence[UUID]) -> None:
        """Count members that left unsent requests."""
        self._changes.subtract(Counter(intent_ids))

    async def join(
        self, pool_id: UUID, kind: IntentKind, targets: Sequence[Ask | License], *, attempt: int | None
    ) -> list[UUID]:
        """Return the request of each target; all are devices, or all are people.

        With `attempt` they get requests that nobody else joins.
        """
        of_people = bool(targets) and isinstance(targets[0].holder, UUID)
        joined: list[UUID] = []
        while len(joined) < len(targets):
            rest = targets[len(joined) :]
            filling = await self._with_room(pool_id, kind, of_people=of_people) if attempt is None else None
            if filling is None:
                filling = _Filling(new_id(), pool_id, kind, of_people, 0, attempt)
                self._begin(filling, rest[0].correlation_id)
            many = min(len(rest), filling.room)
            filling.size += many
            if filling.stored:
                self._changes[filling.intent_id] += many
            joined.extend([filling.intent_id] * many)
        return joined

    async def write(self) -> None:
        """Store the new requests with their work rows, and the sizes of those that were there."""
        begun, self._begun = self._begun, {}
        if begun:
            work_ids = await worker.add(
                self._tx,
                [_work(each, correlation_id, self._tx.now) for each, correlation_id in begun.items()],
            )
            await intents.insert(
                self._tx, [_new(each, work_id) for each, work_id in zip(begun, work_ids, strict=True)]
            )
        for each in begun:
            each.stored = True  # from now on its size is the database's
        changes = {intent_id: change for intent_id, change in self._changes.items() if change}
        self._changes.clear()
        if changes:
            await intents.resize(self._tx, changes)

    async def _with_room(self, pool_id: UUID, kind: IntentKind, *, of_people: bool) -> _Filling | None:
        if self._shared is None:
            rows = await intents.with_room(self._tx, self._pool_ids, most=MAX_TARGETS_PER_EVENT)
            self._shared = {
                (pool, of_kind, people): _Filling(intent_id, pool, of_kind, people, size, stored=True)
                for pool, of_kind, people, intent_id, size in rows
            }
        filling = self._shared.get((pool_id, kind, of_people))
        return filling if filling is not None and filling.room > 0 else None

    def _begin(self, filling: _Filling, correlation_id: UUID) -> None:
        """Begin a request; what begins it is what it is correlated with."""
        self._begun[filling] = correlation_id
        if filling.attempt is None and self._shared is not None:
            self._shared[filling.pool_id, filling.kind, filling.of_people] = filling


def _work(filling: _Filling, correlation_id: UUID, now: datetime) -> NewWork:
    wait = 0.0
    if filling.attempt:
        wait = delay_seconds(filling.attempt - 1, first=_FIRST_DELAY_SECONDS, most=_LONGEST_DELAY_SECONDS)
    return NewWork(
        INTENT,
        {"intent_id": str(filling.intent_id)},
        correlation_id,
        now + timedelta(seconds=wait),
    )


def _new(filling: _Filling, work_id: UUID) -> NewIntent:
    return NewIntent(
        filling.intent_id,
        filling.pool_id,
        filling.kind,
        filling.of_people,
        min(filling.attempt or 0, 100),
        filling.attempt is None,
        filling.size,
        work_id,
    )
