"""The life of an entitlement as one table: state x fact -> state and effect. What is not in it is ignored.

Facts come doubled, late and, between two publishers, in any order; the table is written so that the end is the
same. A fact about another life never gets here: facts carry the entitlement's id.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from assignment.model import AWAITING_LICENSE, LIVING, Entitlement, State
from shared.events.words import InstallMode, RevokeReason

INVITATION_ENDED = "invitation_ended"
"""licensing's cause of a failure: the licence was held for a person who did not accept in time."""


class Fact(StrEnum):
    """What can happen to an entitlement."""

    RESERVED = "LicenseReserved"
    HELD_FOR_ACCEPTANCE = "LicenseReserved (awaits acceptance)"
    WAITLISTED = "LicenseWaitlisted"
    REFUSED = "LicenseRefused"
    ASSIGNED = "LicenseAssigned"
    RELEASED = "LicenseReleased"
    TAKEN = "LicenseReleased (asked: false)"
    FAILED = "LicenseFailed"
    INSTALLED = "InstallCompleted"
    INSTALL_FAILED = "InstallFailed"
    GIVEN_UP = "InstallFailed (tried often enough)"
    PUSH_WANTED = "automatic wanted"
    RETRY_DUE = "retry due"
    RETURNED = "device enrolled anew"
    DEVICE_LEFT = "DeviceUnenrolled"
    UNCOVERED = "last cover ended"


class Effect(StrEnum):
    """What has to be told or opened with the move."""

    NONE = ""
    DELIVER = "deliver"
    REVOKE = "revoke"
    REOPEN = "reopen"


@dataclass(frozen=True, slots=True)
class Move:
    """Where a fact leads, and what goes with it; `cause` is that of a fact which says none itself."""

    state: State
    effect: Effect = Effect.NONE
    cause: str | None = None


_REVOKE = Move(State.REVOKING, Effect.REVOKE)
_DELIVER = Move(State.DELIVERING, Effect.DELIVER)

_FROM_ANY_LIVING = {
    Fact.TAKEN: Move(State.LOST, Effect.REOPEN, "taken_back"),
    # Nobody here asked: one of the two databases was restored; a new life heals it.
    Fact.RELEASED: Move(State.LOST, Effect.REOPEN, "released_unasked"),
    Fact.DEVICE_LEFT: _REVOKE,
    Fact.UNCOVERED: _REVOKE,
}
_ANSWERS = {
    Fact.RESERVED: Move(State.RESERVED),
    Fact.HELD_FOR_ACCEPTANCE: Move(State.AWAITING_ACCEPTANCE),
    Fact.WAITLISTED: Move(State.WAITLISTED),
    Fact.REFUSED: Move(State.REFUSED),
    Fact.ASSIGNED: Move(State.LICENSED),
    Fact.FAILED: Move(State.FAILED),
}

TABLE: dict[State, dict[Fact, Move]] = {
    State.REQUESTED: {**_FROM_ANY_LIVING, **_ANSWERS},
    State.RESERVED: {**_FROM_ANY_LIVING, **_ANSWERS},
    State.AWAITING_ACCEPTANCE: {**_FROM_ANY_LIVING, **_ANSWERS},
    State.WAITLISTED: {**_FROM_ANY_LIVING, **_ANSWERS},
    State.LICENSED: _FROM_ANY_LIVING,
    State.DELIVERING: {
        **_FROM_ANY_LIVING,
        Fact.INSTALLED: Move(State.INSTALLED),
        Fact.INSTALL_FAILED: Move(State.RETRYING),
        Fact.GIVEN_UP: Move(State.INSTALL_FAILED),
        Fact.RETURNED: _DELIVER,
    },
    State.INSTALLED: {**_FROM_ANY_LIVING, Fact.RETURNED: _DELIVER},
    State.RETRYING: {
        **_FROM_ANY_LIVING,
        Fact.INSTALLED: Move(State.INSTALLED),
        Fact.RETRY_DUE: _DELIVER,
        Fact.RETURNED: _DELIVER,
    },
    State.INSTALL_FAILED: {
        **_FROM_ANY_LIVING,
        Fact.INSTALLED: Move(State.INSTALLED),
        Fact.RETURNED: _DELIVER,
    },
    State.AVAILABLE: {**_FROM_ANY_LIVING, Fact.PUSH_WANTED: _DELIVER},
    State.REFUSED: {},
    State.FAILED: {},
    State.LOST: {},
    State.REVOKING: {
        Fact.RELEASED: Move(State.REVOKED),
        Fact.REFUSED: Move(State.REVOKING),  # the release itself: its cause is shown, and it is asked again
    },
    State.REVOKED: {},
}


@dataclass(frozen=True, slots=True)
class Said:
    """What came with a fact: the event (or verb) that brought it, and what it says beside.

    `retry_at` is when a failed install is asked again.
    """

    what: str
    event_id: UUID | None = None
    cause: str | None = None
    error_number: int | None = None
    reason: RevokeReason | None = None
    position: int | None = None
    position_at: datetime | None = None
    retry_at: datetime | None = None


def after(life: Entitlement, made: Move, said: Said, *, ask_again_at: datetime) -> Entitlement:
    """Return the life after a move; an ask that the move opens is repeated at `ask_again_at`."""
    revoked = made.effect is Effect.REVOKE
    return replace(
        life,
        state=made.state,
        version=life.version + 1 if revoked else life.version,
        cause=said.cause or made.cause,
        error_number=said.error_number,
        reason=said.reason if revoked else life.reason,
        position=said.position,
        position_at=said.position_at,
        ask_deadline_at=_deadline(life, made.state, said, ask_again_at),
    )


def is_news(life: Entitlement, made: Move, said: Said) -> bool:
    """Say whether a move changes anything: where it leads to the same state, a later place or another cause does."""
    if made.state is not life.state or made.effect is not Effect.NONE:
        return True
    if said.position_at is not None:
        return life.position_at is None or said.position_at > life.position_at
    return (said.cause, said.error_number) != (life.cause, life.error_number)


def _deadline(life: Entitlement, state: State, said: Said, ask_again_at: datetime) -> datetime | None:
    """Return when an open ask is repeated: that for a licence stays open, as it was, until its terminal answer."""
    if state in AWAITING_LICENSE:
        return life.ask_deadline_at or ask_again_at
    if state is State.REVOKING:
        return ask_again_at
    return said.retry_at if state is State.RETRYING else None


def move(state: State, fact: Fact, install_mode: InstallMode) -> tuple[Move, ...]:
    """Return the moves that a fact leads to, in order; none where it is ignored.

    A licence that is confirmed goes on at once: to the device (automatic) or into the offer (manual), R8.
    """
    first = TABLE[state].get(fact)
    if first is None or first.state is State.LICENSED:
        return () if first is None else (first, _after_license(install_mode))
    return (first,)


def _after_license(install_mode: InstallMode) -> Move:
    return _DELIVER if install_mode is InstallMode.AUTOMATIC else Move(State.AVAILABLE)


def reopens_once_associated(life: Entitlement, library_ids: Collection[str]) -> bool:
    """Say whether covers that stand on this life open a new one, its person being associated in these libraries (R9).

    So they do where the life ended with the invitation, and its licence may come from one of these.
    """
    ended = life.state is State.FAILED and life.cause == INVITATION_ENDED
    wanted = life.wish.library_id
    return ended and (wanted in library_ids or (wanted is None and bool(library_ids)))


def reopens(state: State, *, own_refusal: bool, revoked_by_device: bool, returned: bool) -> bool:
    """Say whether covers that stand on this life open a new one when their device was told of.

    A device that came back (`returned`: enrolled anew) is a new wish for whatever had ended there; one that only
    changed is judged anew where it was this service that had refused it, or the device that had gone.
    """
    if state in LIVING:
        return False
    return returned or own_refusal or revoked_by_device
