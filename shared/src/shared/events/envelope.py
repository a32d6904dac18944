"""CloudEvents 1.0 in Kafka's binary mode: attributes as `ce_` headers, the event's data alone as the value.

Source: CloudEvents, Kafka Protocol Binding 1.0, section 3.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.errors import Poison

Headers = Sequence[tuple[str, bytes]]

_SCHEMA = "urn:managed-distribution:"


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an event says about itself. `sequence` is the version of the person, asset or enrollment told."""

    event_id: UUID
    source: str
    type: str
    version: int
    time: datetime
    subject: str
    correlation_id: UUID
    causation_id: UUID | None = None
    sequence: int | None = None
    traceparent: str | None = None

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the record's headers."""
        optional = {
            "ce_sequence": self.sequence,
            "ce_causationid": self.causation_id,
            "traceparent": self.traceparent,
        }
        return [
            ("ce_specversion", b"1.0"),
            ("ce_id", str(self.event_id).encode()),
            ("ce_source", f"/services/{self.source}".encode()),
            ("ce_type", self.type.encode()),
            ("ce_dataschema", f"{_SCHEMA}{self.type}:{self.version}".encode()),
            ("ce_time", self.time.isoformat().encode()),
            ("ce_subject", self.subject.encode()),
            ("ce_correlationid", str(self.correlation_id).encode()),
            *((name, str(value).encode()) for name, value in optional.items() if value is not None),
            ("content-type", b"application/json"),
        ]


def read_envelope(headers: Headers) -> Envelope:
    """Read the headers of a record. Raises Poison (`no_envelope`) where one is missing or cannot be read."""
    said = {name: value.decode("utf-8", "replace") for name, value in headers}
    try:
        envelope = Envelope(
            event_id=UUID(said["ce_id"]),
            source=said["ce_source"].removeprefix("/services/"),
            type=said["ce_type"],
            version=int(said["ce_dataschema"].rpartition(":")[2]),
            time=datetime.fromisoformat(said["ce_time"]),
            subject=said["ce_subject"],
            correlation_id=UUID(said["ce_correlationid"]),
            causation_id=UUID(said["ce_causationid"]) if "ce_causationid" in said else None,
            sequence=int(said["ce_sequence"]) if "ce_sequence" in said else None,
            traceparent=said.get("traceparent"),
        )
    except (KeyError, ValueError) as error:
        raise Poison("no_envelope", f"the CloudEvents headers cannot be read: {error!r}") from error
    if envelope.time.tzinfo is None:
        raise Poison("no_envelope", "ce_time does not say its offset (RFC 3339)")
    return envelope
