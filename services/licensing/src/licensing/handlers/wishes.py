"""What licensing does when it hears of wishes: one function per event, one transaction, whole sets."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from licensing.decide import in_order, overflow, refusal_of
from licensing.ledger import Ledger
from licensing.model import Ask, Happening, Holder, License, Pool, State
from licensing.store import licenses, people
from licensing.store.licenses import Known
from shared import outbox
from shared.database import Transaction
from shared.events import Heard, Outgoing
from shared.events.assignment import AssignmentRequested, AssignmentRevoked
from shared.events.licensing import LicenseRefused, RefusedTarget
from shared.events.words import AssetKind, Refusal

_OURS = frozenset({AssetKind.VPP_APP, AssetKind.VPP_BOOK})


async def reserve(tx: Transaction, heard: Sequence[Heard[AssignmentRequested]]) -> None:
    """Hold a licence for each target, let it wait, or refuse it; repeat what a known life has become."""
    ours = [each for each in heard if each.event.kind in _OURS]
    asks = [ask for each in ours for ask in _asks(each)]
    if asks:
        await people.lock(tx, _versions(ours))
        ledger = await Ledger.of_assets(tx, {each.event.asset_id for each in ours})
        for part in rounds(asks):
            await _reserve(tx, ledger, part)
        await ledger.close()
    await outbox.append(tx, [event for each in ours for event in _unreadable(each)])


async def release(tx: Transaction, heard: Sequence[Heard[AssignmentRevoked]]) -> None:
    """Give the licence of each target back, or begin to; what holds nothing is released with nothing."""
    ours = [each for each in heard if each.event.kind in _OURS]
    asks = [ask for each in ours for ask in _asks(each)]
    if asks:
        ledger = await Ledger.of_assets(tx, {each.event.asset_id for each in ours})
        for part in rounds(asks):
            await _release(tx, ledger, part)
        await ledger.close()
    await outbox.append(tx, [event for each in ours for event in _unreadable(each)])


def rounds(asks: Sequence[Ask]) -> list[Sequence[Ask]]:
    """Split asks so that no round names an entitlement or a target twice; the order of each is kept."""
    if len({ask.entitlement_id for ask in asks}) == len(asks) == len({ask.holder for ask in asks}):
        return [asks]
    turn: dict[object, int] = {}
    split: list[list[Ask]] = []
    for ask in asks:
        names = (ask.entitlement_id, (ask.asset_id, ask.holder))
        mine = max(turn.get(name, 0) for name in names)
        turn.update(dict.fromkeys(names, mine + 1))
        if mine == len(split):
            split.append([])
        split[mine].append(ask)
    return list(split)


async def _reserve(tx: Transaction, ledger: Ledger, asks: Sequence[Ask]) -> None:
    known = await licenses.known(tx, asks)
    ledger.busy(known.leaving)
    fresh = asks
    if known.lives:
        _repeat(ledger, known, [ask for ask in asks if ask.entitlement_id in known.lives])
        fresh = [ask for ask in asks if ask.entitlement_id not in known.lives]
    if known.in_the_way:
        fresh = _succeed(ledger, known, fresh)
    for (asset_id, library_id, holder), group in _alike(fresh):
        allowed = in_order([pool for pool in ledger.pools if pool.asset_id == asset_id], library_id)
        refusal = refusal_of(allowed, of_people=holder is UUID)
        if refusal is None:
            await _place(ledger, allowed, group)
        else:
            ledger.add(allowed[0] if allowed else None, Happening.DENIED, group, cause=refusal)
    await ledger.flush()


async def _place(ledger: Ledger, pools: Sequence[Pool], asks: Sequence[Ask]) -> None:
    """Grant new lives what is left; the others wait in the first pool, or are refused if they will not.

    Whoever will not wait is reserved nothing in a library that cannot be written to now.
    """
    for pool in pools:
        asks = await ledger.adopt(pool, asks)
    able = [pool for pool in pools if not pool.suspended]
    suspended = pools[len(able) :]  # they are asked last
    left = await _grant(ledger, able, asks)
    unwilling = [ask for ask in left if ask.no_wait]  # to wait for a licence, or for a new content token
    cause = Refusal.LIBRARY_SUSPENDED if suspended else Refusal.NO_LICENCE_LEFT
    ledger.add(pools[0], Happening.DENIED, unwilling, cause=cause)
    left = await _grant(ledger, suspended, [ask for ask in left if not ask.no_wait])
    ledger.add(pools[0], Happening.WAITED, left)


async def _grant(ledger: Ledger, pools: Sequence[Pool], asks: Sequence[Ask]) -> Sequence[Ask]:
    """Grant new lives what these pools have left, the first pool first; return who found nothing."""
    if not pools or not asks:
        return asks
    begin = 0
    for pool, granted in overflow(asks, await ledger.room(pools)):
        await ledger.grant(pool, granted)
        begin += len(granted)
    return asks[begin:]


def _repeat(ledger: Ledger, known: Known, asks: Sequence[Ask]) -> None:
    """Answer asks about lives we know: lower versions are ignored, higher ones may change their place."""
    current, changed, unwilling = [], [], []
    for ask in asks:
        life = known.lives[ask.entitlement_id]
        if ask.version < life.version:
            continue
        asked = _asked(life, ask)._replace(**_wanted(ask))
        if asked.state is State.WAITLISTED and ask.no_wait:
            unwilling.append(asked)
            continue
        current.append(asked)
        if ask.version != life.version or _wanted(ask) != _wanted(life):
            changed.append(asked)
    ledger.note(changed)
    ledger.move(Happening.REQUESTED, current)
    ledger.move(Happening.DENIED, unwilling, cause=Refusal.NO_LICENCE_LEFT)


def _succeed(ledger: Ledger, known: Known, asks: Sequence[Ask]) -> list[Ask]:
    """Let new lives take what former ones of their targets still hold; return who must ask the pool."""
    left: list[Ask] = []
    pairs: list[tuple[License, Ask]] = []
    for ask in asks:
        former = known.in_the_way.get((ask.asset_id, ask.holder))
        if former is None:
            left.append(ask)
        else:
            pairs.append((former, ask))
    return left + ledger.succeed(pairs)


async def _release(tx: Transaction, ledger: Ledger, asks: Sequence[Ask]) -> None:
    known = await licenses.known(tx, asks)
    pools = {pool.pool_id: pool for pool in ledger.pools}
    returning: list[License] = []
    kept: list[License] = []
    for ask in asks:
        life = known.lives.get(ask.entitlement_id)
        if life is None or ask.version < life.version:
            continue
        pool = None if life.pool_id is None else pools[life.pool_id]
        if pool is not None and not pool.revocable:
            kept.append(_asked(life, ask))
        else:
            grace = 0 if pool is None or ask.reason is None else pool.grace.get(ask.reason, 0)
            release_at = tx.now + timedelta(seconds=grace) if grace else None
            returning.append(_asked(life, ask, release_at=release_at))
    ledger.move(Happening.REVOKED, returning)
    ledger.move(Happening.REVOKED_IRREVOCABLE, kept, cause=Refusal.IRREVOCABLE)
    ledger.add(None, Happening.REVOKED, [ask for ask in asks if ask.entitlement_id not in known.lives])
    await ledger.flush()


def _asks(heard: Heard[AssignmentRequested] | Heard[AssignmentRevoked]) -> list[Ask]:
    event, envelope = heard.event, heard.envelope
    told: dict[str, Any]
    if isinstance(event, AssignmentRequested):
        told = {name: getattr(event, name) for name in _WANTED}
    else:
        told = {"reason": event.reason}
    return [
        Ask(
            target.entitlement_id,
            target.version,
            holder,
            event.asset_id,
            envelope.correlation_id,
            envelope.event_id,
            **told,
        )
        for target in event.targets
        if (holder := target.serial_number or target.user_id) is not None
    ]


def _versions(heard: Iterable[Heard[AssignmentRequested]]) -> dict[UUID, int | None]:
    """Return the people asked for, with the newest version of each that an asker knew."""
    versions: dict[UUID, int | None] = {}
    for each in heard:
        for target in each.event.targets:
            if target.user_id is not None:
                known = versions.get(target.user_id) or 0
                versions[target.user_id] = max(known, target.person_version or 0) or None
    return versions


_WANTED = ("priority", "no_wait", "library_id", "expires_at")


def _wanted(asked: Ask | License) -> dict[str, Any]:
    """Return how a licence is wanted: a stronger or longer cover changes it."""
    return {name: getattr(asked, name) for name in _WANTED}


def _asked(life: License, ask: Ask, **changed: Any) -> License:
    """Return a life as it was asked about last."""
    return life._replace(
        version=ask.version, correlation_id=ask.correlation_id, causation_id=ask.causation_id, **changed
    )


def _alike(asks: Iterable[Ask]) -> Iterable[tuple[tuple[UUID, str | None, type[Holder]], list[Ask]]]:
    """Group asks by their asset, by the library that they insist on, and by the kind of holder."""
    groups: dict[tuple[UUID, str | None, type[Holder]], list[Ask]] = {}
    for wanted, run in groupby(asks, key=lambda ask: (ask.asset_id, ask.library_id, type(ask.holder))):
        groups.setdefault(wanted, []).extend(run)
    return groups.items()


def _unreadable(heard: Heard[AssignmentRequested] | Heard[AssignmentRevoked]) -> list[Outgoing]:
    """Refuse the targets that cannot be read: each alone, the others go on (promise 7)."""
    targets = [
        RefusedTarget(entitlement_id=each.entitlement_id, refusal=Refusal.UNREADABLE_TARGET)
        for each in heard.unreadable
        if each.entitlement_id is not None
    ]
    if not targets:
        return []
    event = LicenseRefused(asset_id=heard.event.asset_id, targets=tuple(targets))
    return [Outgoing(event, heard.envelope.correlation_id, heard.envelope.event_id)]
