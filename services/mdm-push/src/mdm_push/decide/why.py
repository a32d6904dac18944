"""Why an enrollment stands where it stands: what holds its queue up, and what happens next by itself. Pure."""

from dataclasses import dataclass
from datetime import datetime

from mdm_push.model import EnrollmentState


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known of a channel and its queue; `open` counts its open commands, `refused` those with a NotNow."""

    state: EnrollmentState
    open: int
    refused: int
    due: int
    next_due_at: datetime | None
    next_push_at: datetime | None
    last_push_at: datetime | None
    problem: str | None
    dead: bool
    has_certificate: bool


@dataclass(frozen=True, slots=True)
class Why:
    """The step that blocks, as a slug (None: nothing waits), and the next automatic action with its time."""

    blocked_by: str | None
    next_action: str | None
    next_at: datetime | None = None


def why(situation: Situation) -> Why:
    """Explain a channel. Where the next move is the device's own, its time is not known."""
    blocked, action = _blocked(situation)
    timed = action in {"wake_up", "next_command_due"}
    at = situation.next_push_at if action == "wake_up" else situation.next_due_at
    return Why(blocked, action, at if timed else None)


def _blocked(now: Situation) -> tuple[str | None, str | None]:
    """Return what blocks and who moves next: the first line that fits."""
    lines: tuple[tuple[bool, str | None, str | None], ...] = (
        (now.state is EnrollmentState.UNENROLLED, "unenrolled", "device_enrolls_again"),
        (now.state is EnrollmentState.AUTHENTICATED, "no_token_update_yet", "device_sends_token_update"),
        (not now.open, None, None),
        (now.dead, now.problem or "token_refused", "device_sends_token_update"),
        (not now.due, "not_due_yet", "next_command_due"),
        (not now.has_certificate, "no_push_certificate", "certificate_is_stored"),
        (now.problem is not None, now.problem, "wake_up"),
        (bool(now.refused), "device_said_not_now", "wake_up"),
        (now.last_push_at is None, "not_pushed_yet", "wake_up"),
    )
    return next(((slug, action) for fits, slug, action in lines if fits), ("device_silent", "wake_up"))
