"""The outbox: events commit together with the state they tell of, and leave afterwards."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from shared.database import Transaction
from shared.events.envelope import Envelope, Headers
from shared.events.event import Outgoing
from shared.events.registry import encode
from shared.ids import new_id
from shared.locks import Rung
from shared.tables import BUCKETS
from shared.trace import trace_of

MOST_BYTES = 900_000
"""Of one record: below the broker's own limit of 1 MiB, which would refuse it for ever and hold up all behind it."""

_INSERT = """
INSERT INTO outbox (bucket, topic, key, headers, value, created_at)
SELECT bucket, topic, key, headers, value, $6
FROM unnest($1::smallint[], $2::text[], $3::bytea[], $4::bytea[], $5::bytea[])
     WITH ORDINALITY AS row (bucket, topic, key, headers, value, place)
ORDER BY place
"""


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record before it is sent."""

    topic: str
    key: bytes
    headers: Headers
    value: bytes | None

    def size(self) -> int:
        """Return its bytes."""
        headers = sum(len(name) + len(value) for name, value in self.headers)
        return len(self.key) + len(self.value or b"") + headers


async def append(tx: Transaction, outgoing: Sequence[Outgoing]) -> None:
    """Append events, in this order. No lock may be taken in the transaction afterwards (Rung.OUTBOX).

    Events of one key are published in the order in which their transactions held the key's locks. An event goes
    on with the trace of the event that caused it, else with that of the present task.
    """
    await append_records(tx, [_record(tx, each) for each in outgoing])


async def append_records(tx: Transaction, records: Sequence[Record]) -> None:
    """Append ready-made records: a dead letter keeps the bytes that came. Raises ValueError above MOST_BYTES."""
    if not records:
        return
    if too_large := [record for record in records if record.size() > MOST_BYTES]:
        raise ValueError(f"a record of {too_large[0].size()} bytes for {too_large[0].topic} is too large")
    tx.reach(Rung.OUTBOX)
    await tx.raw.execute(
        _INSERT,
        [bucket_of(record.key) for record in records],
        [record.topic for record in records],
        [record.key for record in records],
        [pack(record.headers) for record in records],
        [record.value for record in records],
        tx.now,
    )
    tx.after_commit(tx.nudges.outbox.ring)


def bucket_of(key: bytes) -> int:
    """Return the bucket of a key; the same for ever, or two publishers would share a key."""
    return crc32(key) % BUCKETS


def pack(headers: Headers) -> bytes:
    """Write a record's headers as bytes for a column."""
    return json.dumps([(name, value.decode("latin-1")) for name, value in headers]).encode()


def unpack(packed: bytes) -> list[tuple[str, bytes]]:
    """Read a record's headers from a column."""
    return [(name, value.encode("latin-1")) for name, value in json.loads(packed)]


def _record(tx: Transaction, outgoing: Outgoing) -> Record:
    event = outgoing.event
    envelope = Envelope(
        event_id=outgoing.event_id or new_id(),
        source=event.topic.owner,
        type=type(event).__name__,
        version=event.version,
        time=tx.now,
        subject=event.subject(),
        correlation_id=outgoing.correlation_id,
        causation_id=outgoing.causation_id,
        sequence=outgoing.sequence,
        traceparent=trace_of(outgoing.causation_id),
    )
    return Record(event.topic.name, event.key().encode(), envelope.headers(), encode(event))
