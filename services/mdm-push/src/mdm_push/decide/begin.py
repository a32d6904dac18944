"""How a wish begins, once nothing older stands in its way. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta

from mdm_push import commands
from mdm_push.decide.outcome import Outcome
from mdm_push.model import App, Enrollment, Intent, NewCommand, Patience, Wish, WishState, nth
from shared.events.words import NothingRemoved

OS_TOO_OLD = "os_too_old"


def begin(
    wish: Wish,
    enrollment: Enrollment,
    *,
    app: App | None,
    now: datetime,
    patience: Patience,
    nothing: NothingRemoved = NothingRemoved.NOT_INSTALLED,
) -> Outcome:
    """Queue the first command of a wish, or end it at once; `nothing` is said where nothing is to be removed."""
    if wish.intent is Intent.INSTALL:
        return command_install(wish, enrollment, due_at=now)
    if app is None or not app.present:
        outcome = Outcome()
        outcome.settle(replace(wish, state=WishState.DONE, was=nothing))
        return outcome
    if not commands.manages_apps(enrollment):
        outcome = Outcome()
        outcome.settle(replace(wish, state=WishState.FAILED, cause=OS_TOO_OLD))
        return outcome
    if app.identifier is None:
        return look(wish, enrollment, due_at=now, now=now, patience=patience)
    return command_removal(wish, app.identifier, due_at=now)


def command_install(wish: Wish, enrollment: Enrollment, *, due_at: datetime) -> Outcome:
    """Queue InstallApplication. The asker has checked that the wish carries an adam id."""
    arguments = commands.install_application(enrollment, wish.adam_id or "")
    command = _command(wish, commands.INSTALL_APPLICATION, arguments, due_at)
    return Outcome(wishes=[replace(wish, state=WishState.COMMANDED)], commands=[command])


def command_removal(wish: Wish, identifier: str, *, due_at: datetime) -> Outcome:
    """Queue RemoveApplication."""
    arguments = commands.remove_application(identifier)
    command = _command(wish, commands.REMOVE_APPLICATION, arguments, due_at)
    return Outcome(wishes=[replace(wish, state=WishState.COMMANDED)], commands=[command])


def look(
    wish: Wish,
    enrollment: Enrollment,
    *,
    due_at: datetime | None = None,
    now: datetime,
    patience: Patience,
) -> Outcome:
    """Ask for the list of apps, after the wait that the number of former looks calls for."""
    due_at = due_at or now + timedelta(seconds=nth(patience.verify_seconds, wish.checks))
    until = wish.verify_until or now + timedelta(seconds=patience.verify_limit_seconds)
    command = NewCommand(
        enrollment_id=wish.enrollment_id,
        generation=wish.generation,
        request_type=commands.application_list(enrollment),
        arguments={},
        due_at=due_at,
        correlation_id=wish.correlation_id,
    )
    return Outcome(wishes=[replace(wish, state=WishState.VERIFYING, verify_until=until)], commands=[command])


def _command(wish: Wish, request_type: str, arguments: dict[str, object], due_at: datetime) -> NewCommand:
    return NewCommand(
        enrollment_id=wish.enrollment_id,
        generation=wish.generation,
        request_type=request_type,
        arguments=arguments,
        due_at=due_at,
        correlation_id=wish.correlation_id,
        wish_id=wish.id,
    )
