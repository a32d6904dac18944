"""A set of 1,000 targets: the events about it as the bus hands them on, and the arrays that its statements take."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from bench.licensing_database import ASSET_ID, NOON
from licensing.model import Ask, State
from licensing.store.license_rows import Rows
from shared.batches import Batch, Place, Received
from shared.events import MAX_TARGETS_PER_EVENT, Envelope, Event, Heard, Principal
from shared.events.assignment import AssignmentRequested, AssignmentRevoked
from shared.events.registry import encode
from shared.events.words import AssetKind, AssignmentMode, Held, InstallMode, RevokeReason
from shared.ids import new_id, new_ids
from shared.outbox import pack


class LicenseSet:
    """The `number`-th set; its licences are the next in the order of arrival."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.intent_id = new_id()
        self._request_id = new_id()
        self._serial_numbers = [f"S{number:06}{place:04}" for place in range(MAX_TARGETS_PER_EVENT)]
        self._entitlement_ids = new_ids(MAX_TARGETS_PER_EVENT)

    @property
    def before(self) -> int:
        """How many licences are in the sets before it."""
        return self.number * len(self._entitlement_ids)

    def targets(self, version: int = 1) -> tuple[Principal, ...]:
        """Return its targets as events name them."""
        return tuple(
            Principal(entitlement_id=entitlement_id, version=version, serial_number=serial_number)
            for entitlement_id, serial_number in zip(self._entitlement_ids, self._serial_numbers, strict=True)
        )

    def requested(self) -> Batch:
        """Return the record that asks for the licences."""
        return self._batch(
            AssignmentRequested(
                asset_id=ASSET_ID,
                kind=AssetKind.VPP_APP,
                assignment_mode=AssignmentMode.DEVICE,
                install_mode=InstallMode.AUTOMATIC,
                targets=self.targets(),
            )
        )

    def revoked(self) -> Batch:
        """Return the record that takes them back."""
        return self._batch(
            AssignmentRevoked(
                asset_id=ASSET_ID,
                kind=AssetKind.VPP_APP,
                reason=RevokeReason.LEFT_GROUP,
                targets=self.targets(version=2),
            )
        )

    def claim(self) -> Sequence[Any]:
        """Return what claims a record about it takes."""
        return ("licensing", [new_id()], NOON)

    def known(self) -> Sequence[Any]:
        """Return what finding its licences takes."""
        return (self._entitlement_ids, self._serial_numbers, [ASSET_ID])

    def licenses(self, pool_id: UUID, state: State, *, held: Held | None = None) -> Sequence[Any]:
        """Return what writing its licences takes; while they are reserved they are part of a request to Apple."""
        many, reserved = len(self._entitlement_ids), state is State.RESERVED
        asks = [
            Ask(
                each.entitlement_id,
                each.version,
                each.serial_number or "",
                ASSET_ID,
                self._request_id,
                new_id(),
            )
            for each in self.targets(version=1 if reserved else 2)
        ]
        rows = Rows()
        rows.extend(
            asks,
            pool_id=pool_id,
            state=state,
            arrivals=range(self.before + 1, self.before + many + 1),
            intent_ids=[self.intent_id if reserved else None] * many,
            outcome=(held, None, None),
        )
        return (*rows.columns, NOON)

    def told(self, event: Event) -> Sequence[Any]:
        """Return what appending an event about it takes."""
        envelope = self._envelope(event, source="licensing")
        headers = pack(envelope.headers())
        return ([0], [event.topic.name], [event.key().encode()], [headers], [encode(event)], NOON)

    def _batch(self, event: Event) -> Batch:
        envelope = self._envelope(event, source="assignment")
        batch = Batch(type(event))
        place = Place(event.topic.name, 0, self.number)
        batch.add(Received(place, event.key().encode(), (), b"", envelope, Heard(envelope, event)))
        return batch

    def _envelope(self, event: Event, *, source: str) -> Envelope:
        return Envelope(
            event_id=new_id(),
            source=source,
            type=type(event).__name__,
            version=event.version,
            time=NOON,
            subject=event.subject(),
            correlation_id=self._request_id,
        )
