"""What a ManagedApplicationList says about the wishes that wait for it. Pure.

A Mac acknowledges an install before the download (Apple: `InstallApplication`), so only the list proves it; and
only a list can tell the bundle id of an app that nobody named yet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from mdm_push.decide.begin import command_removal, look
from mdm_push.decide.outcome import Outcome
from mdm_push.decide.reports import done, fail, judge_status
from mdm_push.decide.words import HOPELESS, NOT_VERIFIED
from mdm_push.model import App, Intent, Patience, Wish
from shared.events.words import NothingRemoved

Statuses = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of the apps on one enrollment, and of the same assets' bundle ids on others."""

    apps: Mapping[UUID, App]
    identifiers: Mapping[UUID, str]


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
    named = _name(verifying, statuses or {}, knowledge)
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
        outcome.add(
            _judge(wish, identifier, status, listing=statuses is not None, now=now, patience=patience)
        )
    return outcome


def _judge(
    wish: Wish,
    identifier: str | None,
    status: str | None,
    *,
    listing: bool,
    now: datetime,
    patience: Patience,
) -> Outcome:
    checked = replace(wish, checks=wish.checks + 1)
    verdict = None
    if wish.intent is Intent.INSTALL:
        verdict = judge_status(checked, status)
    elif identifier is not None:
        verdict = command_removal(checked, identifier, due_at=now)
    elif listing:
        verdict = done(replace(checked, was=NothingRemoved.NOT_INSTALLED))
    if verdict is not None:
        return verdict
    if wish.verify_until is not None and now >= wish.verify_until:
        return fail(checked, NOT_VERIFIED)
    return look(checked, now=now, patience=patience)


def _name(verifying: Sequence[Wish], statuses: Statuses, knowledge: Knowledge) -> dict[UUID, str]:
    """Find the bundle ids of apps that no report named.

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
    free = [identifier for identifier in statuses if identifier not in taken]
    if len(unnamed) == 1 and len(free) == 1:
        named[unnamed[0]] = free[0]
    return named
