"""The golden files: for each event and version the record as it was when the version was made.

`python -m tests.contracts.golden` writes those that are missing, and leaves those that are there: what was once
published must be readable for ever.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from shared.events import Envelope, Event
from shared.events.envelope import Headers, read_envelope
from shared.events.registry import encode
from tests.contracts.examples import AT, EXAMPLES, REQUEST

FOLDER = Path(__file__).parent / "records"

VERSIONED = frozenset(
    {
        "UserChanged",
        "UserDeleted",
        "AssetChanged",
        "AppleUserAssociated",
        "AppleUserRetired",
        "InvitationRequested",
        "DeviceEnrolled",
        "DeviceUpdated",
        "DeviceUnenrolled",
    }
)
"""The events whose `ce_sequence` says the version of the person, asset, Apple user or enrollment told."""


@dataclass(frozen=True, slots=True)
class Golden:
    """One record as it travels."""

    key: bytes
    headers: Headers
    value: Any

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a golden file."""
        record = json.loads(path.read_text())
        headers = [(name, value.encode()) for name, value in record["headers"].items()]
        return cls(record["key"].encode(), headers, record["value"])

    @property
    def envelope(self) -> Envelope:
        """What the headers say."""
        return read_envelope(self.headers)

    def value_bytes(self) -> bytes | None:
        """Return the record's value."""
        return None if self.value is None else json.dumps(self.value).encode()


def paths() -> list[Path]:
    """Return all golden files."""
    return sorted(FOLDER.glob("*.json"))


def golden_of(kind: type[Event]) -> Golden:
    """Return the golden record of an event in the version that the code knows."""
    return Golden.read(FOLDER / _name(kind))


def _name(kind: type[Event]) -> str:
    return f"{kind.__name__}.{kind.version}.json"


def _record(number: int, event: Event) -> dict[str, Any]:
    kind = type(event)
    envelope = Envelope(
        event_id=UUID(f"0193f0a2-0000-7000-9000-{number:012d}"),
        source=event.topic.owner,
        type=kind.__name__,
        version=event.version,
        time=AT,
        subject=event.subject(),
        correlation_id=REQUEST,
        causation_id=UUID(f"0193f0a2-0000-7000-9000-{0:012d}"),
        sequence=17 if kind.__name__ in VERSIONED else None,
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )
    value = encode(event)
    return {
        "topic": event.topic.name,
        "key": event.key(),
        "headers": {name: said.decode() for name, said in envelope.headers()},
        "value": None if value is None else json.loads(value),
    }


def write_missing() -> None:
    """Write the golden files that are not there yet."""
    for number, event in enumerate(EXAMPLES, start=1):
        path = FOLDER / _name(type(event))
        if not path.exists():
            path.write_text(json.dumps(_record(number, event), indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write_missing()
