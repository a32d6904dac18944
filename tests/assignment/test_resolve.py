"""From groups to lives and covers: nobody is forgotten, nobody has two lives, and every cover counts once."""

from collections import Counter
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from assignment.model import LIVING, Assignment, Cover, Device, Entitlement, State, TargetType, Wish
from assignment.resolve import Ground, combine, end_covers, open_lives, reopen_lives
from shared.events.words import EnrollmentKind, InstallMode, Platform, Refusal, RevokeReason
from shared.ids import new_id

ASSET = new_id()
NOW = datetime(2026, 11, 22, tzinfo=UTC)
WISHES = st.builds(
    Wish,
    install_mode=st.sampled_from(InstallMode),
    priority=st.integers(-5, 5),
    expires_at=st.none() | st.datetimes(min_value=datetime(2026, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    no_wait=st.booleans(),
    library_id=st.sampled_from([None, "one", "two"]),
)


def device(*, old: bool = False) -> Device:
    """Return an enrolled iPad; an old one is refused by `judge`."""
    version = "8.4" if old else "17.4"
    return Device(new_id(), "C02X", Platform.IOS, version, EnrollmentKind.DEVICE, True, 1)


def judge(_: object, __: Wish, judged: Device) -> Refusal | None:
    """Refuse old systems."""
    return Refusal.OS_TOO_OLD if judged.os_version == "8.4" else None


def assignment(wish: Wish | None = None) -> Assignment:
    """Return an assignment of the asset to some group."""
    return Assignment(new_id(), new_id(), ASSET, TargetType.DEVICE_GROUP, new_id(), wish or Wish())


def life_on(device: Device, state: State, wish: Wish | None = None) -> Entitlement:
    """Return an entitlement of the asset on a device."""
    return Entitlement(new_id(), ASSET, device.id, "C02X", new_id(), state, wish or Wish())


def cover_of(one: Assignment, life: Entitlement, *, ended: bool = False) -> Cover:
    """Return the cover of an assignment on a life."""
    return Cover(one.id, ASSET, life.device_id, life.id, one.wish, ended)


def ground(lives: list[Entitlement], covers: list[Cover], *devices: Device) -> Ground:
    """Return what stands before."""
    return Ground({each.id: each for each in devices}, covers, {life.id: life for life in lives}, NOW)


@given(st.lists(WISHES, min_size=1, max_size=5))
def test_combined_wishes_want_the_most_of_each(wishes: list[Wish]) -> None:
    wish = combine(wishes)
    assert wish.priority == max(each.priority for each in wishes)
    automatic = any(each.install_mode is InstallMode.AUTOMATIC for each in wishes)
    assert (wish.install_mode is InstallMode.AUTOMATIC) == automatic
    assert (wish.expires_at is None) == any(each.expires_at is None for each in wishes)
    assert wish.no_wait == all(each.no_wait for each in wishes)


@given(
    st.lists(st.sampled_from([None, *State]), min_size=1, max_size=20),
    st.lists(st.booleans(), min_size=20, max_size=20),
)
def test_every_device_reached_has_one_latest_life_and_every_cover_counts_once(
    before: list[State | None], old: list[bool]
) -> None:
    former, added = assignment(), assignment()
    fleet = [device(old=is_old) for is_old, _ in zip(old, before, strict=False)]
    lives = [life_on(each, state) for each, state in zip(fleet, before, strict=True) if state is not None]
    covers = [cover_of(former, life) for life in lives]
    opening = open_lives([(added, fleet)], ground(lives, covers, *fleet), judge, iter(new_id, None))
    outcome = opening.outcomes[added.id]
    assert outcome.requested + outcome.covered + len(outcome.refused) == len(fleet)
    assert outcome.covered == sum(life.state in LIVING for life in lives)
    latest = {cover[1]: cover[3] for cover in opening.covers if cover[0] == added.id}
    assert latest.keys() == {each.id for each in fleet}
    moved = {cover[1]: cover[3] for cover in opening.covers if cover[0] == former.id}
    assert moved == {life.device_id: latest[life.device_id] for life in lives if life.state not in LIVING}
    counted = sum(count for (key, _), count in opening.counts.items() if key == added.id)
    assert counted == len(fleet)
    assert sum(count for (key, _), count in opening.counts.items() if key == former.id) == 0


def test_a_member_who_returns_is_counted_in_its_new_life_only() -> None:
    one, iPad = assignment(), device()  # noqa: N806 - Apple's own spelling
    revoking = life_on(iPad, State.REVOKING)
    covers = [cover_of(one, revoking, ended=True)]
    opening = open_lives([(one, [iPad])], ground([revoking], covers, iPad), judge, iter(new_id, None))
    (life,) = opening.opened
    assert life.state is State.REQUESTED
    assert opening.counts == Counter({(one.id, State.REQUESTED): 1, (one.id, State.REVOKING): -1})


def test_a_second_cover_changes_the_wish_and_raises_the_version_while_the_licence_is_awaited() -> None:
    one, urgent, tablet = assignment(), assignment(Wish(priority=9)), device()
    for state, version in ((State.WAITLISTED, 2), (State.INSTALLED, 1)):
        life = life_on(tablet, state)
        before = ground([life], [cover_of(one, life)], tablet)
        opening = open_lives([(urgent, [tablet])], before, judge, iter(new_id, None))
        ((_, changed),) = opening.rewished
        assert (changed.wish.priority, changed.version) == (9, version)


def test_a_refused_device_stays_refused_without_a_new_life_until_it_changes() -> None:
    one, tablet = assignment(), device(old=True)
    refused = life_on(tablet, State.REFUSED)
    before = ground([refused], [cover_of(one, refused)], tablet)
    assert not reopen_lives(before, judge, iter(new_id, None)).opened
    newer = device()
    refused = life_on(newer, State.REFUSED)
    before = ground([refused], [cover_of(one, refused)], newer)
    (life,) = reopen_lives(before, judge, iter(new_id, None)).opened
    assert (life.state, life.request_id) == (State.REQUESTED, refused.request_id)


def test_losses_are_counted_in_a_row_and_forgotten_with_a_new_wish() -> None:
    one, another, tablet = assignment(), assignment(), device()
    lost = life_on(tablet, State.LOST)
    before = ground([lost], [cover_of(one, lost)], tablet)
    (life,) = reopen_lives(before, judge, iter(new_id, None)).opened
    assert life.losses == 1
    (life,) = open_lives([(another, [tablet])], before, judge, iter(new_id, None)).opened
    assert life.losses == 0


@given(st.sampled_from(State), st.booleans())
def test_an_end_gives_back_only_what_nobody_else_covers(state: State, covered_otherwise: bool) -> None:  # noqa: FBT001
    one, tablet = assignment(), device()
    life = life_on(tablet, state)
    remaining = {life.id: [Wish(priority=3)]} if covered_otherwise else {}
    ending = end_covers([cover_of(one, life)], {life.id: life}, remaining)
    assert [each.id for each in ending.uncovered] == ([] if covered_otherwise else [life.id])
    assert len(ending.dropped) + len(ending.ended) == 1
    if covered_otherwise:
        assert ending.dropped
        assert ending.rewished[0][1].wish.priority == 3
    assert sum(ending.counts.values()) == -len(ending.dropped)


def test_the_reason_of_a_revoke_is_one_of_the_list() -> None:
    assert {"left_group", "unenrolled", "wiped", "ended", "expired"} <= set(RevokeReason)
