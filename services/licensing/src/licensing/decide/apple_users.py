"""What becomes of a person's Apple user: by what Apple shows, by what it refused, by what is wished (pure).

Apple's list is the authority, never a notification and never an event's number alone: those only say why what
the list does not show was not done. What each number means stands in model/errors.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from licensing.model import AppleFailure
from licensing.model.errors import RETRIED
from licensing.model.people import AppleUser, Sight, UserState, UserWrite, Written
from shared.events.words import Refusal

_NEEDS_INVITATION = frozenset({9635, 9642})
"""The account is of another organization, or its owner must accept the terms first: they join by themselves."""
_ACCOUNT_IN_USE = 9641
_BAD_MAIL_ADDRESS = 9717
_NOT_THERE = frozenset({9609, 9618, 9620, 9636})
"""Not found, retired or deleted already: what the list shows counts."""
_CONTRADICTED = _NOT_THERE | {9716}
"""9716: there is an active one. Where the list does not show what the number says, all of it is read again."""
_AGAIN = RETRIED | _CONTRADICTED


class Tells(StrEnum):
    """The events that tell of an Apple user."""

    ASSOCIATED = "associated"
    RETIRED = "retired"


class Follows(StrEnum):
    """What the ledger does then for the person's licences in the library."""

    NOTHING = "nothing"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Judged:
    """An Apple user as it is now, and what is to follow; `delayed` is a repetition, not to be hurried."""

    user: AppleUser
    tells: tuple[Tells, ...] = ()
    follows: Follows = Follows.NOTHING
    refusal: Refusal = Refusal.APPLE_REFUSED
    delayed: bool = False


def wished(user: AppleUser, correlation_id: UUID) -> AppleUser:
    """Return an Apple user that somebody needs: made if there is none, invited anew if that came to its end."""
    user = replace(user, correlation_id=correlation_id)
    if user.wants is UserWrite.RETIRE:
        return replace(user, again=True)
    if user.wants is not None or user.state is UserState.ASSOCIATED:
        return user
    if user.state is UserState.REGISTERED:
        return replace(user, invite_due=user.invite_due or user.invited_at is None)
    return _anew(user)


def unwished(user: AppleUser) -> AppleUser:
    """Return an Apple user that nobody needs any more: it is retired."""
    return replace(user, wants=UserWrite.RETIRE, again=False, part_id=None, attempt=0, invite_due=False)


def rebound(user: AppleUser, correlation_id: UUID) -> AppleUser:
    """Return an Apple user that is to be bound anew, as an administrator asked: retired, made, invited.

    The wrong account may have been bound, for whoever opens the link first binds theirs.
    """
    if user.active:
        return replace(unwished(user), again=True, correlation_id=correlation_id)
    return wished(user, correlation_id)


def relabeled(user: AppleUser) -> AppleUser:
    """Return an Apple user whose person has another mail address or Managed Apple ID now: Apple is told.

    Where Apple is being told the former ones this very moment, it is after that.
    """
    user = replace(user, without_mail=False, without_managed=False)
    if _labeling(user) and user.write_id is not None:
        return replace(user, again=True)
    if user.active and user.wants is None:
        return replace(user, wants=UserWrite.UPDATE, part_id=None, attempt=0)
    return user


def ended(user: AppleUser) -> AppleUser:
    """Return an Apple user whose invitation came to its end: the next wish for it invites anew, no former one does."""
    return replace(user, invited_at=None, invite_due=False)


def to_wake(user: AppleUser) -> bool:
    """Say whether something waited for us to hear of the person."""
    return user.wants is not None or user.invite_due or user.state is UserState.NEW


def seen(user: AppleUser, sight: Sight, *, needed: bool) -> Judged:
    """Judge an Apple user by what Apple shows. `needed`: a licence is held until its person accepts."""
    match sight.state:
        case UserState.ASSOCIATED:
            return _associated(user)
        case UserState.REGISTERED:
            return _registered(user, sight)
        case UserState.RETIRED if user.active:
            return _retired(user, needed=needed)
        case _:
            return Judged(user)


def settled(judged: Judged, written: Written, *, part_id: UUID) -> Judged:
    """Judge a member of a request that ended, after what Apple shows was taken in.

    Where that shows the deed, it is done whatever was said. What was not done and may be repeated is, as a part
    of its own.
    """
    user = judged.user
    if user.write_id is None:
        return judged
    user = replace(user, write_id=None)
    if user.wants is not written.kind:  # something else is wanted by now
        return replace(judged, user=user)
    return _not_done(replace(judged, user=user), written, part_id)


def contradicted(judged: Judged, written: Written) -> bool:
    """Say whether the list does not show what Apple's number said."""
    return judged.delayed and written.number in _CONTRADICTED


def number_of(client_user_id: str, failures: Sequence[AppleFailure]) -> int | None:
    """Return the number that names this user, else the one that names nobody and so means all."""
    for failure in failures:
        if client_user_id in failure.client_user_ids:
            return failure.number
    unnamed = {failure.number for failure in failures if not failure.client_user_ids}
    return unnamed.pop() if len(unnamed) == 1 else None


def halves(members: Sequence[AppleUser], part_ids: tuple[UUID, UUID]) -> list[AppleUser]:
    """Split a request that Apple refused whole and named nobody: the culprit is found by halves."""
    middle = (len(members) + 1) // 2
    return [
        replace(member, write_id=None, part_id=part_ids[place >= middle])
        for place, member in enumerate(members)
    ]


def _associated(user: AppleUser) -> Judged:
    """Let their licences go to Apple; not to who is being retired: a book would be spent on a wrong account."""
    user = _made(user)
    if user.state is UserState.ASSOCIATED:
        return Judged(user)
    user = replace(
        user,
        state=UserState.ASSOCIATED,
        invite_due=False,
        invited_at=None,
        cause=None,
        error_number=None,
    )
    follows = Follows.NOTHING if user.wants is UserWrite.RETIRE else Follows.ACCEPTED
    return Judged(user, (Tells.ASSOCIATED,), follows)


def _registered(user: AppleUser, sight: Sight) -> Judged:
    """Invite with a new code; who was associated before was retired and made anew by another hand."""
    tells: tuple[Tells, ...] = ()
    follows = Follows.NOTHING
    if user.state is UserState.ASSOCIATED:
        tells, follows = (Tells.RETIRED,), Follows.LOST
    user = _made(user)
    if sight.invite_hash != user.invited_hash and not user.invite_due:
        user = replace(user, invite_due=user.wants is not UserWrite.RETIRE, invited_at=None)
    if user.state is not UserState.REGISTERED:
        user = replace(user, state=UserState.REGISTERED, cause=None, error_number=None)
    return Judged(user, tells, follows)


def _retired(user: AppleUser, *, needed: bool) -> Judged:
    """End it, by our wish or by another hand; a licence that waits for the acceptance needs a new one."""
    follows = Follows.LOST if user.state is UserState.ASSOCIATED else Follows.NOTHING
    again = user.again if user.wants is UserWrite.RETIRE else needed
    gone = replace(
        user,
        state=UserState.RETIRED,
        wants=None,
        again=False,
        write_id=None,
        part_id=None,
        attempt=0,
        invite_due=False,
        invited_hash=None,
        invited_at=None,
        cause=None,
        error_number=None,
    )
    return Judged(_anew(gone) if again else gone, (Tells.RETIRED,), follows)


def _not_done(judged: Judged, written: Written, part_id: UUID) -> Judged:
    user, number = judged.user, written.number
    if user.again and _labeling(user):  # what was said is about a former label
        return replace(judged, user=replace(user, again=False, part_id=None))
    if number in _NEEDS_INVITATION and not user.without_managed:
        return replace(judged, user=replace(user, without_managed=True, part_id=None))
    if number == _BAD_MAIL_ADDRESS and not user.without_mail:
        return replace(judged, user=replace(user, without_mail=True, part_id=None))
    if number is None and written.kind is UserWrite.UPDATE:
        return replace(judged, user=replace(user, wants=None, part_id=None, attempt=0))
    if number is None or number in _AGAIN:
        attempt = min(user.attempt + 1, 100)
        return replace(judged, user=replace(user, part_id=part_id, attempt=attempt), delayed=True)
    return _refused(judged, user, written.kind, number)


def _refused(judged: Judged, user: AppleUser, kind: UserWrite, number: int) -> Judged:
    """Give up: a user that could not be made fails, one that is there stays as it is."""
    refusal = Refusal.ACCOUNT_IN_USE if number == _ACCOUNT_IN_USE else Refusal.APPLE_REFUSED
    user = replace(user, wants=None, again=False, part_id=None, cause=refusal, error_number=number)
    if kind is UserWrite.CREATE:
        failed = replace(user, state=UserState.FAILED, attempt=0)
        return replace(judged, user=failed, follows=Follows.REFUSED, refusal=refusal)
    if number == _ACCOUNT_IN_USE and user.state is UserState.REGISTERED:
        silent = replace(user, invite_due=False)
        return replace(judged, user=silent, follows=Follows.REFUSED, refusal=refusal)
    return replace(judged, user=user)


def _labeling(user: AppleUser) -> bool:
    """Say whether Apple is told of their mail address and Managed Apple ID."""
    return user.wants in {UserWrite.CREATE, UserWrite.UPDATE}


def _made(user: AppleUser) -> AppleUser:
    if user.wants is not UserWrite.CREATE:
        return user
    wants = UserWrite.UPDATE if user.again else None
    return replace(user, wants=wants, again=False, write_id=None, part_id=None, attempt=0)


def _anew(user: AppleUser) -> AppleUser:
    return replace(
        user,
        wants=UserWrite.CREATE,
        attempt=0,
        part_id=None,
        without_mail=False,
        without_managed=False,
        cause=None,
        error_number=None,
    )
