"""What becomes of an ask: InstallRequested or RemovalRequested for one target. Pure.

One open wish per (enrollment, asset): a newer one withdraws an older one that was not handed out, and waits for
one that was (scenario 6). An ask that was heard before is answered with the present state (promise 4). Deliveries
are told apart by their ids, uuid7: whatever comes late for an older one than the newest heard gives way to it, so
that asks may come in any order (scenario 5).
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from mdm_push.decide.begin import begin
from mdm_push.decide.outcome import NOT_ENROLLED, WITHDRAWN, Outcome, answers
from mdm_push.model import App, Ask, Enrollment, Intent, Patience, Wish, WishState
from shared.events.words import AssetKind, Channel, NothingRemoved

NOT_OFFERED_YET = "not_offered_yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that an ask's answer rests on.

    `mine` are the wishes of the same delivery. `active` is the one wish of this (enrollment, asset) that is
    commanded or verifying, `handed_out` says that its command is with the device; `waiting` waits behind it.
    `newest` is the newest delivery heard of for this (enrollment, asset).
    """

    enrollment: Enrollment | None
    mine: tuple[Wish, ...] = ()
    active: Wish | None = None
    handed_out: bool = False
    waiting: Wish | None = None
    app: App | None = None
    newest: UUID | None = None


def hear(ask: Ask, standing: Standing, *, wish_id: UUID, now: datetime, patience: Patience) -> Outcome:
    """Decide one ask; `wish_id` is the id of the wish if a new one begins."""
    enrollment = standing.enrollment
    fresh = _wish(ask, wish_id, generation=enrollment.generation if enrollment else 0)
    if enrollment is None or not enrollment.enrolled:
        return _unheard(fresh, cause=NOT_ENROLLED, was=NothingRemoved.NOT_ENROLLED)
    if ask.kind is not AssetKind.VPP_APP or ask.adam_id is None or ask.channel is not Channel.DEVICE:
        return _unheard(fresh, cause=NOT_OFFERED_YET, was=NothingRemoved.NOT_INSTALLED)
    known = _newest(standing.mine, enrollment.generation)
    if known is not None and not _asks_anew(ask, known):
        return _repeated(ask, known)
    if standing.newest is not None and ask.delivery_id < standing.newest:
        return _unheard(fresh, cause=WITHDRAWN, was=NothingRemoved.WITHDRAWN)
    return _begin(_same_row(fresh, standing.mine), standing, enrollment, now=now, patience=patience)


def _repeated(ask: Ask, known: Wish) -> Outcome:
    """Answer with the present state, and remember the version that was asked for."""
    newer = [replace(known, version=ask.version)] if ask.rank > known.rank else []
    return Outcome(wishes=newer, events=answers(known))


def _begin(
    wish: Wish, standing: Standing, enrollment: Enrollment, *, now: datetime, patience: Patience
) -> Outcome:
    """Clear the place of this (enrollment, asset), then begin, or wait for what is with the device."""
    outcome = Outcome()
    withdrawn = False
    if standing.active is not None and standing.active.id == wish.id:
        return _wanted_again(standing.active, wish, standing.waiting)
    for older in (standing.waiting, standing.active):
        if older is None:
            continue
        if older is standing.active and standing.handed_out:
            outcome.wishes.append(_owed_no_more(older, wish))
            outcome.wishes.append(replace(wish, state=WishState.WAITING))
            return outcome
        withdrawn |= older.intent is Intent.INSTALL
        outcome.settle(withdraw(_owed_no_more(older, wish)))
    nothing = NothingRemoved.WITHDRAWN if withdrawn else NothingRemoved.NOT_INSTALLED
    outcome.add(begin(wish, enrollment, app=standing.app, now=now, patience=patience, nothing=nothing))
    return outcome


def _wanted_again(active: Wish, wish: Wish, waiting: Wish | None) -> Outcome:
    """Keep a wish that is under way and asked for again: only what waited to undo it gives way."""
    outcome = Outcome()
    if waiting is not None:
        outcome.settle(withdraw(_owed_no_more(waiting, wish)))
    outcome.wishes.append(
        replace(
            active,
            owed=True,
            version=wish.version,
            correlation_id=wish.correlation_id,
            causation_id=wish.causation_id,
        )
    )
    return outcome


def withdraw(wish: Wish) -> Wish:
    """End a wish because a newer one took its place."""
    return replace(wish, state=WishState.WITHDRAWN, cause=WITHDRAWN)


def _owed_no_more(older: Wish, newer: Wish) -> Wish:
    """Let the successor alone answer for a wish of the same delivery: one delivery, one answer."""
    return replace(older, owed=older.owed and older.delivery_id != newer.delivery_id)


def _newest(mine: tuple[Wish, ...], generation: int) -> Wish | None:
    """Return the newest wish of the delivery, forgetting those of a device that was wiped since."""
    return max((wish for wish in mine if wish.generation == generation), key=lambda w: w.rank, default=None)


def _asks_anew(ask: Ask, known: Wish) -> bool:
    """Say whether this is more than a repetition.

    A removal after an install is. The same intent is only where the former try failed or gave way, and the
    entitlement has a newer version since. Anything older than what is known is a late copy.
    """
    if ask.intent is known.intent:
        return ask.rank > known.rank and known.state in {WishState.FAILED, WishState.WITHDRAWN}
    return ask.rank > known.rank


def _same_row(fresh: Wish, mine: tuple[Wish, ...]) -> Wish:
    """Give a new try the id of the former one: a delivery has one wish per intent."""
    former = next((wish for wish in mine if wish.intent is fresh.intent), None)
    return fresh if former is None else replace(fresh, id=former.id)


def _unheard(wish: Wish, *, cause: str, was: NothingRemoved) -> Outcome:
    """Answer without a wish: nothing is stored, a repetition is answered from the state of its own time."""
    if wish.intent is Intent.INSTALL:
        return Outcome(events=answers(replace(wish, state=WishState.FAILED, cause=cause)))
    return Outcome(events=answers(replace(wish, state=WishState.DONE, was=was)))


def _wish(ask: Ask, wish_id: UUID, *, generation: int) -> Wish:
    return Wish(
        id=wish_id,
        delivery_id=ask.delivery_id,
        entitlement_id=ask.entitlement_id,
        version=ask.version,
        enrollment_id=ask.enrollment_id,
        generation=generation,
        asset_id=ask.asset_id,
        kind=ask.kind,
        adam_id=ask.adam_id,
        intent=ask.intent,
        state=WishState.WAITING,
        correlation_id=ask.correlation_id,
        causation_id=ask.causation_id,
    )
