"""The AsyncAPI document: as new as the classes, whole in itself, and true of every golden record."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from shared.asyncapi import document
from shared.events import Event
from shared.events.registry import REGISTRY
from shared.topics import TOPICS
from tests.contracts.golden import golden_of

PATH = Path(__file__).parents[2] / "docs" / "asyncapi.json"
KINDS = pytest.mark.parametrize("kind", REGISTRY.values(), ids=lambda kind: kind.__name__)


def test_the_committed_document_is_what_the_classes_say() -> None:
    assert json.loads(PATH.read_text()) == document(), "stale: run `make asyncapi`"


def test_every_reference_leads_somewhere() -> None:
    whole = document()
    for reference in _references(whole):
        place: Any = whole
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_every_event_is_on_the_channel_of_its_topic_and_every_topic_with_events_is_one() -> None:
    channels = document()["channels"]
    assert {(name, message) for name, channel in channels.items() for message in channel["messages"]} == {
        (kind.topic.name, name) for name, kind in REGISTRY.items()
    }
    assert {*channels} <= {topic.name for topic in TOPICS}


@KINDS
def test_every_event_says_what_it_means(kind: type[Event]) -> None:
    message = document()["components"]["messages"][kind.__name__]
    assert message["summary"]
    assert message["bindings"]["kafka"]["key"]["description"].startswith("Return the")


@KINDS
def test_a_golden_record_is_as_the_document_says(kind: type[Event]) -> None:
    whole, golden = document(), golden_of(kind)
    message = whole["components"]["messages"][kind.__name__]
    said = {name: value.decode() for name, value in golden.headers}
    for schema, instance in ((message["payload"], golden.value), (message["headers"], said)):
        jsonschema.Draft202012Validator({**schema, "components": whole["components"]}).validate(instance)


@KINDS
def test_the_headers_of_another_event_are_not_this_ones(kind: type[Event]) -> None:
    whole = document()
    message = whole["components"]["messages"][kind.__name__]
    said = {name: value.decode() for name, value in golden_of(kind).headers}
    checker = jsonschema.Draft202012Validator({**message["headers"], "components": whole["components"]})
    assert not checker.is_valid({**said, "ce_type": "Other"})
    assert not checker.is_valid({name: value for name, value in said.items() if name != "ce_id"})


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)
