"""The rules: where an invitation stands, given what was told of the person and of the Apple user. Pure.

Everything told may come late, twice or in another order than it happened, so no rule looks at the event that
arrived: each looks at the highest versions known, and the same facts always lead to the same state.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from invitation.model import NEVER_HEARD, AppleUser, Cause, Invitation, Outcome, Person, Refused, State, Taken
from shared.events import Event
from shared.events.invitation import (
    InvitationAccepted,
    InvitationBounced,
    InvitationCancelled,
    InvitationSent,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A state and why."""

    state: State
    cause: Cause | None = None


def standing(invitation: Invitation, person: Person, apple_user: AppleUser | None) -> Standing:
    """Say where an invitation stands by what is known now; a final one stays where it is.

    Apple's word comes first: who is associated is never written to (scenario 28). Then the person's, once the
    copy is as new as licensing's was (scenario 27). A letter that was sent is ended by nothing less than
    Apple's word or the person's erasure.
    """
    if not invitation.is_open:
        return Standing(invitation.state, invitation.cause)
    if apple_user is not None and apple_user.version >= invitation.version:
        return _by_apple(apple_user)
    if person.deleted:
        return Standing(State.CANCELLED, Cause.PERSON_DELETED)
    if invitation.state is State.SENT:
        return Standing(State.SENT)
    return _before_the_letter(invitation, person)


def moved(invitation: Invitation, person: Person, apple_user: AppleUser | None, now: datetime) -> Invitation:
    """Return the invitation where it stands now; the very same one if that is where it stood."""
    stands = standing(invitation, person, apple_user)
    if stands == Standing(invitation.state, invitation.cause):
        return invitation
    return _in_state(invitation, stands, person, now)


def opens_anew(present: Invitation, asked: Invitation, person: Person) -> bool:
    """Say whether a request for somebody invited before is a new invitation, not a repeated question.

    `asked` is the invitation that it would become, already moved. While one is open there is no second; a
    final one answers until something has changed: a bounce until we know another version of the person.
    """
    if present.is_open:
        return False
    if present.state is State.BOUNCED and person.version <= present.person_version:
        return asked.state in {State.ACCEPTED, State.CANCELLED}
    return (asked.state, asked.cause) != (present.state, present.cause)


def relinked(invitation: Invitation, *, version: int, sealed_link: bytes, now: datetime) -> Invitation:
    """Return an open invitation with the link of a later Apple user: the former link leads nowhere now.

    Its letter, if it was sent, is therefore written again.
    """
    state = State.SENDING if invitation.state is State.SENT else invitation.state
    return replace(invitation, version=version, sealed_link=sealed_link, state=state, changed_at=now)


def after_letter(
    invitation: Invitation, outcome: Outcome, *, written_to: Person, person: Person, now: datetime
) -> Invitation:
    """Return the invitation after its letter was taken or refused; the very same one if that changes nothing.

    A refusal counts only for the address it was said of: `written_to` is the person as the letter knew them,
    `person` as we know them now.
    """
    if invitation.state is not State.SENDING:
        return invitation  # it ended, by acceptance or otherwise, while the letter was on the wire
    match outcome:
        case Taken():
            return replace(_in_state(invitation, Standing(State.SENT), written_to, now), sent_at=now)
        case Refused(cause, status_code) if person.mail_address == written_to.mail_address:
            bounced = _in_state(invitation, Standing(State.BOUNCED, cause), person, now)
            return replace(bounced, status_code=status_code)
        case _:
            return invitation


def news(invitation: Invitation) -> Event | None:
    """Return the event that tells of the invitation's present state, None while it is still at work."""
    about = {
        "invitation_id": invitation.id,
        "user_id": invitation.apple_user.user_id,
        "library_id": invitation.apple_user.library_id,
    }
    match invitation.state:
        case State.WAITING | State.SENDING:
            return None
        case State.SENT:
            return InvitationSent(**about, sent_at=invitation.sent_at)
        case State.BOUNCED:
            return InvitationBounced(
                **about, hard=True, cause=invitation.cause, status_code=invitation.status_code
            )
        case State.ACCEPTED:
            return InvitationAccepted(**about)
        case State.CANCELLED:
            return InvitationCancelled(**about, cause=invitation.cause)
        case _:
            assert_never(invitation.state)


def _by_apple(apple_user: AppleUser) -> Standing:
    if apple_user.associated:
        return Standing(State.ACCEPTED, Cause.APPLE_USER_ASSOCIATED)
    return Standing(State.CANCELLED, Cause.APPLE_USER_RETIRED)


def _before_the_letter(invitation: Invitation, person: Person) -> Standing:
    """Say where an unsent invitation stands by what is known of the person."""
    if person.version == NEVER_HEARD or person.version < invitation.person_version:
        return Standing(State.WAITING, Cause.PERSON_NOT_HEARD_OF)
    if person.left:
        return Standing(State.CANCELLED, Cause.PERSON_LEFT)
    if person.managed:
        return Standing(State.CANCELLED, Cause.MANAGED_APPLE_ID)
    if person.mail_address is None:
        return Standing(State.BOUNCED, Cause.NO_USABLE_ADDRESS)
    return Standing(State.SENDING)


def _in_state(invitation: Invitation, stands: Standing, person: Person, now: datetime) -> Invitation:
    """Return the invitation in another state. A final one needs its link no more, so nobody can read it."""
    next_one = replace(invitation, state=stands.state, cause=stands.cause, changed_at=now)
    if next_one.state is State.WAITING:
        return next_one
    return replace(
        next_one,
        person_version=max(invitation.person_version, person.version),
        sealed_link=invitation.sealed_link if next_one.is_open else None,
    )
