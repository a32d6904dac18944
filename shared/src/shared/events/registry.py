"""Every event of the contract by its name, and how a record becomes an event and back."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import from_json

from shared.errors import Poison
from shared.events import assignment, invitation, licensing, mdm_push
from shared.events.envelope import Envelope
from shared.events.event import MAX_TARGETS_PER_EVENT, Event, EventAboutMany, Heard, Unreadable

REGISTRY: dict[str, type[Event]] = {
    event.__name__: event
    for module in (assignment, licensing, invitation, mdm_push)
    for event in module.EVENTS
}


def event_type(envelope: Envelope) -> type[Event] | None:
    """Return the class of a known event, None for a type nobody here knows.

    Raises Poison (`unknown_version`) where the type is known but the version is newer than this build.
    """
    known = REGISTRY.get(envelope.type)
    if known is not None and envelope.version != known.version:
        raise Poison(
            "unknown_version", f"{envelope.type} {envelope.version}: this build knows {known.version}"
        )
    return known


def encode(event: Event) -> bytes | None:
    """Return the record's value: JSON, or None for a tombstone."""
    return None if event.tombstone else event.model_dump_json().encode()


def decode(kind: type[Event], envelope: Envelope, *, key: bytes, value: bytes | None) -> Heard[Event]:
    """Read a record's value; a target that cannot be read goes to `unreadable`, the others stay.

    Raises Poison (`unreadable`) where the event itself cannot be read.
    """
    try:
        if kind.tombstone:
            return Heard(envelope, kind.from_key(key.decode()))
        return Heard(envelope, kind.model_validate_json(value or b""))
    except ValidationError as error:
        if issubclass(kind, EventAboutMany):
            return _decode_target_by_target(kind, envelope, value or b"")
        raise Poison("unreadable", _first(error)) from error
    except ValueError as error:
        raise Poison("unreadable", str(error)) from error


def _decode_target_by_target(
    kind: type[EventAboutMany[Any]], envelope: Envelope, value: bytes
) -> Heard[Event]:
    try:
        said = from_json(value)  # unlike json.loads it bounds how deep it goes
        targets = said["targets"]
        empty = kind.model_validate({**said, "targets": []})
    except (ValueError, KeyError, TypeError) as error:
        raise Poison("unreadable", "the event around its targets cannot be read") from error
    if not isinstance(targets, list) or len(targets) > MAX_TARGETS_PER_EVENT:
        raise Poison("unreadable", f"targets: not a list of {MAX_TARGETS_PER_EVENT} at most")
    good: list[Any] = []
    heard: Heard[Event] = Heard(envelope, empty)
    unreadable: list[Unreadable] = []
    for target in targets:
        try:
            good.extend(kind.model_validate({**said, "targets": [target]}).targets)
        except ValidationError as error:
            unreadable.append(Unreadable(_entitlement_id(target), _first(error)))
    return replace(
        heard, event=empty.model_copy(update={"targets": tuple(good)}), unreadable=tuple(unreadable)
    )


def _entitlement_id(target: Any) -> UUID | None:
    try:
        return UUID(target["entitlement_id"])
    except (TypeError, KeyError, ValueError, AttributeError):
        return None


def _first(error: ValidationError) -> str:
    """Return the first complaint without the value complained of: it may be a secret or a name."""
    complaint = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(str(part) for part in complaint['loc'])}: {complaint['msg']}"
