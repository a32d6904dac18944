"""From assignments and devices to lives and covers, and what changed (pure): who gains, who keeps, who loses.

All standing covers of one asset on one device point to one life, the latest. Whoever calls holds the lock of
every device concerned, under which alone covers and lives change.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from assignment.model import AWAITING_LICENSE, LIVING, Assignment, Cover, Device, Entitlement, State, Wish
from shared.events.words import AssignmentMode, InstallMode, Refusal

Place = tuple[UUID, UUID]
"""An asset on a device, by their ids."""

Judge = Callable[[UUID, Wish, Device], Refusal | None]
"""Says whether a device may get an asset as wished."""

Counts = Counter[tuple[UUID, State]]
"""How many more (or fewer) entitlements of an assignment stand in a state."""


@dataclass(slots=True)
class Outcome:
    """What one assignment came to on its devices, for the answer to whoever asked."""

    requested: int = 0
    covered: int = 0
    refused: list[tuple[Device, Refusal]] = field(default_factory=list)


@dataclass(slots=True)
class Opening:
    """What is to be written when assignments reach devices.

    `opened` are new lives; `rewished` pairs a life as it was with the same life under what all its covers now
    want together; `covers` are (assignment, device, asset, entitlement) ids to be put, new or moved.
    """

    opened: list[Entitlement] = field(default_factory=list)
    rewished: list[tuple[Entitlement, Entitlement]] = field(default_factory=list)
    covers: list[tuple[UUID, UUID, UUID, UUID]] = field(default_factory=list)
    counts: Counts = field(default_factory=Counter)
    outcomes: dict[UUID, Outcome] = field(default_factory=dict)


@dataclass(slots=True)
class Ending:
    """What is to be written when covers end: (assignment, device) ids of those that go and those that stay to see.

    A cover whose end takes the licence back stays, ended, so that its assignment shows how the revoke goes.
    """

    uncovered: list[Entitlement] = field(default_factory=list)
    rewished: list[tuple[Entitlement, Entitlement]] = field(default_factory=list)
    dropped: list[tuple[UUID, UUID]] = field(default_factory=list)
    ended: list[tuple[UUID, UUID]] = field(default_factory=list)
    counts: Counts = field(default_factory=Counter)


def combine(wishes: Sequence[Wish]) -> Wish:
    """Return what several covers want together: the most urgent, the longest, the least demanding.

    Where libraries contradict each other the oldest cover's stands (wishes come oldest first).
    """
    if len(wishes) == 1:
        return wishes[0]
    expiries = [wish.expires_at for wish in wishes]
    libraries = [wish.library_id for wish in wishes]
    device = any(wish.assignment_mode is AssignmentMode.DEVICE for wish in wishes)
    automatic = any(wish.install_mode is InstallMode.AUTOMATIC for wish in wishes)
    return Wish(
        assignment_mode=AssignmentMode.DEVICE if device else AssignmentMode.APPLE_ID,
        install_mode=InstallMode.AUTOMATIC if automatic else InstallMode.MANUAL,
        priority=max(wish.priority for wish in wishes),
        expires_at=None if None in expiries else max(at for at in expiries if at is not None),
        no_wait=all(wish.no_wait for wish in wishes),
        library_id=None if None in libraries else libraries[0],
    )


@dataclass(frozen=True, slots=True)
class Ground:
    """What stands before: devices by id, covers on them (ended ones of the added assignments too), and their lives.

    Every living entitlement has a cover that points to it, so `lives` holds all that matters, by id. What is asked
    for now is asked for again at `ask_again_at`.
    """

    devices: Mapping[UUID, Device]
    covers: Sequence[Cover]
    lives: Mapping[UUID, Entitlement]
    ask_again_at: datetime


def open_lives(
    reached: Iterable[tuple[Assignment, Sequence[Device]]], ground: Ground, judge: Judge, ids: Iterator[UUID]
) -> Opening:
    """Return what is to be written so that every assignment covers its devices, each by one living entitlement.

    Covers that stood there on an ended life move to the new one. A refused device gets an entitlement in state
    refused, so that whoever asks why finds the answer there.
    """
    opening = Opening()
    covers = _by_place(ground.covers)
    added: defaultdict[Place, list[Assignment]] = defaultdict(list)
    for assignment, devices in reached:
        opening.outcomes[assignment.id] = Outcome()
        for device in devices:
            added[assignment.asset_id, device.id].append(assignment)
    for place, assignments in added.items():
        here = _Place(ground, place, covers.get(place, ()), assignments)
        life = here.living()
        if life is None:
            _open(opening, here, judge, ids)
        else:
            _cover(opening, here, life)
    return opening


def reopen_lives(ground: Ground, judge: Judge, ids: Iterator[UUID]) -> Opening:
    """Return what is to be written so that the standing covers in the ground, whose life has ended, get a new one."""
    opening = Opening()
    for place, covers in _by_place(ground.covers).items():
        here = _Place(ground, place, covers, ())
        if here.living() is None:
            _open(opening, here, judge, ids)
    return opening


def end_covers(
    ending: Iterable[Cover], lives: Mapping[UUID, Entitlement], remaining: Mapping[UUID, Sequence[Wish]]
) -> Ending:
    """Return what is to be written when these covers end; `remaining` are the wishes of the covers that stay.

    Covers of one life end one by one in any order: the life is uncovered once none remains.
    """
    result = Ending()
    seen: set[UUID] = set()
    for cover in ending:
        life = lives[cover.entitlement_id]
        kept_by_others = bool(remaining.get(life.id))
        row = (cover.assignment_id, cover.device_id)
        if kept_by_others or not _follows_revoke(life.state):
            result.dropped.append(row)
            result.counts[cover.assignment_id, life.state] -= 1
        else:
            result.ended.append(row)
        if life.id in seen:
            continue
        seen.add(life.id)
        if not kept_by_others:
            result.uncovered.append(life)
        elif (changed := _rewished(life, combine(remaining[life.id]))) is not None:
            result.rewished.append((life, changed))
    return result


def asks_license_again(before: Entitlement, after: Entitlement) -> bool:
    """Say whether licensing has to be told of a changed wish: only while the licence is still awaited."""
    return after.version > before.version


@dataclass(frozen=True, slots=True)
class _Place:
    ground: Ground
    place: Place
    covers: Sequence[Cover]
    added: Sequence[Assignment]

    @property
    def device(self) -> Device:
        """Return the device of this place."""
        return self.ground.devices[self.place[1]]

    def life(self, cover: Cover) -> Entitlement:
        """Return the life that a cover points to."""
        return self.ground.lives[cover.entitlement_id]

    def living(self) -> Entitlement | None:
        """Return the one living entitlement of this place, if there is one."""
        lives = [self.life(cover) for cover in self.standing()]
        return next((life for life in lives if life.state in LIVING), None)

    def standing(self) -> list[Cover]:
        """Return the covers that have not ended."""
        return [cover for cover in self.covers if not cover.ended]

    def wish(self) -> Wish:
        """Return what all covers here want together, oldest first."""
        if not self.covers and len(self.added) == 1:
            return self.added[0].wish
        wishes = {cover.assignment_id: cover.wish for cover in self.standing()}
        wishes |= {assignment.id: assignment.wish for assignment in self.added}
        return combine([wishes[key] for key in sorted(wishes)])

    def put(self, opening: Opening, life: Entitlement) -> None:
        """Point all covers here to a life, and count it in their assignments instead of what they pointed to."""
        former = {cover.assignment_id: cover for cover in self.covers}
        assignment_ids = {assignment.id for assignment in self.added}
        assignment_ids |= {cover.assignment_id for cover in self.standing()}
        for assignment_id in assignment_ids:
            cover = former.get(assignment_id)
            if cover is not None:
                if cover.entitlement_id == life.id:
                    continue
                opening.counts[assignment_id, self.life(cover).state] -= 1
            opening.counts[assignment_id, life.state] += 1
            opening.covers.append((assignment_id, life.device_id, life.asset_id, life.id))


def _open(opening: Opening, here: _Place, judge: Judge, ids: Iterator[UUID]) -> None:
    wish = here.wish()
    asset_id, device = here.place[0], here.device
    refusal = judge(asset_id, wish, device)
    former = [here.life(cover) for cover in here.standing()]
    if refusal is not None and not here.added and any(life.state is State.REFUSED for life in former):
        return  # refused before, refused again: nothing new to say
    life = Entitlement(
        id=next(ids),
        asset_id=asset_id,
        device_id=device.id,
        serial_number=device.serial_number or "",
        request_id=here.added[0].request_id if here.added else former[0].request_id,
        state=State.REQUESTED if refusal is None else State.REFUSED,
        wish=wish,
        losses=0 if here.added else _losses(former),
        cause=refusal,
        ask_deadline_at=here.ground.ask_again_at if refusal is None else None,
    )
    opening.opened.append(life)
    here.put(opening, life)
    for assignment in here.added:
        outcome = opening.outcomes[assignment.id]
        if refusal is None:
            outcome.requested += 1
        else:
            outcome.refused.append((device, refusal))


def _cover(opening: Opening, here: _Place, life: Entitlement) -> None:
    here.put(opening, life)
    for assignment in here.added:
        opening.outcomes[assignment.id].covered += 1
    if (changed := _rewished(life, here.wish())) is not None:
        opening.rewished.append((life, changed))


def _rewished(life: Entitlement, wish: Wish) -> Entitlement | None:
    """Return the life under another wish, None where it is the same; its version rises where licensing is told."""
    if wish == life.wish:
        return None
    told = life.state in AWAITING_LICENSE
    return replace(life, wish=wish, version=life.version + 1 if told else life.version)


def _losses(former: Sequence[Entitlement]) -> int:
    """Return how many lives in a row were lost before the new one; anything else than a loss ends the row."""
    return max((life.losses + 1 for life in former if life.state is State.LOST), default=0)


def _follows_revoke(state: State) -> bool:
    return state not in {State.REFUSED, State.FAILED, State.LOST}


def _by_place(covers: Sequence[Cover]) -> dict[Place, list[Cover]]:
    places: defaultdict[Place, list[Cover]] = defaultdict(list)
    for cover in covers:
        places[cover.asset_id, cover.device_id].append(cover)
    return places
