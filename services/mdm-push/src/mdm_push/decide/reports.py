"""What a device's final report means for the wish whose command it answers. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mdm_push.decide.asks import withdraw
from mdm_push.decide.begin import begin, command_install, look
from mdm_push.decide.outcome import Outcome
from mdm_push.decide.words import (
    COMMAND_FORMAT_ERROR,
    DEVICE_ERROR,
    HOPELESS,
    LICENSE_NOT_FOUND,
    MANAGED,
    THERE,
    already_there,
    license_on_its_way,
    rejection_cause,
    slug,
)
from mdm_push.messages import DeviceError, Report, Status
from mdm_push.model import App, Enrollment, Intent, Patience, Wish, WishState, nth
from shared.events.words import Platform


@dataclass(frozen=True, slots=True)
class Place:
    """One (enrollment, asset): beside the wish under way the one that waits, and what is known of the app."""

    enrollment: Enrollment
    waiting: Wish | None = None
    app: App | None = None


def reported(wish: Wish, report: Report, place: Place, *, now: datetime, patience: Patience) -> Outcome:
    """Judge the final report of a wish's command, then let the wish begin that waited behind it.

    What is still under way then gives way to the newer wish (scenario 6).
    """
    outcome = Outcome()
    enrollment, waiting = place.enrollment, place.waiting
    known = place.app or App(enrollment_id=wish.enrollment_id, asset_id=wish.asset_id, present=False)
    if wish.intent is Intent.INSTALL:
        known = _after_install(known, report)
        verdict = _install(wish, report, enrollment, now=now, patience=patience)
    else:
        known = replace(known, present=known.present and report.Status is not Status.ACKNOWLEDGED)
        verdict = _removal(wish, report, enrollment, now=now, patience=patience)
    if known != place.app:
        outcome.apps.append(known)
    if waiting is None:
        outcome.add(verdict)
        return outcome
    ended = verdict.wishes[-1]
    if ended.state.open:
        outcome.settle(withdraw(wish))
    else:
        outcome.add(verdict)
    outcome.add(begin(waiting, enrollment, app=known, now=now, patience=patience))
    return outcome


def _after_install(app: App, report: Report) -> App:
    """Remember what an install's report tells of the app, its one-shot statuses too."""
    took_it = report.Status is Status.ACKNOWLEDGED and report.RejectionReason is None
    there = took_it or already_there(report.RejectionReason, report.errors)
    return replace(
        app,
        present=(app.present or there) and report.State not in HOPELESS,
        identifier=report.Identifier or app.identifier,
        status=report.State or app.status,
    )


def _install(
    wish: Wish, report: Report, enrollment: Enrollment, *, now: datetime, patience: Patience
) -> Outcome:
    if report.Status is Status.FORMAT_ERROR:
        return fail(wish, COMMAND_FORMAT_ERROR)
    if already_there(report.RejectionReason, report.errors):
        return look(wish, enrollment, now=now, patience=patience)
    if report.Status is Status.ERROR:
        return _install_error(wish, report, enrollment, now=now, patience=patience)
    if report.RejectionReason is not None:
        return fail(wish, rejection_cause(report.RejectionReason))
    if report.State == MANAGED and enrollment.platform is Platform.MACOS:
        # Said before the download: it may be of a former copy.
        return look(wish, enrollment, now=now, patience=patience)
    return judge_status(wish, report.State) or look(wish, enrollment, now=now, patience=patience)


def _install_error(
    wish: Wish, report: Report, enrollment: Enrollment, *, now: datetime, patience: Patience
) -> Outcome:
    """Retry while the licence may still be on its way to Apple's stores; any other error is final."""
    if not license_on_its_way(report.errors):
        cause = rejection_cause(report.RejectionReason) if report.RejectionReason else DEVICE_ERROR
        return fail(wish, cause, report.errors)
    if wish.tries >= len(patience.retry_seconds):
        return fail(wish, LICENSE_NOT_FOUND, report.errors)
    due_at = now + timedelta(seconds=nth(patience.retry_seconds, wish.tries))
    return command_install(replace(wish, tries=wish.tries + 1), enrollment, due_at=due_at)


def _removal(
    wish: Wish, report: Report, enrollment: Enrollment, *, now: datetime, patience: Patience
) -> Outcome:
    """Ask the list after an error: mostly the user deleted the app, and there is nothing to be removed any more."""
    if report.Status is Status.FORMAT_ERROR:
        return fail(wish, COMMAND_FORMAT_ERROR)
    if report.Status is Status.ERROR:
        refused = _with_cause(wish, DEVICE_ERROR, report.errors)
        return look(refused, enrollment, due_at=now, now=now, patience=patience)
    return done(wish)


def judge_status(wish: Wish, status: str | None) -> Outcome | None:
    """End an install by Apple's word for the app, None while the word is only a stage on the way."""
    if status in THERE:
        return done(wish)
    if status in HOPELESS:
        return fail(wish, slug(status))
    return None


def done(wish: Wish) -> Outcome:
    """End a wish well, and tell it."""
    outcome = Outcome()
    outcome.settle(replace(wish, state=WishState.DONE, cause=None, error_domain=None, error_code=None))
    return outcome


def fail(wish: Wish, cause: str, errors: tuple[DeviceError, ...] = ()) -> Outcome:
    """End a wish badly, and tell the cause and the first error of the device's chain."""
    outcome = Outcome()
    outcome.settle(replace(_with_cause(wish, cause, errors), state=WishState.FAILED))
    return outcome


def _with_cause(wish: Wish, cause: str, errors: tuple[DeviceError, ...]) -> Wish:
    first = errors[0] if errors else None
    return replace(
        wish,
        cause=cause,
        error_domain=(first.ErrorDomain or None) if first else wish.error_domain,
        error_code=first.ErrorCode if first else wish.error_code,
    )
