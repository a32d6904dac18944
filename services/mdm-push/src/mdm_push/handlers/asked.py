"""InstallRequested and RemovalRequested: a whole set of wishes in a handful of statements."""

from collections.abc import Iterable, Sequence
from uuid import UUID

import structlog

from mdm_push.decide import Outcome, Standing, hear
from mdm_push.handlers.means import Means
from mdm_push.handlers.saving import save, standing, wake
from mdm_push.model import App, Ask, Enrollment, Intent, Wish, WishState
from mdm_push.store import commands, enrollments, wishes
from shared import outbox
from shared.database import Transaction
from shared.events import Heard
from shared.events.assignment import InstallRequested, RemovalRequested
from shared.ids import new_ids

_log = structlog.get_logger(__name__)

Pair = tuple[UUID, UUID]


async def installs_requested(
    tx: Transaction, heard: Sequence[Heard[InstallRequested]], *, means: Means
) -> None:
    """Queue an install for every target, or answer why not."""
    await _asked(tx, _asks(heard, Intent.INSTALL), means)


async def removals_requested(
    tx: Transaction, heard: Sequence[Heard[RemovalRequested]], *, means: Means
) -> None:
    """Withdraw what was not handed out, remove what was, and answer where there was nothing."""
    await _asked(tx, _asks(heard, Intent.REMOVE), means)


async def _asked(tx: Transaction, asks: list[Ask], means: Means) -> None:
    if not asks:
        return
    board = _Board(tx)
    await board.load(asks)
    outcome = Outcome()
    for ask, wish_id in zip(asks, new_ids(len(asks)), strict=True):
        decided = hear(ask, board.standing(ask), wish_id=wish_id, now=tx.now, patience=means.patience)
        board.learn(decided.wishes)
        outcome.add(decided)
    await save(tx, outcome)
    await wake(tx, standing(outcome), means)
    await outbox.append(tx, outcome.events)


def _asks(heard: Iterable[Heard[InstallRequested] | Heard[RemovalRequested]], intent: Intent) -> list[Ask]:
    asks = []
    for each in heard:
        event, envelope = each.event, each.envelope
        if each.unreadable:
            # Without its delivery and enrollment nobody can be answered: the asker's deadline asks again.
            _log.warning(
                "targets cannot be read", event_id=str(envelope.event_id), count=len(each.unreadable)
            )
        asks += [
            Ask(
                delivery_id=target.delivery_id,
                entitlement_id=target.entitlement_id,
                version=target.version,
                enrollment_id=target.enrollment_id,
                channel=target.channel,
                asset_id=event.asset_id,
                kind=event.kind,
                adam_id=event.adam_id,
                intent=intent,
                correlation_id=envelope.correlation_id,
                causation_id=envelope.event_id,
            )
            for target in event.targets
        ]
    return asks


class _Board:
    """What stands for every ask of a set, kept current while they are decided one after the other."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._channels: dict[UUID, Enrollment] = {}
        self._handed_out: set[UUID] = set()
        self._apps: dict[Pair, App] = {}
        self._newest: dict[Pair, UUID] = {}
        self._by_delivery: dict[UUID, dict[Intent, Wish]] = {}
        self._active: dict[Pair, Wish] = {}
        self._waiting: dict[Pair, Wish] = {}

    async def load(self, asks: Sequence[Ask]) -> None:
        """Lock the enrollments and their open commands, then read what the decisions rest on."""
        pairs = list({ask.pair for ask in asks})
        self._channels = await enrollments.lock_many(self._tx, {ask.enrollment_id for ask in asks})
        self._handed_out = await commands.lock_open(self._tx, pairs)
        self._newest = await wishes.newest_deliveries(self._tx, pairs)
        self._apps = await wishes.apps_of_pairs(self._tx, pairs)
        self.learn(await wishes.touched(self._tx, {ask.delivery_id for ask in asks}, pairs))

    def standing(self, ask: Ask) -> Standing:
        """Return what one ask's answer rests on."""
        active = self._active.get(ask.pair)
        return Standing(
            enrollment=self._channels.get(ask.enrollment_id),
            mine=tuple(self._by_delivery.get(ask.delivery_id, {}).values()),
            active=active,
            handed_out=active is not None and active.id in self._handed_out,
            waiting=self._waiting.get(ask.pair),
            app=self._apps.get(ask.pair),
            newest=self._newest.get(ask.pair),
        )

    def learn(self, changed: Iterable[Wish]) -> None:
        """Take in wishes as they are now."""
        for wish in changed:
            self._by_delivery.setdefault(wish.delivery_id, {})[wish.intent] = wish
            self._newest[wish.pair] = max(wish.delivery_id, self._newest.get(wish.pair, wish.delivery_id))
            for place in (self._active, self._waiting):
                if (held := place.get(wish.pair)) is not None and held.id == wish.id:
                    del place[wish.pair]
            if wish.state is WishState.WAITING:
                self._waiting[wish.pair] = wish
            elif wish.state.open:
                self._active[wish.pair] = wish
