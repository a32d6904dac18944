"""The rules of Apple users, alone: whatever is shown, refused and wished in whatever order."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licensing.decide.apple_users import (
    Follows,
    Judged,
    Tells,
    ended,
    halves,
    number_of,
    rebound,
    relabeled,
    seen,
    settled,
    unwished,
    wished,
)
from licensing.model import AppleFailure
from licensing.model.people import AppleUser, Sight, UserState, UserWrite, Written
from shared.events.words import Refusal

ZOE, REQUEST, WRITE, PART, OTHER = (UUID(int=number) for number in range(1, 6))
NEW = AppleUser("lib", ZOE, str(ZOE), REQUEST)
REGISTERED = Sight(UserState.REGISTERED, b"code")
ASSOCIATED = Sight(UserState.ASSOCIATED)
RETIRED = Sight(UserState.RETIRED)
SIGHTS = (Sight(), REGISTERED, Sight(UserState.REGISTERED, b"other"), ASSOCIATED, RETIRED)
NUMBERS = (None, 9603, 9609, 9635, 9641, 9642, 9716, 9717, 9999)


def sent(user: AppleUser) -> AppleUser:
    """Return it as part of a request, if it wants something."""
    return replace(user, write_id=WRITE) if user.wants is not None else user


def made(sight: Sight = REGISTERED) -> AppleUser:
    return seen(sent(wished(NEW, REQUEST)), sight, needed=False).user


def after(user: AppleUser, sight: Sight, number: int | None) -> Judged:
    assert user.wants is not None
    judged = seen(sent(user), sight, needed=False)
    return settled(judged, Written(user.wants, number), part_id=PART)


def test_a_wish_makes_one_and_its_record_invites() -> None:
    user = wished(NEW, REQUEST)
    assert user.wants is UserWrite.CREATE
    judged = seen(sent(user), REGISTERED, needed=True)
    assert (judged.user.state, judged.user.invite_due) == (UserState.REGISTERED, True)
    assert (judged.user.wants, judged.user.write_id) == (None, None)


def test_joining_is_told_once() -> None:
    judged = seen(made(), ASSOCIATED, needed=True)
    assert (judged.tells, judged.follows) == ((Tells.ASSOCIATED,), Follows.ACCEPTED)
    assert seen(judged.user, ASSOCIATED, needed=True) == Judged(judged.user)


def test_a_new_code_invites_anew_and_the_same_code_does_not() -> None:
    told = replace(
        made(), invite_due=False, invited_hash=b"code", invited_at=datetime(2026, 11, 22, tzinfo=UTC)
    )
    assert not seen(told, REGISTERED, needed=True).user.invite_due
    assert seen(told, Sight(UserState.REGISTERED, b"other"), needed=True).user.invite_due
    over = ended(told)
    assert not seen(over, REGISTERED, needed=True).user.invite_due
    assert wished(over, REQUEST).invite_due


def test_an_invitation_that_ended_is_not_asked_for_again_by_itself() -> None:
    asked = replace(
        made(), invite_due=True, invited_hash=b"code", invited_at=datetime(2026, 11, 22, tzinfo=UTC)
    )
    assert not ended(asked).invite_due


def test_who_joins_while_they_are_bound_anew_is_given_nothing() -> None:
    judged = seen(rebound(made(), REQUEST), ASSOCIATED, needed=True)
    assert (judged.user.state, judged.user.wants) == (UserState.ASSOCIATED, UserWrite.RETIRE)
    assert (judged.tells, judged.follows) == ((Tells.ASSOCIATED,), Follows.NOTHING)


def test_a_registered_one_in_the_place_of_an_associated_one_has_lost_it() -> None:
    judged = seen(made(ASSOCIATED), REGISTERED, needed=False)
    assert (judged.tells, judged.follows) == ((Tells.RETIRED,), Follows.LOST)
    assert judged.user.invite_due


@pytest.mark.parametrize("number", [9635, 9642])
def test_an_account_that_cannot_be_tied_is_left_out_and_they_are_invited(number: int) -> None:
    judged = after(wished(NEW, REQUEST), Sight(), number)
    assert (judged.user.wants, judged.user.without_managed) == (UserWrite.CREATE, True)
    assert not judged.delayed
    again = after(judged.user, Sight(), number)
    assert (again.user.state, again.refusal) == (UserState.FAILED, Refusal.APPLE_REFUSED)


def test_an_account_of_somebody_else_fails_who_is_new() -> None:
    judged = after(wished(NEW, REQUEST), Sight(), 9641)
    assert (judged.user.state, judged.follows) == (UserState.FAILED, Follows.REFUSED)
    assert judged.refusal is Refusal.ACCOUNT_IN_USE
    assert wished(judged.user, REQUEST).wants is UserWrite.CREATE


def test_an_account_of_somebody_else_leaves_a_registered_one_uninvited() -> None:
    judged = after(relabeled(made()), REGISTERED, 9641)
    assert (judged.user.state, judged.follows) == (UserState.REGISTERED, Follows.REFUSED)
    assert not judged.user.invite_due


def test_what_the_list_shows_is_done_whatever_was_said() -> None:
    judged = after(wished(NEW, REQUEST), REGISTERED, 9716)
    assert (judged.user.state, judged.user.wants) == (UserState.REGISTERED, None)
    judged = after(unwished(made(ASSOCIATED)), RETIRED, 9609)
    assert (judged.user.state, judged.user.wants) == (UserState.RETIRED, None)


def test_what_was_not_done_is_repeated_as_a_part_of_its_own() -> None:
    judged = after(wished(NEW, REQUEST), Sight(), None)
    assert judged.delayed
    assert (judged.user.wants, judged.user.part_id, judged.user.attempt) == (UserWrite.CREATE, PART, 1)


def test_an_update_that_was_not_refused_is_done() -> None:
    judged = after(relabeled(made(ASSOCIATED)), ASSOCIATED, None)
    assert judged.user.wants is None


def test_a_rebound_one_is_made_anew_once_it_is_retired() -> None:
    user = rebound(made(ASSOCIATED), REQUEST)
    assert user.wants is UserWrite.RETIRE
    judged = after(user, RETIRED, None)
    assert (judged.user.state, judged.user.wants) == (UserState.RETIRED, UserWrite.CREATE)
    assert judged.tells == (Tells.RETIRED,)


def test_a_wish_that_meets_a_retirement_is_kept() -> None:
    assert wished(unwished(made()), REQUEST).again


def test_a_wish_that_meets_an_update_waits_for_its_end() -> None:
    busy = sent(relabeled(made(ASSOCIATED)))
    user = rebound(busy, REQUEST)
    assert (user.wants, user.write_id) == (UserWrite.RETIRE, WRITE)
    judged = settled(Judged(user), Written(UserWrite.UPDATE, None), part_id=PART)
    assert (judged.user.wants, judged.user.write_id) == (UserWrite.RETIRE, None)


def test_who_is_named_has_that_number_and_the_others_the_one_that_names_nobody() -> None:
    named = AppleFailure(9641, client_user_ids=frozenset({"a"}))
    assert number_of("a", [named]) == 9641
    assert number_of("b", [named]) is None
    assert number_of("b", [named, AppleFailure(9603)]) == 9603
    assert number_of("b", [AppleFailure(9603), AppleFailure(9644)]) is None


def test_halves_lose_nobody() -> None:
    members = [replace(sent(wished(NEW, REQUEST)), user_id=UUID(int=number)) for number in range(10, 17)]
    parts = halves(members, (PART, OTHER))
    assert [each.user_id for each in parts] == [each.user_id for each in members]
    assert [each.part_id for each in parts] == [PART] * 4 + [OTHER] * 3
    assert {each.write_id for each in parts} == {None}


STEPS = st.one_of(
    st.tuples(st.just("see"), st.sampled_from(SIGHTS), st.booleans()),
    st.tuples(st.just("settle"), st.sampled_from(SIGHTS), st.sampled_from(NUMBERS)),
    st.tuples(st.sampled_from(["wish", "unwish", "rebind", "relabel", "send", "end"])),
)


WISHES: dict[str, Callable[[AppleUser], AppleUser]] = {
    "wish": lambda user: wished(user, REQUEST),
    "unwish": lambda user: unwished(user) if user.active and user.wants is None else user,
    "rebind": lambda user: rebound(user, REQUEST),
    "relabel": relabeled,
    "send": sent,
    "end": ended,
}


@given(st.lists(STEPS, max_size=25))
def test_whatever_happens_in_whatever_order_it_stays_whole(steps: list[tuple[object, ...]]) -> None:
    user = NEW
    for step in steps:
        before = user
        judged = _after_step(user, step)
        user = judged.user
        assert user.write_id is None or user.wants is not None
        assert not user.invite_due or user.state is UserState.REGISTERED
        assert (Tells.ASSOCIATED in judged.tells) == (
            user.state is UserState.ASSOCIATED and before.state is not UserState.ASSOCIATED
        )
        assert judged.tells == () or before.state is not user.state
        assert user.client_user_id == before.client_user_id
        if step[0] == "see":
            sight = step[1]
            assert isinstance(sight, Sight)
            assert seen(user, sight, needed=False) == Judged(user), "the same sight twice says nothing new"


def _after_step(user: AppleUser, step: tuple[object, ...]) -> Judged:
    match step:
        case ("see", Sight() as sight, bool(needed)):
            return seen(user, sight, needed=needed)
        case ("settle", Sight() as sight, (int() | None) as number):
            judged = seen(user, sight, needed=False)
            return settled(judged, Written(user.wants or UserWrite.CREATE, number), part_id=PART)
        case _:
            return Judged(WISHES[str(step[0])](user))
