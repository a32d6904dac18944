"""From what became of licences to the events that tell it, one event per asset, request and answer (pure)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

from licensing.model import Answer, Ask, Cause, License
from shared.events import MAX_TARGETS_PER_EVENT, Event, Outgoing
from shared.events.licensing import (
    LicenseAssigned,
    LicenseFailed,
    LicenseRefused,
    LicenseReleased,
    LicenseReserved,
    LicenseWaitlisted,
)
from shared.events.words import Awaits, Held

Positions = Mapping[UUID, int]


@dataclass(frozen=True, slots=True)
class Told:
    """One answer for a set of targets of one asset; `library_id` is empty where no pool was found."""

    answer: Answer
    asset_id: UUID
    library_id: str
    targets: Sequence[Ask | License]
    held: Held | None = None
    cause: Cause | None = None
    error_number: int | None = None


def outgoing(told: Iterable[Told], positions: Positions, as_of: datetime) -> list[Outgoing]:
    """Return the events of a transaction, in order. `positions` holds the place of every waiter told of."""
    events: list[Outgoing] = []
    for each in told:
        for (correlation_id, causation_id), targets in _by_thread(each.targets).items():
            for start in range(0, len(targets), MAX_TARGETS_PER_EVENT):
                part = targets[start : start + MAX_TARGETS_PER_EVENT]
                event = _EVENTS[each.answer](each, part, (positions, as_of))
                events.append(Outgoing(event, correlation_id, causation_id))
    return events


def _by_thread(
    targets: Sequence[Ask | License],
) -> dict[tuple[UUID, UUID | None], list[Ask | License]]:
    """Split by request, and by the event answered: the targets of one event share one correlation id."""
    threads: dict[tuple[UUID, UUID | None], list[Ask | License]] = {}
    for thread, run in groupby(targets, key=attrgetter("correlation_id", "causation_id")):
        threads.setdefault(thread, []).extend(run)
    return threads


_Waiting = tuple[Positions, datetime]


def _reserved(told: Told, targets: Sequence[Ask | License], _: _Waiting) -> Event:
    awaits = Awaits.ACCEPTANCE if told.answer is Answer.AWAITING else Awaits.APPLE
    said = [_target(target, awaits=awaits) for target in targets]
    return LicenseReserved.model_validate(
        {"asset_id": told.asset_id, "library_id": told.library_id, "targets": said}
    )


def _waitlisted(told: Told, targets: Sequence[Ask | License], waiting: _Waiting) -> Event:
    positions, as_of = waiting
    said = [_target(target, position=positions[target.entitlement_id]) for target in targets]
    return LicenseWaitlisted.model_validate({"asset_id": told.asset_id, "as_of": as_of, "targets": said})


def _refused(told: Told, targets: Sequence[Ask | License], _: _Waiting) -> Event:
    said = [_target(target, refusal=told.cause, error_number=told.error_number) for target in targets]
    return LicenseRefused.model_validate({"asset_id": told.asset_id, "targets": said})


def _assigned(told: Told, targets: Sequence[Ask | License], _: _Waiting) -> Event:
    said = [_target(target) for target in targets]
    return LicenseAssigned.model_validate(
        {"asset_id": told.asset_id, "library_id": told.library_id, "targets": said}
    )


def _released(told: Told, targets: Sequence[Ask | License], _: _Waiting) -> Event:
    asked = told.answer is not Answer.LOST  # else Apple or another hand took it
    said = [_target(target, asked=asked, held=told.held or Held.LICENSE) for target in targets]
    return LicenseReleased.model_validate({"asset_id": told.asset_id, "targets": said})


def _failed(told: Told, targets: Sequence[Ask | License], _: _Waiting) -> Event:
    said = [_target(target, cause=told.cause, error_number=told.error_number) for target in targets]
    return LicenseFailed.model_validate({"asset_id": told.asset_id, "targets": said})


def _target(target: Ask | License, **said: Any) -> dict[str, Any]:
    """Return a target as its event will read it: a whole set is made into one event at once."""
    return {
        "entitlement_id": target.entitlement_id,
        "version": target.version,
        "serial_number" if isinstance(target.holder, str) else "user_id": target.holder,
        **said,
    }


_EVENTS: Mapping[Answer, Callable[[Told, Sequence[Ask | License], _Waiting], Event]] = {
    Answer.RESERVED: _reserved,
    Answer.AWAITING: _reserved,
    Answer.WAITLISTED: _waitlisted,
    Answer.REFUSED: _refused,
    Answer.ASSIGNED: _assigned,
    Answer.RELEASED: _released,
    Answer.LOST: _released,
    Answer.FAILED: _failed,
}
