"""Records as they come from Kafka, made from events without a broker."""

from datetime import UTC, datetime
from itertools import count
from uuid import UUID

from shared.batches import Place, Received, receive
from shared.events import Envelope, Event
from shared.events.registry import encode
from shared.ids import new_id

_OFFSETS = count()


def record_of(event: Event, *, event_id: UUID | None = None, value: bytes | None = None) -> Received:
    """Return the record that carries this event; `value` replaces its data."""
    envelope = Envelope(
        event_id=event_id or new_id(),
        source=event.topic.owner,
        type=type(event).__name__,
        version=event.version,
        time=datetime.now(UTC),
        subject=event.subject(),
        correlation_id=new_id(),
    )
    place = Place(event.topic.name, 0, next(_OFFSETS))
    return receive(place, key=event.key().encode(), headers=envelope.headers(), value=value or encode(event))
