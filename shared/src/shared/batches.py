"""From the records of one poll to batches of one event type each, with the order of every key kept (pure)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from shared.errors import Poison
from shared.events.envelope import Envelope, read_envelope
from shared.events.event import Event, Heard
from shared.events.registry import decode, event_type


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record came from."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Received:
    """A record as it came: `heard`, or `poison` where it cannot be read; neither where nobody here hears its type."""

    place: Place
    key: bytes
    headers: tuple[tuple[str, bytes], ...]
    value: bytes | None
    envelope: Envelope | None
    heard: Heard[Event] | None
    poison: Poison | None = None

    def weight(self) -> int:
        """Return how many targets it tells of, at least one."""
        return max(1, len(self.heard.event.entitlement_ids())) if self.heard is not None else 1


@dataclass(slots=True)
class Batch:
    """Records that one handler call may treat together, in order."""

    kind: type[Event] | None  # None: nothing in here can be read
    records: list[Received] = field(default_factory=list)
    weight: int = 0  # targets

    def add(self, record: Received) -> None:
        """Append a record."""
        self.records.append(record)
        self.weight += record.weight()

    def name(self) -> str:
        """Return what log lines call it."""
        return self.kind.__name__ if self.kind is not None else "unreadable"

    def halves(self) -> tuple["Batch", "Batch"]:
        """Return the first and the second half."""
        middle = len(self.records) // 2
        return Batch(self.kind, self.records[:middle]), Batch(self.kind, self.records[middle:])


def receive(
    place: Place,
    *,
    key: bytes,
    headers: Iterable[tuple[str, bytes | None]],
    value: bytes | None,
    heard_here: Collection[type[Event]] | None = None,
) -> Received:
    """Read one record; whatever is wrong with it becomes its `poison`, never an exception.

    Of types that are not `heard_here` (None: all are) only the envelope is read.
    """
    kept = tuple((name, value or b"") for name, value in headers)  # Kafka knows headers without a value
    envelope: Envelope | None = None
    try:
        envelope = read_envelope(kept)
        if heard_here is not None and envelope.type not in {kind.__name__ for kind in heard_here}:
            return Received(place, key, kept, value, envelope, None)
        kind = event_type(envelope)
        heard = decode(kind, envelope, key=key, value=value) if kind is not None else None
    except Poison as poison:
        return Received(place, key, kept, value, envelope, None, poison)
    return Received(place, key, kept, value, envelope, heard)


def to_batches(
    records: Iterable[Received],
    heard_here: Mapping[type[Event], object],
    *,
    most_events: int,
    most_targets: int,
) -> list[Batch]:
    """Group records, given in the order of their partitions.

    Types that are not heard here are dropped first. A record joins the open batch of its type only if no
    record of the same key and another type stands between them.
    """
    batches: list[Batch] = []
    open_batch: dict[type[Event] | None, int] = {}
    last_of_key: dict[tuple[str, bytes], int] = {}
    for record in records:
        kind = type(record.heard.event) if record.heard is not None else None
        if kind not in heard_here and record.poison is None:
            continue
        key = (record.place.topic, record.key)
        at = open_batch.get(kind)
        full = at is not None and (
            len(batches[at].records) >= most_events or batches[at].weight >= most_targets
        )
        if at is None or full or last_of_key.get(key, -1) > at:
            batches.append(Batch(kind))
            at = open_batch[kind] = len(batches) - 1
        batches[at].add(record)
        last_of_key[key] = at
    return batches
