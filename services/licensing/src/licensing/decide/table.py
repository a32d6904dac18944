"""The state table of a licence: what a state and a happening make of it, and what is told (pure).

README.md of this service shows the same table in words; a test holds the two together.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from licensing.model import Answer, Happening, State
from shared.events.words import Held


@dataclass(frozen=True, slots=True)
class Move:
    """What a happening does: the next state (None: the same), and the event that tells it.

    `held` is what a release found. `heir` is the state in which a later life of the same target takes the
    unit over (None: it finds nothing to take and asks the pool like everybody else).
    """

    to: State | None = None
    answer: Answer = Answer.NOTHING
    held: Held | None = None
    heir: State | None = None


IGNORED = Move()
"""Nothing changes and nothing is told."""


def _released(held: Held) -> Move:
    return Move(State.RELEASED, Answer.RELEASED, held)


def _passed_on(heir: State, answer: Answer = Answer.NOTHING) -> Move:
    """Nobody asked for the end of this life yet (else `answer` says so): its revoke is answered when it comes."""
    return Move(State.RELEASED, answer, Held.PASSED_ON, heir)


_WAITLISTED = Move(State.WAITLISTED, Answer.WAITLISTED)
_AWAITING = Move(State.AWAITING_ACCEPTANCE, Answer.AWAITING)
_FAILED = Move(State.FAILED, Answer.FAILED)
_REFUSED = Move(State.REFUSED, Answer.REFUSED)
_RESERVED = Move(State.RESERVED, Answer.RESERVED)
_ASSIGNED = Move(State.ASSIGNED, Answer.ASSIGNED)
_KEPT = Move(None, Answer.REFUSED)
"""An irrevocable licence: the release is refused and the licence stays (R6, promise 7)."""

TABLE: Mapping[State, Mapping[Happening, Move]] = {
    State.UNKNOWN: {
        Happening.GRANTED: _RESERVED,
        Happening.PROMISED: _AWAITING,
        Happening.WAITED: _WAITLISTED,
        Happening.DENIED: _REFUSED,
        Happening.REVOKED: _released(Held.NONE),
        Happening.REVOKED_IRREVOCABLE: _released(Held.NONE),
        Happening.RECLAIMED: Move(State.RELEASING),
        Happening.ADOPTED: _ASSIGNED,
    },
    State.WAITLISTED: {
        Happening.REQUESTED: Move(None, Answer.WAITLISTED),
        Happening.GRANTED: _RESERVED,
        Happening.PROMISED: _AWAITING,
        Happening.ADOPTED: _ASSIGNED,
        Happening.DENIED: _REFUSED,
        Happening.EXPIRED: _FAILED,
        Happening.REVOKED: _released(Held.NONE),
        Happening.REVOKED_IRREVOCABLE: _released(Held.NONE),
        Happening.SUCCEEDED: Move(State.RELEASED, Answer.NOTHING, Held.NONE),
    },
    State.AWAITING_ACCEPTANCE: {
        Happening.REQUESTED: Move(None, Answer.AWAITING),
        Happening.ACCEPTED: _RESERVED,
        Happening.INVITATION_ENDED: _FAILED,
        Happening.REVOKED: _released(Held.LICENSE),
        Happening.REVOKED_IRREVOCABLE: _released(Held.LICENSE),
        Happening.SUCCEEDED: _passed_on(State.AWAITING_ACCEPTANCE),
        Happening.SHRUNK: _WAITLISTED,
        Happening.DENIED: _REFUSED,
        Happening.APPLE_REFUSED: _REFUSED,
    },
    State.RESERVED: {
        Happening.REQUESTED: Move(None, Answer.RESERVED),
        Happening.PROMISED: _AWAITING,
        Happening.SHRUNK: _WAITLISTED,
        Happening.DENIED: _REFUSED,
        Happening.REVOKED: _released(Held.LICENSE),
        Happening.REVOKED_IRREVOCABLE: _released(Held.LICENSE),
        Happening.SUCCEEDED: _passed_on(State.RESERVED),
    },
    State.ASSOCIATING: {
        Happening.REQUESTED: Move(None, Answer.RESERVED),
        Happening.REVOKED: Move(State.WITHDRAWING),
        Happening.REVOKED_IRREVOCABLE: _KEPT,
        Happening.SUCCEEDED: _passed_on(State.ASSOCIATING),
        Happening.DONE: _ASSIGNED,
        Happening.NOT_DONE: Move(State.RESERVED),
        Happening.PROMISED: _AWAITING,
        Happening.NONE_LEFT: _WAITLISTED,
        Happening.DENIED: _REFUSED,
        Happening.APPLE_REFUSED: _REFUSED,
    },
    State.ASSIGNED: {
        Happening.REQUESTED: Move(None, Answer.ASSIGNED),
        Happening.REVOKED: Move(State.RELEASING),
        Happening.REVOKED_IRREVOCABLE: _KEPT,
        Happening.SUCCEEDED: _passed_on(State.ASSIGNED),
        Happening.LOST: Move(State.LOST, Answer.LOST),
        Happening.SPENT: Move(State.SPENT),
    },
    State.RELEASING: {
        Happening.SUCCEEDED: _passed_on(State.ASSIGNED, Answer.RELEASED),
    },
    State.WITHDRAWING: {
        Happening.SUCCEEDED: _passed_on(State.ASSOCIATING, Answer.RELEASED),
        Happening.DONE: Move(State.RELEASING),
        Happening.NOT_DONE: _released(Held.LICENSE),
        Happening.PROMISED: _released(Held.LICENSE),
        Happening.NONE_LEFT: _released(Held.LICENSE),
        Happening.DENIED: _released(Held.LICENSE),
        Happening.APPLE_REFUSED: _released(Held.LICENSE),
    },
    State.DISASSOCIATING: {
        Happening.DONE: _released(Held.LICENSE),
        Happening.NOT_DONE: Move(State.RELEASING),
        Happening.APPLE_REFUSED: Move(State.ASSIGNED, Answer.REFUSED),
        Happening.SUCCEEDED: _passed_on(State.ASSIGNED, Answer.RELEASED),
    },
    State.RELEASED: {
        Happening.REQUESTED: Move(None, Answer.RELEASED),
        Happening.REVOKED: Move(None, Answer.RELEASED),
        Happening.REVOKED_IRREVOCABLE: Move(None, Answer.RELEASED),
    },
    State.REFUSED: {
        Happening.REQUESTED: Move(None, Answer.REFUSED),
        Happening.REVOKED: _released(Held.NONE),
        Happening.REVOKED_IRREVOCABLE: _released(Held.NONE),
    },
    State.FAILED: {
        Happening.REQUESTED: Move(None, Answer.FAILED),
        Happening.REVOKED: _released(Held.NONE),
        Happening.REVOKED_IRREVOCABLE: _released(Held.NONE),
    },
    State.LOST: {
        Happening.REQUESTED: Move(None, Answer.LOST),
        Happening.REVOKED: _released(Held.NONE),
        Happening.REVOKED_IRREVOCABLE: _released(Held.NONE),
    },
    State.SPENT: {
        Happening.REQUESTED: Move(None, Answer.ASSIGNED),
        Happening.REVOKED: _KEPT,
        Happening.REVOKED_IRREVOCABLE: _KEPT,
    },
}
"""What is not named here is IGNORED."""


def move(state: State, happening: Happening) -> Move:
    """Return what `happening` does to a licence in `state`."""
    return TABLE[state].get(happening, IGNORED)
