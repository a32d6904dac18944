"""Promise 8: no event that everybody may read has a field which could carry who a person is, or a secret.

Text that could say anything is the danger, so every free string of a broadcast event is on a closed list with the
reason why nobody's name fits into it. Ids, times, enums and texts with a narrow pattern need no entry.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from shared.events import Event
from shared.events.registry import REGISTRY

BROADCAST = [kind for kind in REGISTRY.values() if not kind.topic.restricted]
RESTRICTED = [kind for kind in REGISTRY.values() if kind.topic.restricted]

FREE_TEXT = {
    "library_id": "Apple's uId of a library, a number in text form",
    "pricing_param": "Apple's word for a quality: STDQ or PLUS",
    "os_version": "what the device reports as its version, digits and dots",
    "product_name": "Apple's model identifier such as iPad14,1; the name that people give a device is DeviceName",
    "error_domain": "the domain of an NSError, a constant of Apple's",
    "push_topic": "the UID of the push certificate; it wakes nobody without certificate, token and magic",
    "states": "the keys are entitlement states, written by assignment's own enum",
}
NARROW = {
    "cause": "a slug",
    "adam_id": "digits",
    "serial_number": "letters and digits of a serial number",
}
FORBIDDEN = {
    *("address", "apple", "code", "comment", "link", "locale", "magic", "mail", "name", "note", "password"),
    *("phone", "secret", "text", "title", "token", "udid", "url"),
}
NOT_MEANT = {
    "product_name": "see above",
    "status_code": "a number of RFC 5321",
    "error_code": "a number of an NSError",
}
HARMFUL = ("zoe@school.example", "Zoë Łukasz", "https://buy.itunes.apple.com/x", "two words", "a\nb")


@pytest.mark.parametrize("kind", BROADCAST, ids=lambda kind: kind.__name__)
def test_every_text_of_a_broadcast_event_is_known_and_harmless(kind: type[Event]) -> None:
    for name, schema in _texts(kind):
        if _is_narrow(schema):
            continue
        assert name in FREE_TEXT, f"{kind.__name__}.{name} could carry anything: {schema}"


@pytest.mark.parametrize("kind", BROADCAST, ids=lambda kind: kind.__name__)
def test_no_field_of_a_broadcast_event_is_called_like_a_secret_or_a_person(kind: type[Event]) -> None:
    names = {name for name, _ in _fields(kind)} - NOT_MEANT.keys()
    assert {name for name in names if FORBIDDEN & {*name.split("_")}} == set()


def test_the_lists_hold_nothing_that_is_not_told() -> None:
    told = {name for kind in BROADCAST for name, _ in _fields(kind)}
    assert {*FREE_TEXT, *NARROW, *NOT_MEANT} - told == set()


def test_the_walk_would_find_a_mail_address() -> None:
    found = {name for kind in RESTRICTED for name, schema in _texts(kind) if not _is_narrow(schema)}
    assert {"mail_address", "name", "sealed_link"} <= found


def test_only_people_and_sealed_links_are_restricted() -> None:
    assert {kind.__name__ for kind in RESTRICTED} == {
        "UserChanged",
        "UserDeleted",
        "InvitationRequested",
        "DeviceInvitationRequested",
    }


@pytest.mark.parametrize("kind", BROADCAST, ids=lambda kind: kind.__name__)
def test_no_narrow_pattern_lets_a_person_through(kind: type[Event]) -> None:
    for name, schema in _texts(kind):
        if "pattern" in schema:
            assert name in NARROW
            assert not any(re.search(schema["pattern"], text) for text in HARMFUL)


def _is_narrow(schema: dict[str, Any]) -> bool:
    return any(word in schema for word in ("format", "enum", "const", "pattern"))


def _texts(kind: type[Event]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every string of an event's schema with the name of its field; keys of mappings count as texts."""
    for name, schema in _fields(kind):
        if schema.get("type") == "string":
            yield name, schema
        if "additionalProperties" in schema:
            yield name, {"type": "string"}
        assert "type" in schema or schema.get("enum"), f"{kind.__name__}.{name} could be anything"


def _fields(kind: type[Event]) -> Iterator[tuple[str, dict[str, Any]]]:
    schema = kind.model_json_schema()
    yield from _walk(schema, schema.get("$defs", {}), None)


def _walk(
    schema: dict[str, Any], defined: dict[str, Any], field: str | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    if "$ref" in schema:
        schema = defined[schema["$ref"].rpartition("/")[2]]
    choices = schema.get("anyOf", schema.get("oneOf", schema.get("allOf")))
    if choices is not None:
        for choice in choices:
            yield from _walk(choice, defined, field)
        return
    if field is not None:
        yield field, schema
    for name, part in schema.get("properties", {}).items():
        yield from _walk(part, defined, name)
    for inner in (schema.get("items"), schema.get("additionalProperties"), *schema.get("prefixItems", ())):
        if isinstance(inner, dict):
            yield from _walk(inner, defined, field)
