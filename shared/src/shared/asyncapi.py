"""The contract of the bus as an AsyncAPI 3 document, made from the very classes that read and write the records.

`python -m shared.asyncapi > docs/asyncapi.json`
"""

import inspect
import json
import sys
from typing import Any

from pydantic.json_schema import models_json_schema

from shared.events import Event
from shared.events.registry import REGISTRY
from shared.topics import PARTITIONS, TOPICS, Topic

Document = dict[str, Any]

_HEADERS: dict[str, tuple[str, Document]] = {
    "ce_specversion": ("CloudEvents 1.0 in Kafka's binary mode", {"const": "1.0"}),
    "ce_id": ("the event's id (uuid7); the same id again is the same event", {"format": "uuid"}),
    "ce_source": ("`/services/<name>`", {"pattern": "^/services/[a-z-]+$"}),
    "ce_type": ("the event's name", {}),
    "ce_dataschema": ("`urn:managed-distribution:<event>:<version>`", {}),
    "ce_time": ("when it was so", {"format": "date-time"}),
    "ce_subject": ("the id of what it is about", {}),
    "ce_correlationid": ("the request that the thread began with", {"format": "uuid"}),
    "ce_causationid": ("the event that led here", {"format": "uuid"}),
    "ce_sequence": (
        "the version of the person, asset, Apple user or enrollment told: keep the highest, ignore lower ones",
        {"pattern": "^[0-9]+$"},
    ),
    "traceparent": ("W3C Trace Context", {}),
    "content-type": ("how the value is written", {"const": "application/json"}),
}
_NOT_ALWAYS = {"ce_causationid", "ce_sequence", "traceparent"}


def document() -> Document:
    """Return the AsyncAPI document."""
    told = {topic: [event for event in REGISTRY.values() if event.topic is topic] for topic in TOPICS}
    channels = {topic: events for topic, events in told.items() if events}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Managed Distribution: events",
            "version": "1",
            "description": "Every record is a CloudEvent 1.0 in Kafka's binary mode: the attributes are headers, the "
            "value is the event's data alone. Within a version fields are only added, so ignore what you do not know.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic, events) for topic, events in channels.items()},
        "operations": {f"tell.{topic.name}": _operation(topic) for topic in channels},
        "components": {
            "messages": {name: _message(event) for name, event in REGISTRY.items()},
            "schemas": {"Envelope": _envelope(), **_schemas()},
        },
    }


def _channel(topic: Topic, events: list[type[Event]]) -> Document:
    settings: Document = {"cleanup.policy": ["compact" if topic.compacted else "delete"]}
    if not topic.compacted:
        settings["retention.ms"] = topic.retention_ms
    return {
        "address": topic.name,
        "title": topic.name,
        "description": f"Told by {topic.owner}."
        + (" Restricted: about people, or sealed." if topic.restricted else ""),
        "messages": {event.__name__: {"$ref": f"#/components/messages/{event.__name__}"} for event in events},
        "bindings": {
            "kafka": {"topic": topic.name, "partitions": PARTITIONS, "topicConfiguration": settings}
        },
    }


def _operation(topic: Topic) -> Document:
    """Say who tells: the document describes what the four services publish."""
    return {
        "action": "send",
        "title": f"{topic.owner} tells on {topic.name}",
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "tags": [{"name": topic.owner}],
    }


def _message(event: type[Event]) -> Document:
    name = event.__name__
    message: Document = {
        "name": name,
        "title": f"{name} {event.version}",
        "summary": inspect.getdoc(event),
        "headers": {
            "allOf": [
                {"$ref": "#/components/schemas/Envelope"},
                {
                    "type": "object",
                    "properties": {
                        "ce_type": {"const": name},
                        "ce_dataschema": {"const": f"urn:managed-distribution:{name}:{event.version}"},
                    },
                },
            ]
        },
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "bindings": {
            "kafka": {"key": {"type": "string", "description": inspect.getdoc(event.key)}},
        },
    }
    if event.tombstone:
        message["payload"] = {"type": "null", "description": "No value: the key says all."}
    return message


def _envelope() -> Document:
    return {
        "type": "object",
        "description": "The record's headers (CloudEvents, Kafka Protocol Binding 1.0, section 3.2).",
        "properties": {
            name: {"type": "string", "description": description, **more}
            for name, (description, more) in _HEADERS.items()
        },
        "required": [name for name in _HEADERS if name not in _NOT_ALWAYS],
    }


def _schemas() -> Document:
    valued = [event for event in REGISTRY.values() if not event.tombstone]
    _, schema = models_json_schema(
        [(event, "validation") for event in valued], ref_template="#/components/schemas/{model}"
    )
    definitions: Document = schema["$defs"]
    return definitions


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
