"""The rules of the ledger: the state table, who is granted, and what Apple's word means."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licensing.decide import (
    IGNORED,
    TABLE,
    Verdict,
    after_refusal,
    in_order,
    move,
    over_allocated,
    overflow,
    refusal_for,
    refusal_of,
    settled_by_list,
    verdicts,
)
from licensing.model import (
    HOLDING,
    Answer,
    Ask,
    Fault,
    Happening,
    Holder,
    IntentKind,
    License,
    Listing,
    Pool,
    State,
)
from licensing.model.errors import RULES
from shared import ids
from shared.events.words import Held, Refusal

README = Path(__file__).parents[2] / "services" / "licensing" / "README.md"


def pool(capacity: int | None = 10, *, held: int = 0, waiting: int = 0, **said: Any) -> Pool:
    fields = {
        "library_id": "lib",
        "adam_id": "1",
        "pricing_param": "STDQ",
        "device_assignable": True,
        "revocable": True,
        "suspended": False,
        "arrival": 0,
        **said,
    }
    return Pool(ids.new_id(), ids.new_id(), capacity=capacity, held=held, waiting=waiting, **fields)


def asks(count: int, *, no_wait: bool = False) -> list[Ask]:
    return [
        Ask(ids.new_id(), 1, f"S{number}", ids.new_id(), ids.new_id(), ids.new_id(), no_wait=no_wait)
        for number in range(count)
    ]


def license_(holder: Holder) -> License:
    return License(
        entitlement_id=ids.new_id(),
        pool_id=ids.new_id(),
        asset_id=ids.new_id(),
        holder=holder,
        version=1,
        state=State.ASSOCIATING,
        correlation_id=ids.new_id(),
        priority=0,
        arrival=1,
        no_wait=False,
        library_id=None,
        expires_at=None,
        release_at=None,
        intent_id=ids.new_id(),
        held=None,
        cause=None,
        error_number=None,
    )


def test_every_cell_of_the_readmes_table_is_what_the_code_does() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.+?) \| (.+?) \|$", README.read_text(), re.MULTILINE)
    said = {(State(state), Happening(happening)): (to, told) for state, happening, to, told in rows}
    assert said.keys() == {(state, happening) for state in State for happening in Happening}
    for (state, happening), (to, told) in said.items():
        step = move(state, happening)
        assert to == ("ignored" if step is IGNORED else f"`{step.to or state}`")
        assert told == _told_in_words(step.answer, step.held, step.heir)


_WORDS = {
    Answer.AWAITING: "LicenseReserved, awaits: acceptance",
    Answer.LOST: "LicenseReleased, asked: false",
}


def _told_in_words(answer: Answer, held: Held | None, heir: State | None) -> str:
    words = [] if answer is Answer.NOTHING else [_WORDS.get(answer, f"License{answer.value.capitalize()}")]
    if held is not None:
        words.append(f"held: {held}")
    if heir is not None:
        words.append(f"heir: `{heir}`")
    return ", ".join(words) or "-"


@given(st.lists(st.sampled_from(list(Happening))))
def test_no_order_of_happenings_brings_a_life_back(happenings: list[Happening]) -> None:
    state = State.UNKNOWN
    for happening in happenings:
        after = move(state, happening).to or state
        if state is State.RELEASED:
            assert after is State.RELEASED
        if state in {State.REFUSED, State.FAILED, State.LOST}:
            assert after in {state, State.RELEASED}
        if state is State.SPENT:
            assert after is State.SPENT
        state = after


@given(st.lists(st.sampled_from(list(Happening))))
def test_promise_06_a_unit_that_apple_may_have_leaves_only_by_apples_word(
    happenings: list[Happening],
) -> None:
    apples_word = {
        Happening.DONE,
        Happening.NOT_DONE,
        Happening.NONE_LEFT,
        Happening.APPLE_REFUSED,
        Happening.DENIED,  # none left, for one who would not wait
        Happening.PROMISED,  # Apple does not know the person
        Happening.LOST,
        Happening.SPENT,
    }
    state = State.UNKNOWN
    for happening in happenings:
        step = move(state, happening)
        after = step.to or state
        freed = state in HOLDING and after not in HOLDING and step.heir is None
        if freed and state not in {State.RESERVED, State.AWAITING_ACCEPTANCE}:
            assert happening in apples_word
        if state is State.DISASSOCIATING and freed:
            assert happening is Happening.DONE
        state = after


@given(st.lists(st.sampled_from(list(Happening))))
def test_promise_07_an_irrevocable_licence_never_goes_once_apple_may_have_it(
    happenings: list[Happening],
) -> None:
    state = State.ASSIGNED
    for happening in happenings:
        if happening not in {Happening.REVOKED, Happening.SUCCEEDED, Happening.LOST, Happening.SPENT}:
            state = move(state, happening).to or state
    assert state is State.ASSIGNED


@pytest.mark.parametrize("state", list(State))
def test_a_repeated_ask_changes_no_state(state: State) -> None:
    assert move(state, Happening.REQUESTED).to is None


@pytest.mark.parametrize("state", list(State))
def test_an_heir_takes_exactly_the_unit_of_the_life_it_succeeds(state: State) -> None:
    step = move(state, Happening.SUCCEEDED)
    assert (step.heir in HOLDING) == (state in HOLDING)
    assert TABLE[state] is not None


@given(
    rooms=st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=3),
    count=st.integers(0, 40),
)
def test_promise_01_nothing_is_granted_beyond_the_room_and_none_is_left_beside_who_finds_nothing(
    rooms: list[int | None], count: int
) -> None:
    wanted = asks(count)
    placed = overflow(wanted, [(pool(), room) for room in rooms])
    granted = [ask for _, group in placed for ask in group]
    assert granted == wanted[: len(granted)]
    assert len(granted) == (count if None in rooms else min(count, sum(room or 0 for room in rooms)))


def test_scenario_16_the_second_library_serves_what_the_first_has_no_room_for() -> None:
    first, second = pool(), pool()
    wanted = asks(5)
    assert overflow(wanted, [(first, 3), (second, 10)]) == [(first, wanted[:3]), (second, wanted[3:])]


def test_pools_are_asked_in_the_order_of_preference_unless_the_library_is_named() -> None:
    third, second, first = (
        pool(library_id="a", rank=(True, 2)),
        pool(library_id="b", rank=(True, 1)),
        pool(library_id="c", rank=(False, 9)),  # the asset's default library
    )
    stopped = pool(library_id="d", rank=(False, 0), suspended=True)
    assert in_order([third, stopped, second, first], None) == [first, second, third, stopped]
    assert in_order([third, second, first], "b") == [second]
    assert in_order([third, second, first], "another") == []


def test_a_book_is_not_for_devices_and_no_pool_is_no_pool() -> None:
    assert refusal_of([], of_people=False) is Refusal.NO_POOL
    book = [pool(device_assignable=False)]
    assert refusal_of(book, of_people=False) is Refusal.NOT_DEVICE_ASSIGNABLE
    assert refusal_of(book, of_people=True) is None
    assert refusal_of([pool(0)], of_people=False) is None


def test_over_allocated_is_what_is_held_beyond_the_capacity() -> None:
    assert (over_allocated(30, 40), over_allocated(30, 20), over_allocated(None, 20)) == (10, 0, 0)


@pytest.mark.parametrize("kind", list(IntentKind))
@given(present=st.sets(st.sampled_from("ABCDEF")), exact=st.booleans())
def test_absence_from_an_inexact_list_proves_nothing(
    *, kind: IntentKind, present: set[str], exact: bool
) -> None:
    members = [license_(serial) for serial in "ABCDEF"]
    judged = verdicts(kind, members, Listing(frozenset(present), exact), [])
    done = {each.holder for each in judged.get(Verdict(Happening.DONE), ())}
    not_done = {each.holder for each in judged.get(Verdict(Happening.NOT_DONE), ())}
    absent = set("ABCDEF") - present if exact else set()
    if kind is IntentKind.ASSOCIATE:
        assert (done, not_done) == (present, absent)
    else:
        assert (done, not_done) == (absent, present)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (9709, Verdict(Happening.NONE_LEFT)),
        (9603, Verdict(Happening.NOT_DONE)),
        (9644, Verdict(Happening.NOT_DONE)),
        (9999, Verdict(Happening.APPLE_REFUSED, 9999)),
        (9628, Verdict(Happening.APPLE_REFUSED, 9628)),
    ],
)
def test_a_failures_number_says_why_a_member_is_missing(number: int, expected: Verdict) -> None:
    members = [license_("A"), license_("B")]
    listing = Listing(frozenset({"A"}), exact=True)
    unnamed = verdicts(IntentKind.ASSOCIATE, members, listing, [Fault(number)])
    assert unnamed == {Verdict(Happening.DONE): members[:1], expected: members[1:]}
    named = [Fault(9709), Fault(number, frozenset({"B"}))]
    assert verdicts(IntentKind.ASSOCIATE, members, listing, named) == unnamed


@pytest.mark.parametrize("holder", ["S", ids.new_id()], ids=["device", "person"])
@pytest.mark.parametrize("number", [None, 9999, *RULES])
def test_whatever_apple_says_of_a_member_moves_it(number: int | None, holder: Holder) -> None:
    """Whom the end of a request does not move would stay in it for ever, with the licence it holds."""
    sent = {
        IntentKind.ASSOCIATE: (State.ASSOCIATING, State.WITHDRAWING),
        IntentKind.DISASSOCIATE: (State.DISASSOCIATING,),
    }
    faults = [] if number is None else [Fault(number)]
    [member] = members = [license_(holder)]
    for kind, states in sent.items():
        listings = [
            Listing(present, exact=True) for present in (frozenset[Holder](), frozenset({member.holder}))
        ]
        judged = [verdicts(kind, members, listing, faults) for listing in listings]
        judged += [
            after_refusal(members, fault).judged for fault in faults if not settled_by_list(kind, fault)
        ]
        for happening in {verdict.happening for each in judged for verdict in each}:
            assert all(move(state, happening) is not IGNORED for state in states), (kind, happening)


def test_two_numbers_that_name_nobody_explain_nothing() -> None:
    (member,) = members = [license_("A")]
    failures = [Fault(9709), Fault(9999)]
    judged = verdicts(IntentKind.ASSOCIATE, members, Listing(frozenset(), exact=True), failures)
    assert judged == {Verdict(Happening.NOT_DONE): [member]}


def test_none_left_means_nothing_for_a_release() -> None:
    members = [license_("A")]
    listing = Listing(frozenset({"A"}), exact=True)
    judged = verdicts(IntentKind.DISASSOCIATE, members, listing, [Fault(9709)])
    assert judged == {Verdict(Happening.NOT_DONE): members}


@given(st.integers(1, 40), st.sets(st.integers(0, 39)), st.sampled_from([9602, 9702, 9705, 9706, 9707]))
def test_a_refused_request_loses_nobody(count: int, named: set[int], number: int) -> None:
    members = [license_(f"S{place}") for place in range(count)]
    failure = Fault(number, frozenset(f"S{place}" for place in named))
    repair = after_refusal(members, failure)
    seen = [*(each for group in repair.judged.values() for each in group)]
    seen += [each for part in repair.parts for each in part]
    assert sorted(seen, key=lambda each: each.holder) == sorted(members, key=lambda each: each.holder)
    assert all(part for part in repair.parts)


def test_a_culprit_that_nobody_names_is_found_by_halves() -> None:
    members = [license_(f"S{place}") for place in range(5)]
    repair = after_refusal(members, Fault(9602))
    assert repair.judged == {}
    assert repair.parts == [members[:3], members[3:]]


@pytest.mark.parametrize(
    ("number", "refusal"),
    [
        (9706, Refusal.IRREVOCABLE),
        (9607, Refusal.IRREVOCABLE),
        (9707, Refusal.NOT_DEVICE_ASSIGNABLE),
        (9628, Refusal.NOT_DEVICE_ASSIGNABLE),
        (9602, Refusal.APPLE_REFUSED),
        (None, Refusal.APPLE_REFUSED),
    ],
)
def test_apples_numbers_have_slugs(number: int | None, refusal: Refusal) -> None:
    assert refusal_for(number) is refusal
