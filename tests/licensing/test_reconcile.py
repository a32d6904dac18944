"""Which differences there are, as a plain function: every class, and what proves nothing."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from licensing.model import HOLDING, STORED, Reading, State
from licensing.model.reconciling import DifferenceClass, RepairKind, Standing
from licensing.reconcile import REPAIRS, classify, counts_moved

STATES = [None, *(state for state in State if state not in STORED and state is not State.UNKNOWN)]
standings = st.builds(
    Standing,
    listed=st.booleans(),
    exact=st.booleans(),
    state=st.sampled_from(STATES),
    asked=st.booleans(),
    overdue=st.booleans(),
    moved=st.booleans(),
)
readings = st.builds(
    Reading,
    total=st.integers(0, 100),
    available=st.integers(0, 100),
    assigned=st.integers(0, 100),
    retired=st.integers(0, 10),
    unlimited=st.booleans(),
)


def test_what_apple_lists_and_nobody_here_asked_for_is_foreign() -> None:
    assert classify(Standing(listed=True, exact=True)) is DifferenceClass.FOREIGN


def test_what_was_given_back_with_proof_and_is_listed_all_the_same_is_our_fault() -> None:
    released = Standing(listed=True, exact=True, state=State.RELEASED, asked=True)
    assert classify(released) is DifferenceClass.OUR_FAULT
    assert classify(replace(released, asked=False)) is DifferenceClass.FOREIGN


def test_what_we_hold_and_apple_does_not_list_was_taken() -> None:
    assert classify(Standing(listed=False, exact=True, state=State.ASSIGNED)) is DifferenceClass.TAKEN


def test_absence_from_a_list_that_changed_while_it_was_read_proves_nothing() -> None:
    assert classify(Standing(listed=False, exact=False, state=State.ASSIGNED)) is None


def test_a_request_without_an_outcome_for_too_long_is_a_lost_message() -> None:
    for listed in (True, False):
        overdue = Standing(listed=listed, exact=False, state=State.RESERVED, overdue=True)
        assert classify(overdue) is DifferenceClass.LOST_MESSAGE


@given(standings)
def test_what_moved_while_it_was_read_is_no_difference(standing: Standing) -> None:
    assert classify(replace(standing, moved=True)) is None


@given(standings)
def test_a_licence_is_reclaimed_only_where_no_living_life_holds_it(standing: Standing) -> None:
    found = classify(standing)
    if found is not None and REPAIRS[found] is RepairKind.RECLAIM:
        assert standing.listed
        assert standing.state not in HOLDING | {State.SPENT}


@given(standings)
def test_a_life_is_ended_only_by_proven_absence(standing: Standing) -> None:
    if classify(standing) is DifferenceClass.TAKEN:
        assert standing == Standing(listed=False, exact=True, state=State.ASSIGNED, asked=standing.asked)


@given(standings)
def test_where_both_say_the_same_there_is_no_difference(standing: Standing) -> None:
    agreed = replace(standing, overdue=False, listed=standing.state is State.ASSIGNED)
    assert classify(agreed) is None


def test_every_class_has_a_repair() -> None:
    assert set(REPAIRS) == set(DifferenceClass)


@given(readings)
def test_equal_counts_did_not_move_whoever_holds_them(reading: Reading) -> None:
    assert not counts_moved(reading, replace(reading, assigned=reading.assigned + 1, available=0))


@given(readings, st.integers(1, 50))
def test_purchases_and_refunds_move_the_counts_of_what_is_limited(reading: Reading, many: int) -> None:
    bought = replace(reading, total=reading.total + many)
    assert counts_moved(reading, bought) is not reading.unlimited
    assert counts_moved(bought, reading) is not reading.unlimited


def test_an_asset_that_appears_or_disappears_moved() -> None:
    some, none = Reading(5, 5, 0, 0), Reading(0, 0, 0, 0)
    assert counts_moved(None, some)
    assert counts_moved(some, None)
    assert not counts_moved(none, None)
    assert not counts_moved(None, None)
