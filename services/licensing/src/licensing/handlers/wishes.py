"""What licensing does when it hears of wishes: one function per event, one transaction, whole sets."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from uuid import UUID

from licensing.decide import choose, place, refusal_of
from licensing.ledger import Ledger
from licensing.model import Ask, Happening, License, Pool, State
from licensing.store import licenses
from licensing.store.licenses import Known
from shared import outbox
from shared.database import Transaction
from shared.events import Heard, Outgoing
from shared.events.assignment import AssignmentRequested, AssignmentRevoked
from shared.events.licensing import LicenseRefused, LicenseReleased, RefusedTarget, ReleasedTarget
from shared.events.words import AssetKind, Held, Refusal

_OURS = frozenset({AssetKind.VPP_APP, AssetKind.VPP_BOOK})


async def reserve(tx: Transaction, heard: Sequence[Heard[AssignmentRequested]]) -> None:
    """Hold a licence for each target, let it wait, or refuse it; repeat what a known life has become."""
    ours = [each for each in heard if each.event.kind in _OURS]
    asks = [ask for each in ours for ask in _asks(each)]
    if asks:
        ledger = await Ledger.of_assets(tx, {ask.asset_id for ask in asks})
        for part in rounds(asks):
            await _reserve(tx, ledger, part)
        await ledger.close()
    await outbox.append(tx, [event for each in ours for event in _not_served(each)])


async def release(tx: Transaction, heard: Sequence[Heard[AssignmentRevoked]]) -> None:
    """Give the licence of each target back, or begin to; what holds nothing is released with nothing."""
    ours = [each for each in heard if each.event.kind in _OURS]
    asks = [ask for each in ours for ask in _asks(each)]
    if asks:
        ledger = await Ledger.of_assets(tx, {ask.asset_id for ask in asks})
        for part in rounds(asks):
            await _release(tx, ledger, part)
        await ledger.close()
    await outbox.append(tx, [event for each in ours for event in _nothing_held(each)])


def rounds(asks: Sequence[Ask]) -> list[Sequence[Ask]]:
    """Split asks so that no round names an entitlement or a target twice; the order of each is kept."""
    distinct = {ask.entitlement_id for ask in asks}
    if len(distinct) == len(asks) == len({(ask.asset_id, ask.serial_number) for ask in asks}):
        return [asks]
    turn: dict[object, int] = {}
    split: list[list[Ask]] = []
    for ask in asks:
        names = (ask.entitlement_id, (ask.asset_id, ask.serial_number))
        mine = max(turn.get(name, 0) for name in names)
        turn.update(dict.fromkeys(names, mine + 1))
        if mine == len(split):
            split.append([])
        split[mine].append(ask)
    return list(split)


async def _reserve(tx: Transaction, ledger: Ledger, asks: Sequence[Ask]) -> None:
    known = await licenses.known(tx, asks, [pool.pool_id for pool in ledger.pools])
    ledger.busy(known.leaving)
    fresh = asks
    if known.lives:
        _repeat(ledger, known, [ask for ask in asks if ask.entitlement_id in known.lives])
        fresh = [ask for ask in asks if ask.entitlement_id not in known.lives]
    if known.in_the_way:
        fresh = _succeed(ledger, known, fresh)
    for (asset_id, library_id), group in _by_asset(fresh):
        pool = choose([pool for pool in ledger.pools if pool.asset_id == asset_id], library_id)
        await _place(ledger, pool, group)
    await ledger.flush()


async def _place(ledger: Ledger, pool: Pool | None, asks: Sequence[Ask]) -> None:
    """Grant, queue or refuse new lives."""
    refusal = refusal_of(pool)
    if pool is None or refusal is not None:
        ledger.add(pool, Happening.DENIED, asks, refusal=refusal)
        return
    if pool.suspended:
        unwilling = [ask for ask in asks if ask.no_wait]
        ledger.add(pool, Happening.DENIED, unwilling, refusal=Refusal.LIBRARY_SUSPENDED)
        asks = [ask for ask in asks if not ask.no_wait]
    placement = place(pool, await ledger.adopt(pool, asks))
    ledger.add(pool, Happening.GRANTED, placement.granted)
    ledger.add(pool, Happening.WAITED, placement.waiting)
    ledger.add(pool, Happening.DENIED, placement.denied, refusal=Refusal.NO_LICENCE_LEFT)


def _repeat(ledger: Ledger, known: Known, asks: Sequence[Ask]) -> None:
    """Answer asks about lives we know: lower versions are ignored, higher ones may change their place."""
    current, changed, unwilling = [], [], []
    for ask in asks:
        life = known.lives[ask.entitlement_id]
        if ask.version < life.version:
            continue
        asked = replace(_asked(life, ask), priority=ask.priority, no_wait=ask.no_wait)
        if asked.state is State.WAITLISTED and ask.no_wait:
            unwilling.append(asked)
            continue
        current.append(asked)
        if (ask.version, ask.priority, ask.no_wait) != (life.version, life.priority, life.no_wait):
            changed.append(asked)
    ledger.note(changed)
    ledger.move(Happening.REQUESTED, current)
    ledger.move(Happening.DENIED, unwilling, refusal=Refusal.NO_LICENCE_LEFT)


def _succeed(ledger: Ledger, known: Known, asks: Sequence[Ask]) -> list[Ask]:
    """Let new lives take what former ones of their targets still hold; return who must ask the pool."""
    left: list[Ask] = []
    pairs: list[tuple[License, Ask]] = []
    for ask in asks:
        former = known.in_the_way.get((ask.asset_id, ask.serial_number))
        if former is None:
            left.append(ask)
        else:
            pairs.append((former, ask))
    return left + ledger.succeed(pairs)


async def _release(tx: Transaction, ledger: Ledger, asks: Sequence[Ask]) -> None:
    known = await licenses.known(tx, asks, [pool.pool_id for pool in ledger.pools])
    revocable = {pool.pool_id: pool.revocable for pool in ledger.pools}
    returning: list[License] = []
    kept: list[License] = []
    for ask in asks:
        life = known.lives.get(ask.entitlement_id)
        if life is not None and ask.version >= life.version:
            irrevocable = life.pool_id is not None and not revocable[life.pool_id]
            (kept if irrevocable else returning).append(_asked(life, ask))
    ledger.move(Happening.REVOKED, returning)
    ledger.move(Happening.REVOKED_IRREVOCABLE, kept, refusal=Refusal.IRREVOCABLE)
    ledger.add(None, Happening.REVOKED, [ask for ask in asks if ask.entitlement_id not in known.lives])
    await ledger.flush()


def _asks(heard: Heard[AssignmentRequested] | Heard[AssignmentRevoked]) -> list[Ask]:
    event, envelope = heard.event, heard.envelope
    priority, no_wait, library_id = 0, False, None
    if isinstance(event, AssignmentRequested):
        priority, no_wait, library_id = event.priority, event.no_wait, event.library_id
    return [
        Ask(
            target.entitlement_id,
            target.version,
            target.serial_number,
            event.asset_id,
            envelope.correlation_id,
            envelope.event_id,
            priority,
            no_wait,
            library_id,
        )
        for target in event.targets
        if target.serial_number is not None
    ]


def _asked(life: License, ask: Ask) -> License:
    """Return a life as it was asked about last."""
    return replace(
        life,
        version=ask.version,
        correlation_id=ask.correlation_id,
        causation_id=ask.causation_id,
    )


def _by_asset(asks: Iterable[Ask]) -> Iterable[tuple[tuple[UUID, str | None], list[Ask]]]:
    """Group asks by their asset, and by the library that they insist on."""
    groups: dict[tuple[UUID, str | None], list[Ask]] = {}
    for wanted, run in groupby(asks, key=attrgetter("asset_id", "library_id")):
        groups.setdefault(wanted, []).extend(run)
    return groups.items()


def _not_served(heard: Heard[AssignmentRequested]) -> list[Outgoing]:
    """Refuse what cannot be carried: people, who need user licences, and targets that cannot be read."""
    people = [
        RefusedTarget(
            entitlement_id=target.entitlement_id,
            version=target.version,
            user_id=target.user_id,
            refusal=Refusal.NOT_OFFERED_YET,
        )
        for target in heard.event.targets
        if target.serial_number is None
    ]
    return _answer(heard, LicenseRefused, [*people, *_unreadable(heard)])


def _nothing_held(heard: Heard[AssignmentRevoked]) -> list[Outgoing]:
    """Answer the revokes of people, who hold nothing here, and of targets that cannot be read."""
    people = [
        ReleasedTarget(
            entitlement_id=target.entitlement_id,
            version=target.version,
            user_id=target.user_id,
            held=Held.NONE,
        )
        for target in heard.event.targets
        if target.serial_number is None
    ]
    return _answer(heard, LicenseReleased, people) + _answer(heard, LicenseRefused, _unreadable(heard))


def _unreadable(heard: Heard[AssignmentRequested] | Heard[AssignmentRevoked]) -> list[RefusedTarget]:
    return [
        RefusedTarget(entitlement_id=each.entitlement_id, refusal=Refusal.UNREADABLE_TARGET)
        for each in heard.unreadable
        if each.entitlement_id is not None
    ]


def _answer(
    heard: Heard[AssignmentRequested] | Heard[AssignmentRevoked],
    kind: type[LicenseRefused] | type[LicenseReleased],
    targets: Sequence[RefusedTarget] | Sequence[ReleasedTarget],
) -> list[Outgoing]:
    if not targets:
        return []
    event = kind.model_validate({"asset_id": heard.event.asset_id, "targets": targets})
    return [Outgoing(event, heard.envelope.correlation_id, heard.envelope.event_id)]
