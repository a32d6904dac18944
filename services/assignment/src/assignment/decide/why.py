"""Why an entitlement stands where it stands: what blocks it, and what happens next by itself, and when."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from assignment.decide.entitlements import INVITATION_ENDED
from assignment.decide.refusals import EXPLANATIONS, OWN_REFUSALS
from assignment.model import LIVING, Entitlement, State
from shared.events.words import Refusal


@dataclass(frozen=True, slots=True)
class Why:
    """`blocking` is who or what is waited for, as a slug; `next_at` is null where only an event can say."""

    blocking: str | None
    explanation: str
    next_action: str | None = None
    next_at: datetime | None = None


_ASK_WHEN_ENROLLED = "ask_licence_again_when_enrolled_anew"

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
        "no licence is left; place {position} in the waitlist as of {position_at}",
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
    State.REFUSED: ("licence", "licensing refused it: {cause}", _ASK_WHEN_ENROLLED),
    State.FAILED: ("licence", "the licence could not be got: {cause}", _ASK_WHEN_ENROLLED),
    State.LOST: ("licence", "the licence was lost: {cause}; {losses} in a row", _ASK_WHEN_ENROLLED),
    State.REVOKING: ("licensing", "the licence is being given back: {reason}", "ask_revoke_again"),
    State.REVOKED: (None, "given back: {reason}", _ASK_WHEN_ENROLLED),
}


def explain(life: Entitlement, *, delivery_asks_again_at: datetime | None, covered: bool) -> Why:
    """Return why a life stands where it stands.

    `delivery_asks_again_at` is the time of the open delivery's next ask, if any. `covered`: a cover stands on it;
    an ended life without one has been followed by another, or nobody wants it any more, and nothing happens next.
    """
    why = _explain(life, delivery_asks_again_at)
    ended = life.state not in LIVING and life.state is not State.REVOKING
    return replace(why, next_action=None) if ended and not covered else why


def _explain(life: Entitlement, delivery_asks_again_at: datetime | None) -> Why:
    if life.state is State.REFUSED and life.cause in OWN_REFUSALS:
        return Why("device", EXPLANATIONS[Refusal(life.cause)], "judge_again_when_the_device_changes")
    if life.state is State.FAILED and life.cause == INVITATION_ENDED:
        text = "the invitation ended before it was accepted; no licence is held any more"
        return Why("acceptance", text, "ask_licence_again_once_the_apple_user_is_associated")
    blocking, text, action = _REASONS[life.state]
    at = delivery_asks_again_at if life.state is State.DELIVERING else life.ask_deadline_at
    return Why(blocking, _told(life, text), action, at if action else None)


def _told(life: Entitlement, text: str) -> str:
    at = life.position_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if life.position_at else None
    told = text.format(
        position=life.position,
        position_at=at,
        cause=life.cause,
        reason=life.reason,
        losses=life.losses + 1,
    )
    if life.state is State.REVOKING and life.cause:
        told += f"; licensing could not yet: {life.cause}"
    return told if life.error_number is None else f"{told} (Apple error {life.error_number})"
