"""Parts of events about many: one target that waits or fails never holds up the others (pure, promise 7)."""

import json
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any
from uuid import UUID

from shared.events.event import EventAboutMany, Heard

Part = Heard[Any]


def halves(heard: Part) -> tuple[Part, ...]:
    """Return the event in two parts; nothing where it is one target, or is not about many.

    What could not be read of it is a part of its own.
    """
    if not isinstance(heard.event, EventAboutMany):
        return ()
    targets = heard.event.targets
    if heard.unreadable and targets:
        return _of(heard, targets), replace(heard, event=_of(heard, ()).event)
    if len(targets) < 2:
        return ()
    middle = len(targets) // 2
    return _of(heard, targets[:middle]), _of(heard, targets[middle:])


def divide(heard: Part, waiting: AbstractSet[UUID]) -> tuple[Part | None, Part | None]:
    """Return the part of an event that may go on and the part about waiting entitlements; None for nothing."""
    if waiting.isdisjoint(heard.event.entitlement_ids()):
        return heard, None
    if not isinstance(heard.event, EventAboutMany):
        return None, heard
    targets = heard.event.targets
    going = replace(
        heard, event=_of(heard, [each for each in targets if each.entitlement_id not in waiting]).event
    )
    if not going.event.targets and not going.unreadable:
        return None, heard
    return going, _of(heard, [each for each in targets if each.entitlement_id in waiting])


def joined(parts: Iterable[Part]) -> Part:
    """Return parts of one event as one again."""
    first, *others = parts
    targets = first.event.targets + tuple(each for part in others for each in part.event.targets)
    return replace(first, event=_of(first, targets).event)


def cut(value: bytes | None, part: Part) -> bytes:
    """Return a record's value with the targets of this part alone, and every field of theirs as it came."""
    said = json.loads(value or b"{}")
    kept = {str(entitlement_id) for entitlement_id in part.event.entitlement_ids()}
    said["targets"] = [each for each in said["targets"] if _id(each) in kept]
    return json.dumps(said, separators=(",", ":")).encode()


def _of(heard: Part, targets: Iterable[Any]) -> Part:
    """Return the part about these targets, without what could not be read."""
    return replace(heard, event=heard.event.model_copy(update={"targets": tuple(targets)}), unreadable=())


def _id(target: Any) -> str | None:
    try:
        return str(UUID(target["entitlement_id"]))
    except (TypeError, KeyError, ValueError, AttributeError):
        return None
