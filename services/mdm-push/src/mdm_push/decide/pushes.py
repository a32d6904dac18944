"""What an answer of APNs means for the next wake-up of a channel. Pure.

Apple: "Handling notification responses from APNs", "Dealing with inactive managed devices and invalid push tokens".
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from mdm_push.decide.words import slug
from mdm_push.model import Patience, PushAnswer, PushOutcome, WakeUp, nth

TOPIC_PAUSE_SECONDS = 300.0
_HOUR = 3600.0
_AFTER_SERVER_ERROR_SECONDS = 900.0  # Apple: 15 minutes
_AFTER_TOO_MANY_SECONDS = 60.0
_GONE_BEFORE = "gone_before_token_update"

_TOKEN_IS_DEAD = frozenset({"BadDeviceToken", "Unregistered", "ExpiredToken"})
_NOBODYS_FAULT = frozenset({"IdleTimeout"})
_WRONG_CERTIFICATE = frozenset({"DeviceTokenNotForTopic"})
"""Shows on every token of a fleet when the certificate is a wrong one: no token is given up for it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What is written back, and whether the whole topic has to pause."""

    outcome: PushOutcome
    pauses_topic: bool = False


def answered(
    wake: WakeUp, answer: PushAnswer, *, doubted: bool, now: datetime, patience: Patience, jitter: float
) -> Judged:
    """Judge one answer. While the topic is doubted no token is given up as bad; `jitter` (about 1) spreads attempts."""
    problem = None if answer.accepted else slug(answer.reason or f"status_{answer.status}")
    tries = wake.attempts + 1 if wake.problem == problem else 1
    wait = _HOUR if doubted and answer.bad_token else _wait(answer, tries, patience)
    if wait is None and _is_older(wake, answer) and wake.problem != _GONE_BEFORE:
        # The answer is about a former token: once more with the present one.
        problem, wait = _GONE_BEFORE, 0.0
    outcome = PushOutcome(
        enrollment_id=wake.enrollment_id,
        version=wake.version,
        attempts=tries,
        next_push_at=None if wait is None else now + timedelta(seconds=wait * jitter),
        pushed_at=now if answer.accepted else None,
        problem=problem,
    )
    return Judged(outcome, pauses_topic=_blames_topic(answer))


def _wait(answer: PushAnswer, tries: int, patience: Patience) -> float | None:
    """Return the seconds until the next push, None where the token is dead."""
    if answer.accepted:
        return nth(patience.push_again_seconds, tries - 1)
    if answer.status == 410 or answer.reason in _TOKEN_IS_DEAD:
        return None
    if answer.status == 429:
        return min(_AFTER_TOO_MANY_SECONDS * 2.0 ** (tries - 1), _HOUR)
    if answer.status >= 500:
        return 1.0 if answer.reason == "Shutdown" and tries == 1 else _AFTER_SERVER_ERROR_SECONDS
    if answer.reason in _NOBODYS_FAULT:
        return 1.0
    return _HOUR if answer.reason in _WRONG_CERTIFICATE else TOPIC_PAUSE_SECONDS


def _blames_topic(answer: PushAnswer) -> bool:
    """Say whether the certificate or our set-up is at fault: no device, and nothing that passes by itself."""
    if answer.accepted or answer.status in {410, 429} or answer.status >= 500:
        return False
    return (answer.reason or "") not in _TOKEN_IS_DEAD | _NOBODYS_FAULT | _WRONG_CERTIFICATE


def unanswered(
    wake: WakeUp, problem: str, *, retry_after_seconds: float | None, now: datetime, jitter: float
) -> PushOutcome:
    """Decide when to try again after APNs gave no answer: 5 seconds, doubling up to 15 minutes."""
    tries = wake.attempts + 1 if wake.problem == problem else 1
    wait = min(5.0 * 2.0 ** (tries - 1), _AFTER_SERVER_ERROR_SECONDS) * jitter
    return PushOutcome(
        enrollment_id=wake.enrollment_id,
        version=wake.version,
        attempts=tries,
        next_push_at=now + timedelta(seconds=max(wait, retry_after_seconds or 0)),
        problem=problem,
    )


def _is_older(wake: WakeUp, answer: PushAnswer) -> bool:
    """Say whether the token went before our last TokenUpdate: then the answer is about a former token."""
    return answer.gone_since is not None and answer.gone_since < wake.token_updated_at
