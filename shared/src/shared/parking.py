"""Parked records: what could not be handled waits here, visible, and only its own entitlements wait behind it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID, uuid5

from shared.batches import Place, Received
from shared.database import Transaction
from shared.ids import new_id
from shared.locks import advisory_key
from shared.outbox import MOST_BYTES, Record, append_records, pack
from shared.topics import dead_letters, named

WHOLE = 0
"""The part of a parked row that holds the whole event; such a row has not claimed the inbox."""

FAILED = 1
"""The part that holds the targets that failed of an event whose other targets were done with the claim."""

FOLLOWING = 2
"""The part that holds the targets that wait behind parked ones; the event's other targets had their turn."""

FOLLOWS = "follows"
"""The reason of what is in order itself, but waits behind a parked record of the same entitlement."""

_STRANGERS = UUID("0c3b7e52-6a3c-5a52-8a54-5f9d1d0e7b11")

_PARK = """
INSERT INTO parked (id, consumer, event_id, part, topic, partition, record_offset, key, headers, value, sealed,
                    event_type, entitlement_ids, reason, detail, attempts, parked_at)
SELECT id, $1, event_id, part, topic, partition, record_offset, key, headers, value, sealed,
       event_type, string_to_array(entitlement_ids, ',')::uuid[], reason, detail, 1, $2
FROM unnest($3::uuid[], $4::uuid[], $5::smallint[], $6::text[], $7::int[], $8::bigint[], $9::bytea[], $10::bytea[],
            $11::bytea[], $12::boolean[], $13::text[], $14::text[], $15::text[], $16::text[])
     AS row (id, event_id, part, topic, partition, record_offset, key, headers, value, sealed, event_type,
             entitlement_ids, reason, detail)
WHERE part <> 0 OR NOT EXISTS (SELECT FROM inbox WHERE inbox.consumer = $1 AND inbox.event_id = row.event_id)
ON CONFLICT ON CONSTRAINT parked_once DO NOTHING RETURNING id
"""
_STILL = "SELECT DISTINCT event_id FROM parked WHERE consumer = $1 AND event_id = ANY ($2::uuid[])"
_CROWDED = "SELECT DISTINCT key FROM parked WHERE consumer = $1 AND key = ANY ($2::bytea[])"
_CROWD = "SELECT key, event_id, entitlement_ids FROM parked WHERE consumer = $1 AND key = ANY ($2::bytea[])"
_LOCK = "SELECT pg_advisory_xact_lock(lock) FROM unnest($1::bigint[]) AS lock"
_KEEP = """
UPDATE parked SET part = $2, value = $3, entitlement_ids = $4::uuid[], attempts = attempts + 1,
                  reason = $5, detail = $6
WHERE id = $1
"""
_REFUSE = "UPDATE parked SET attempts = attempts + 1, reason = $2, detail = $3 WHERE id = $1"
_CALL = """
UPDATE parked AS follower SET replay_asked_at = $2 FROM parked AS head
WHERE head.id = $1 AND (follower.consumer, follower.key, follower.reason) = (head.consumer, head.key, 'follows')
"""


class Seal(Protocol):
    """Seals what a restricted topic carried, so that a parked row shows nothing."""

    def seal(self, plaintext: bytes, *, table: str, column: str, row_id: UUID | str) -> bytes:
        """Return the sealed bytes, bound to their place."""
        ...

    def open(self, sealed: bytes, *, table: str, column: str, row_id: UUID | str) -> Any:
        """Return the secret whose `reveal()` gives the bytes back."""
        ...


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something is parked: `reason` is a slug, `detail` a sentence without any value of the record."""

    reason: str
    detail: str


WAITS = Trouble(FOLLOWS, "waits behind a parked record")


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is to be parked: a record whose event tells only the targets to park, and its value cut likewise."""

    record: Received
    trouble: Trouble
    part: int = WHOLE
    value: bytes | None = None

    def event_id(self) -> UUID:
        """Return the event's id; a record that has none gets the same one each time it is read."""
        if self.record.envelope is not None:
            return self.record.envelope.event_id
        place = self.record.place
        return uuid5(_STRANGERS, f"{place.topic}/{place.partition}/{place.offset}")

    def entitlement_ids(self) -> tuple[UUID, ...]:
        """Return the entitlements that wait; none where nobody can read whose they are."""
        return self.record.heard.event.entitlement_ids() if self.record.heard is not None else ()


@dataclass(slots=True)
class Crowd:
    """What is parked under one key: the events themselves, and the entitlements that wait behind them."""

    event_ids: set[UUID] = field(default_factory=set)
    waiting: set[UUID] = field(default_factory=set)


class Parking:
    """The parked rows of one consumer, and its dead-letter topic.

    `seal` is needed where a restricted topic is heard: its records are parked sealed, or not at all.
    """

    def __init__(self, consumer: str, service: str, seal: Seal | None = None) -> None:
        self.consumer = consumer
        self._dead_letters = dead_letters(service).name
        self._seal = seal

    async def park(self, tx: Transaction, parcels: Sequence[Parcel]) -> int:
        """Park what is not parked yet, and tell the dead-letter topic of it, in `tx`; return how many it was.

        A whole event that was done or discarded meanwhile, and comes again, is not parked.
        """
        if not parcels:
            return 0
        rows = {new_id(): parcel for parcel in parcels}
        parked = await tx.raw.fetch(_PARK, self.consumer, tx.now, *self._columns(rows))
        told = [rows[row["id"]] for row in parked if rows[row["id"]].trouble.reason != FOLLOWS]
        await append_records(tx, [self._dead_letter(parcel) for parcel in told])
        return len(parked)

    async def keep(self, tx: Transaction, row_id: UUID, parcel: Parcel) -> None:
        """Leave only the parcel of a parked row, and call what follows the rest; count the attempt."""
        value = self._sealed(row_id, parcel)
        ids = list(parcel.entitlement_ids())
        reason, detail = _plain(parcel.trouble.reason), _plain(parcel.trouble.detail)
        await tx.raw.execute(_KEEP, row_id, parcel.part, value, ids, reason, detail)
        await tx.raw.execute(_CALL, row_id, tx.now)

    async def refuse(self, tx: Transaction, row_id: UUID, trouble: Trouble) -> None:
        """Leave a parked row as it is, with another reason; count the attempt."""
        await tx.raw.execute(_REFUSE, row_id, trouble.reason, trouble.detail)

    async def crowds(self, tx: Transaction, keys: Iterable[bytes]) -> dict[bytes, Crowd]:
        """Return what is parked under these keys, under their locks."""
        found = await tx.raw.fetch(_CROWDED, self.consumer, list(set(keys)))
        if not found:
            return {}
        crowded = sorted(row["key"] for row in found)
        await lock(tx, self.consumer, crowded)
        crowds: dict[bytes, Crowd] = {}
        for row in await tx.raw.fetch(_CROWD, self.consumer, crowded):
            crowd = crowds.setdefault(row["key"], Crowd())
            crowd.event_ids.add(row["event_id"])
            crowd.waiting.update(row["entitlement_ids"])
        return crowds

    async def forget(self, tx: Transaction, keys: Sequence[bytes]) -> None:
        """Remove what is parked of people who were erased: a tombstone of theirs was handled."""
        await tx.raw.execute(
            "DELETE FROM parked WHERE consumer = $1 AND key = ANY ($2::bytea[])", self.consumer, keys
        )

    async def still(self, tx: Transaction, event_ids: Collection[UUID]) -> set[UUID]:
        """Return which of these events are parked still, whole or in part."""
        rows = await tx.raw.fetch(_STILL, self.consumer, list(event_ids))
        return {row["event_id"] for row in rows}

    def content(self, row: Mapping[str, Any]) -> bytes | None:
        """Return the value of a parked row as it came."""
        value: bytes | None = row["value"]
        if not row["sealed"] or value is None:
            return value
        revealed: bytes = (
            self._the_seal().open(value, table="parked", column="value", row_id=row["id"]).reveal()
        )
        return revealed

    def _columns(self, rows: Mapping[UUID, Parcel]) -> list[list[Any]]:
        """Return the columns of `_PARK` behind the consumer and the time."""
        records = [parcel.record for parcel in rows.values()]
        parcels = list(rows.values())
        return [
            list(rows),
            [parcel.event_id() for parcel in parcels],
            [parcel.part for parcel in parcels],
            [record.place.topic for record in records],
            [record.place.partition for record in records],
            [record.place.offset for record in records],
            [record.key for record in records],
            [pack(record.headers) for record in records],
            [self._sealed(row_id, parcel) for row_id, parcel in rows.items()],
            [_restricted(record.place) for record in records],
            [_plain(record.envelope.type) if record.envelope else "" for record in records],
            [",".join(map(str, parcel.entitlement_ids())) for parcel in parcels],
            [_plain(parcel.trouble.reason) for parcel in parcels],
            [_plain(parcel.trouble.detail) for parcel in parcels],
        ]

    def _sealed(self, row_id: UUID, parcel: Parcel) -> bytes | None:
        """Return the value to store: sealed, where it came from a restricted topic."""
        value = parcel.record.value if parcel.value is None else parcel.value
        if value is None or not _restricted(parcel.record.place):
            return value
        return self._the_seal().seal(value, table="parked", column="value", row_id=row_id)

    def _the_seal(self) -> Seal:
        if self._seal is None:
            raise RuntimeError("records of a restricted topic are parked sealed, and here is no seal")
        return self._seal

    def _dead_letter(self, parcel: Parcel) -> Record:
        """Return the record as it came, and why; of a restricted or very large one only as much as may be shown."""
        record, place = parcel.record, parcel.record.place
        why = {
            "md_reason": parcel.trouble.reason,
            "md_detail": parcel.trouble.detail,
            "md_consumer": self.consumer,
            "md_topic": place.topic,
            "md_partition": str(place.partition),
            "md_offset": str(place.offset),
            "md_attempts": "1",
        }
        reasons = [(name, value.encode()) for name, value in why.items()]
        headers = [*record.headers, *reasons]
        letters = [
            *([] if _restricted(place) else [Record(self._dead_letters, record.key, headers, record.value)]),
            Record(self._dead_letters, record.key, headers, None),
            Record(self._dead_letters, b"", reasons, None),
        ]
        return next(letter for letter in letters if letter.size() <= MOST_BYTES)


async def lock(tx: Transaction, consumer: str, keys: Sequence[bytes]) -> None:
    """Take the advisory locks on (consumer, key) that keep replay and consumer apart, in one order for everybody."""
    locks = sorted(advisory_key(consumer, key.hex()) for key in keys)
    await tx.raw.execute(_LOCK, locks)


async def remove(tx: Transaction, row_id: UUID) -> None:
    """Remove a row, and ask for the replay of what follows it: so nothing ever waits behind nothing."""
    await tx.raw.execute(_CALL, row_id, tx.now)
    await tx.raw.execute("DELETE FROM parked WHERE id = $1", row_id)


def _restricted(place: Place) -> bool:
    try:
        return named(place.topic).restricted
    except KeyError:
        return False


def _plain(text: str) -> str:
    """Return a stranger's text as PostgreSQL can hold it."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
