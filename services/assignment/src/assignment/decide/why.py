"""Why an entitlement stands where it stands: what blocks it, and what happens next by itself, and when."""

from dataclasses import dataclass
from datetime import datetime

from assignment.decide.refusals import EXPLANATIONS, OWN_REFUSALS
from assignment.model import Entitlement, State
from shared.events.words import Refusal


@dataclass(frozen=True, slots=True)
class Why:
    """`blocking` is who or what is waited for, as a slug; `next_at` is null where only an event can say."""

    blocking: str | None
    explanation: str
    next_action: str | None = None
    next_at: datetime | None = None


_REASONS: dict[State, tuple[str | None, str, str | None]] = {
    State.REQUESTED: ("licensing", "licensing has not answered yet", "ask_licence_again"),
    State.RESERVED: ("apple", "a licence is held; Apple has not confirmed it yet", "ask_licence_again"),
    State.AWAITING_ACCEPTANCE: (
        "acceptance",
        "a licence is held until the invitation is accepted",
        "ask_licence_again",
    ),
    State.WAITLISTED: (
        "licence",
        "no licence is left; place {position} in the waitlist",
        "ask_licence_again",
    ),
    State.LICENSED: ("device", "licensed", None),
    State.DELIVERING: ("device", "the device has not reported yet", "ask_install_again"),
    State.INSTALLED: (None, "installed, and verified on the device", None),
    State.RETRYING: ("device", "the device did not install it: {cause}", "ask_install_again"),
    State.INSTALL_FAILED: (
        "device",
        "the device did not install it: {cause}; tried often enough",
        "ask_install_again_when_enrolled_anew",
    ),
    State.AVAILABLE: (None, "licensed and offered; nothing is pushed in manual mode", None),
    State.REFUSED: ("licence", "licensing refused it: {cause}", None),
    State.FAILED: ("licence", "the licence could not be got: {cause}", None),
    State.LOST: ("licence", "Apple or another hand took the licence back", None),
    State.REVOKING: ("licensing", "the licence is being given back: {reason}", "ask_revoke_again"),
    State.REVOKED: (None, "given back: {reason}", None),
}


def explain(life: Entitlement, *, delivery_asks_again_at: datetime | None) -> Why:
    """Return why a life stands where it stands; the time is that of the open delivery's next ask, if any."""
    if life.state is State.REFUSED and life.cause in OWN_REFUSALS:
        return Why("device", EXPLANATIONS[Refusal(life.cause)], "judge_again_when_the_device_changes")
    blocking, text, action = _REASONS[life.state]
    explanation = text.format(position=life.position, cause=life.cause, reason=life.reason)
    at = delivery_asks_again_at if life.state is State.DELIVERING else life.ask_deadline_at
    return Why(blocking, explanation, action, at if action else None)
