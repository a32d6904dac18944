"""The rules by themselves: every state under every fact, and the same end whatever the order of the news."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invitation.decide import Standing, after_letter, moved, news, opens_anew, relinked, standing
from invitation.model import (
    NEVER_HEARD,
    OPEN,
    AppleUser,
    AppleUserKey,
    Cause,
    Invitation,
    Person,
    Refused,
    State,
    Taken,
)
from shared.events.invitation import (
    InvitationAccepted,
    InvitationBounced,
    InvitationCancelled,
    InvitationSent,
)
from shared.ids import new_id

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
USER = new_id()
KEY = AppleUserKey(USER, "library")
INVITATION = Invitation(
    id=new_id(),
    apple_user=KEY,
    version=5,
    person_version=7,
    sealed_link=b"sealed",
    asset_ids=(),
    correlation_id=new_id(),
    created_at=NOW,
    changed_at=NOW,
)
ZOE = Person(USER, version=7, mail_address="zoe@school.example")
UNKNOWN = Person(USER)
OLD = replace(ZOE, version=6)
LEFT = replace(ZOE, left=True)
MANAGED = replace(ZOE, managed=True)
ADDRESSLESS = replace(ZOE, mail_address=None)
ERASED = Person(USER, version=8, deleted=True)
ASSOCIATED = AppleUser(KEY, version=5, associated=True)
RETIRED = AppleUser(KEY, version=6, associated=False)
FORMER = AppleUser(KEY, version=4, associated=True)

HEARS_OF_THE_PERSON = Standing(State.WAITING, Cause.PERSON_NOT_HEARD_OF)
IS_ACCEPTED = Standing(State.ACCEPTED, Cause.APPLE_USER_ASSOCIATED)
IS_RETIRED = Standing(State.CANCELLED, Cause.APPLE_USER_RETIRED)
IS_ERASED = Standing(State.CANCELLED, Cause.PERSON_DELETED)
TABLE: dict[str, tuple[Person, AppleUser | None, Standing, Standing]] = {
    # what is known: (an unsent invitation stands, a sent one stands)
    "nobody": (UNKNOWN, None, HEARS_OF_THE_PERSON, Standing(State.SENT)),
    "an older person": (OLD, None, HEARS_OF_THE_PERSON, Standing(State.SENT)),
    "the person": (ZOE, None, Standing(State.SENDING), Standing(State.SENT)),
    "a person who left": (
        LEFT,
        None,
        Standing(State.CANCELLED, Cause.PERSON_LEFT),
        Standing(State.SENT),
    ),
    "a managed Apple ID": (
        MANAGED,
        None,
        Standing(State.CANCELLED, Cause.MANAGED_APPLE_ID),
        Standing(State.SENT),
    ),
    "no address": (
        ADDRESSLESS,
        None,
        Standing(State.BOUNCED, Cause.NO_USABLE_ADDRESS),
        Standing(State.SENT),
    ),
    "an erased person": (ERASED, None, IS_ERASED, IS_ERASED),
    "acceptance": (ZOE, ASSOCIATED, IS_ACCEPTED, IS_ACCEPTED),
    "acceptance, nobody": (
        UNKNOWN,
        ASSOCIATED,
        IS_ACCEPTED,
        IS_ACCEPTED,
    ),
    "retirement": (ZOE, RETIRED, IS_RETIRED, IS_RETIRED),
    "a former Apple user": (ZOE, FORMER, Standing(State.SENDING), Standing(State.SENT)),
}

PEOPLE = st.builds(
    Person,
    user_id=st.just(USER),
    version=st.integers(NEVER_HEARD, 12),
    deleted=st.booleans(),
    left=st.booleans(),
    managed=st.booleans(),
    mail_address=st.sampled_from([None, "zoe@school.example", "z@school.example"]),
)
APPLE_USERS = st.none() | st.builds(AppleUser, st.just(KEY), st.integers(0, 12), st.booleans())
INVITATIONS = st.builds(
    replace,
    st.just(INVITATION),
    version=st.integers(0, 12),
    person_version=st.integers(0, 12),
    state=st.sampled_from(OPEN),
)


@pytest.mark.parametrize("known", TABLE)
@pytest.mark.parametrize("state", State)
def test_every_state_under_every_fact_stands_where_the_table_says(known: str, state: State) -> None:
    person, apple_user, unsent, sent = TABLE[known]
    invitation = replace(INVITATION, state=state, cause=Cause.ADDRESS_REFUSED)
    expected = {
        State.WAITING: unsent,
        State.SENDING: unsent,
        State.SENT: sent,
    }.get(state, Standing(state, Cause.ADDRESS_REFUSED))
    assert standing(invitation, person, apple_user) == expected


@given(INVITATIONS, PEOPLE, APPLE_USERS)
def test_moving_twice_is_moving_once(
    invitation: Invitation, person: Person, apple_user: AppleUser | None
) -> None:
    once = moved(invitation, person, apple_user, NOW)
    later = NOW + timedelta(hours=1)
    again = moved(once, person, apple_user, later)
    assert again.state is once.state
    assert again.cause is once.cause


@given(INVITATIONS, PEOPLE, APPLE_USERS)
def test_a_link_is_kept_exactly_while_the_invitation_is_open(
    invitation: Invitation, person: Person, apple_user: AppleUser | None
) -> None:
    after = moved(invitation, person, apple_user, NOW)
    assert (after.sealed_link is not None) == after.is_open


@given(INVITATIONS, PEOPLE, APPLE_USERS)
def test_scenario_28_no_letter_is_due_once_apple_has_spoken(
    invitation: Invitation, person: Person, apple_user: AppleUser | None
) -> None:
    after = moved(invitation, person, apple_user, NOW)
    if apple_user is not None and apple_user.version >= invitation.version:
        assert after.state in {State.ACCEPTED, State.CANCELLED}


@given(INVITATIONS, PEOPLE, APPLE_USERS)
def test_scenario_27_nobody_is_judged_by_an_older_copy_than_the_asker_had(
    invitation: Invitation, person: Person, apple_user: AppleUser | None
) -> None:
    after = moved(invitation, person, apple_user, NOW)
    judged = {Cause.NO_USABLE_ADDRESS, Cause.MANAGED_APPLE_ID, Cause.PERSON_LEFT}
    if invitation.state is not State.SENT and after.cause in judged:
        assert person.version >= invitation.person_version


def test_a_letter_taken_makes_the_invitation_sent() -> None:
    after = after_letter(_sending(), Taken(), written_to=ZOE, person=ZOE, now=NOW)
    assert (after.state, after.sent_at, after.sealed_link) == (State.SENT, NOW, b"sealed")


def test_a_refused_address_bounces_with_the_relays_code_and_the_link_is_gone() -> None:
    refused = Refused(Cause.ADDRESS_REFUSED, 550)
    after = after_letter(_sending(), refused, written_to=ZOE, person=ZOE, now=NOW)
    assert (after.state, after.cause, after.status_code) == (State.BOUNCED, Cause.ADDRESS_REFUSED, 550)
    assert after.sealed_link is None


def test_a_refusal_of_an_address_that_was_corrected_meanwhile_is_no_bounce() -> None:
    corrected = replace(ZOE, version=8, mail_address="zoe.l@school.example")
    refused = Refused(Cause.ADDRESS_REFUSED, 550)
    before = _sending()
    assert after_letter(before, refused, written_to=ZOE, person=corrected, now=NOW) is before


@pytest.mark.parametrize("state", [state for state in State if state is not State.SENDING])
def test_a_letter_changes_nothing_about_an_invitation_that_ended_meanwhile(state: State) -> None:
    before = replace(INVITATION, state=state)
    for outcome in (Taken(), Refused(Cause.ADDRESS_REFUSED, 550)):
        assert after_letter(before, outcome, written_to=ZOE, person=ZOE, now=NOW) is before


@pytest.mark.parametrize("state", OPEN)
def test_while_one_invitation_is_open_there_is_no_second(state: State) -> None:
    assert not opens_anew(replace(INVITATION, state=state), _sending(), ZOE)


def test_a_bounce_answers_until_another_version_of_the_person_is_known() -> None:
    bounced = replace(INVITATION, state=State.BOUNCED, cause=Cause.ADDRESS_REFUSED, person_version=7)
    assert not opens_anew(bounced, _sending(), ZOE)
    assert opens_anew(bounced, _sending(), replace(ZOE, version=8))


def test_an_accepted_invitation_answers_until_a_later_apple_user_is_to_be_invited() -> None:
    accepted = replace(INVITATION, state=State.ACCEPTED, cause=Cause.APPLE_USER_ASSOCIATED)
    repeated = moved(INVITATION, ZOE, ASSOCIATED, NOW)
    later = moved(replace(INVITATION, version=9), ZOE, ASSOCIATED, NOW)
    assert not opens_anew(accepted, repeated, ZOE)
    assert opens_anew(accepted, later, ZOE)


@pytest.mark.parametrize(
    ("before", "after"),
    [(State.WAITING, State.WAITING), (State.SENDING, State.SENDING), (State.SENT, State.SENDING)],
)
def test_a_renewed_link_is_written_again_if_the_former_was_sent(before: State, after: State) -> None:
    renewed = relinked(replace(INVITATION, state=before), version=9, sealed_link=b"other", now=NOW)
    assert (renewed.state, renewed.version, renewed.sealed_link) == (after, 9, b"other")


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (State.WAITING, type(None)),
        (State.SENDING, type(None)),
        (State.SENT, InvitationSent),
        (State.BOUNCED, InvitationBounced),
        (State.ACCEPTED, InvitationAccepted),
        (State.CANCELLED, InvitationCancelled),
    ],
)
def test_each_state_is_told_by_its_event_and_work_under_way_by_none(state: State, kind: type) -> None:
    event = news(replace(INVITATION, state=state, sent_at=NOW, cause=Cause.PERSON_LEFT))
    assert type(event) is kind


def _sending() -> Invitation:
    return replace(INVITATION, state=State.SENDING)
