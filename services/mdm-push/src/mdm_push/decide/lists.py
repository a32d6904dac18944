"""What a list of apps says about the wishes that wait for it. Pure.

A Mac acknowledges an install before the download (Apple: `InstallApplication`), so only the list proves it; and
only a list can tell the bundle id of an app that nobody named yet. Before macOS 11 no app is managed, and
InstalledApplicationList has to do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from mdm_push.decide.begin import command_removal, look
from mdm_push.decide.outcome import Outcome
from mdm_push.decide.reports import done, fail, judge_status
from mdm_push.decide.words import HOPELESS, INSTALLED, INSTALLING, NOT_VERIFIED
from mdm_push.messages import InstalledApplication
from mdm_push.model import App, Enrollment, Intent, Patience, Wish
from shared.events.words import NothingRemoved

Statuses = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of one enrollment and the apps on it, and of the same assets' bundle ids on others."""

    enrollment: Enrollment
    apps: Mapping[UUID, App]
    identifiers: Mapping[UUID, str]


def installed(apps: Iterable[InstalledApplication], knowledge: Knowledge) -> Statuses:
    """Return the statuses that an InstalledApplicationList tells: it names strangers too, so only of known apps."""
    known = {app.identifier for app in knowledge.apps.values()} | set(knowledge.identifiers.values())
    return {
        app.Identifier: INSTALLING if app.Installing else INSTALLED
        for app in apps
        if app.Identifier is not None and app.Identifier in known
    }


def listed(
    verifying: Sequence[Wish],
    statuses: Statuses | None,
    *,
    knowledge: Knowledge,
    now: datetime,
    patience: Patience,
) -> Outcome:
    """Judge every wish that waits for a list; `statuses` maps bundle ids, None where the device sent no list."""
    outcome = Outcome()
    named, free = _name(verifying, statuses or {}, knowledge)
    for wish in verifying:
        app = knowledge.apps.get(wish.asset_id) or App(
            enrollment_id=wish.enrollment_id, asset_id=wish.asset_id, present=True
        )
        identifier = app.identifier or named.get(wish.asset_id)
        status = (statuses or {}).get(identifier) if identifier else None
        seen = replace(
            app,
            identifier=identifier,
            status=status or app.status,
            present=app.present and status not in HOPELESS,
        )
        if seen != app:
            outcome.apps.append(seen)
        checked = replace(wish, checks=wish.checks + 1)
        if wish.intent is Intent.INSTALL:
            verdict = judge_status(checked, status)
        else:
            has_name = identifier is not None or wish.asset_id in knowledge.identifiers
            absent = statuses is not None and status is None and (has_name or not free)
            verdict = (
                _nothing_there(checked) if absent else _still_there(checked, identifier, status, now=now)
            )
        outcome.add(verdict or _look_again(checked, knowledge.enrollment, now=now, patience=patience))
    return outcome


def _still_there(wish: Wish, identifier: str | None, status: str | None, *, now: datetime) -> Outcome | None:
    """Remove what the list names, unless the device has refused just that; None where it may be any of the list."""
    if identifier is None or status is None:
        return None
    if wish.cause is not None:
        return fail(wish, wish.cause)
    return command_removal(wish, identifier, due_at=now)


def _nothing_there(wish: Wish) -> Outcome:
    return done(replace(wish, was=NothingRemoved.NOT_INSTALLED))


def _look_again(wish: Wish, enrollment: Enrollment, *, now: datetime, patience: Patience) -> Outcome:
    if wish.verify_until is not None and now >= wish.verify_until:
        return fail(wish, wish.cause or NOT_VERIFIED)
    return look(wish, enrollment, now=now, patience=patience)


def _name(
    verifying: Sequence[Wish], statuses: Statuses, knowledge: Knowledge
) -> tuple[dict[UUID, str], set[str]]:
    """Find the bundle ids of apps that no report named; return them, and those that may belong to any other.

    The same asset's bundle id on another enrollment is taken when it is listed here. Else, if one app alone is
    nameless and one listed bundle id alone belongs to nobody, they belong together.
    """
    nameless = [
        wish.asset_id
        for wish in verifying
        if (app := knowledge.apps.get(wish.asset_id)) is None or app.identifier is None
    ]
    named = {
        asset_id: knowledge.identifiers[asset_id]
        for asset_id in nameless
        if knowledge.identifiers.get(asset_id) in statuses
    }
    unnamed = [
        asset_id for asset_id in nameless if asset_id not in named and asset_id not in knowledge.identifiers
    ]
    taken = {app.identifier for app in knowledge.apps.values()} | set(named.values())
    free = {identifier for identifier in statuses if identifier not in taken}
    if len(unnamed) == 1 and len(free) == 1:
        named[unnamed[0]] = free.pop()
    return named, free
