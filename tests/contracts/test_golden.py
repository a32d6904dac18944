"""Every event as it was published once is readable now: fields may be added to a version, never taken or changed."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.errors import Poison
from shared.events import Event
from shared.events.registry import REGISTRY, decode, encode, event_type
from tests.contracts.examples import EXAMPLES
from tests.contracts.golden import VERSIONED, Golden, golden_of, paths

KINDS = pytest.mark.parametrize("kind", REGISTRY.values(), ids=lambda kind: kind.__name__)
FILES = pytest.mark.parametrize("path", paths(), ids=lambda path: path.stem)


def test_no_event_lacks_an_example_and_no_example_its_event() -> None:
    assert sorted(type(event).__name__ for event in EXAMPLES) == sorted(REGISTRY)


@KINDS
def test_no_event_lacks_a_golden_file_of_its_version(kind: type[Event]) -> None:
    envelope = golden_of(kind).envelope
    assert (envelope.type, envelope.version) == (kind.__name__, kind.version)


@FILES
def test_a_golden_file_is_named_for_what_it_holds(path: Path) -> None:
    envelope = Golden.read(path).envelope
    assert path.stem == f"{envelope.type}.{envelope.version}"
    assert envelope.type in REGISTRY


@KINDS
def test_a_golden_record_decodes_and_encodes_to_what_it_said(kind: type[Event]) -> None:
    golden = golden_of(kind)
    event = _decoded(golden)
    again = encode(event)
    assert (again is None) == (golden.value is None)
    assert _says(json.loads(again or b"null"), golden.value)


@KINDS
def test_a_golden_record_has_the_key_the_subject_and_the_source_of_its_event(kind: type[Event]) -> None:
    golden = golden_of(kind)
    event = _decoded(golden)
    assert golden.key == event.key().encode()
    assert golden.envelope.subject == event.subject()
    assert golden.envelope.source == kind.topic.owner


@KINDS
def test_the_envelope_goes_through_its_headers_unchanged(kind: type[Event]) -> None:
    golden = golden_of(kind)
    assert golden.envelope.headers() == list(golden.headers)


@KINDS
def test_what_tells_of_a_version_carries_it_as_its_sequence(kind: type[Event]) -> None:
    assert (golden_of(kind).envelope.sequence is not None) == (kind.__name__ in VERSIONED)


@KINDS
def test_fields_that_nobody_knows_yet_are_ignored(kind: type[Event]) -> None:
    golden = golden_of(kind)
    value = json.dumps(_with_more(golden.value)).encode() if golden.value is not None else None
    heard = decode(kind, golden.envelope, key=golden.key, value=value)
    assert heard.event == _decoded(golden)
    assert heard.unreadable == ()


@KINDS
def test_headers_that_nobody_knows_yet_are_ignored(kind: type[Event]) -> None:
    golden = golden_of(kind)
    more = Golden(golden.key, [*golden.headers, ("ce_addedlater", b"\xff")], golden.value)
    assert more.envelope == golden.envelope


@KINDS
def test_a_version_that_this_build_does_not_know_is_poison(kind: type[Event]) -> None:
    golden = golden_of(kind)
    later = {**dict(golden.headers), "ce_dataschema": f"urn:x:{kind.__name__}:{kind.version + 1}".encode()}
    with pytest.raises(Poison) as caught:
        event_type(Golden(golden.key, list(later.items()), golden.value).envelope)
    assert caught.value.reason == "unknown_version"


def _decoded(golden: Golden) -> Event:
    kind = event_type(golden.envelope)
    assert kind is not None
    heard = decode(kind, golden.envelope, key=golden.key, value=golden.value_bytes())
    assert heard.unreadable == ()
    return heard.event


def _says(now: Any, then: Any) -> bool:
    """Say whether everything that was said then is said now, the same way."""
    match now, then:
        case dict(), dict():
            return all(name in now and _says(now[name], value) for name, value in then.items())
        case list(), list():
            return len(now) == len(then) and all(map(_says, now, then))
        case _:
            return bool(now == then)


def _with_more(value: Any) -> Any:
    """Add a field to every object; keys of a mapping such as `states` are data, not fields."""
    match value:
        case {"states": states, **rest}:
            return {**_with_more(rest), "states": states}
        case dict():
            return {**{name: _with_more(part) for name, part in value.items()}, "added_later": {"x": [1]}}
        case list():
            return [_with_more(part) for part in value]
        case _:
            return value
