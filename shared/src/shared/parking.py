"""Parked records: what could not be handled waits here, visible, and only its own entitlements wait behind it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from shared.batches import Received
from shared.database import Transaction
from shared.ids import new_id
from shared.locks import advisory_key
from shared.outbox import Record, append_records, pack, unpack
from shared.topics import dead_letters, named

WHOLE = 0
"""The part of a parked row that holds the whole event; such a row has not claimed the inbox."""

SOME_TARGETS = 1
"""The part that holds some targets of an event whose other targets were done with the claim."""

FOLLOWS = "follows"
"""The reason of a record that is in order itself, but waits behind a parked one of the same entitlement."""

_PARK = """
INSERT INTO parked (id, consumer, event_id, part, topic, partition, record_offset, key, headers, value, sealed,
                    event_type, entitlement_ids, reason, detail, attempts, parked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 1, $16)
ON CONFLICT ON CONSTRAINT parked_once DO NOTHING RETURNING id
"""


class Seal(Protocol):
    """Seals what a restricted topic carried, so that a parked row shows nothing."""

    def seal(self, plaintext: bytes, *, table: str, column: str, row_id: str) -> bytes:
        """Return the sealed bytes, bound to their place."""
        ...

    def open(self, sealed: bytes, *, table: str, column: str, row_id: str) -> Any:
        """Return the secret whose `reveal()` gives the bytes back."""
        ...


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """A parked record, or the parked targets of one."""

    id: UUID
    event_id: UUID
    part: int
    received: Mapping[str, Any]
    entitlement_ids: frozenset[UUID]
    reason: str
    replay_asked: bool


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something is parked: `reason` is a slug, `detail` a sentence without any value of the record."""

    reason: str
    detail: str


class Parking:
    """The parked rows of one consumer, and its dead-letter topic."""

    def __init__(self, consumer: str, service: str, seal: Seal | None = None) -> None:
        self.consumer = consumer
        self._dead_letters = dead_letters(service).name
        self._seal = seal

    async def park(
        self,
        tx: Transaction,
        record: Received,
        trouble: Trouble,
        *,
        part: int = WHOLE,
        value: bytes | None = None,
    ) -> None:
        """Park a record (or, as `value`, some targets of it) and tell the dead-letter topic, in `tx`."""
        row_id = new_id()
        restricted = _restricted(record.place.topic)
        body = record.value if value is None else value
        if restricted and body is not None and self._seal is not None:
            body = self._seal.seal(body, table="parked", column="value", row_id=str(row_id))
        event_id = record.envelope.event_id if record.envelope is not None else _stand_in(record)
        ids = list(record.heard.event.entitlement_ids()) if record.heard is not None else []
        parked = await tx.raw.fetchval(
            _PARK, row_id, self.consumer, event_id, part, record.place.topic, record.place.partition,
            record.place.offset, record.key, pack(record.headers), body, restricted,
            record.envelope.type if record.envelope is not None else "", ids, trouble.reason, trouble.detail, tx.now,
        )  # fmt: skip
        if parked is not None and trouble.reason != FOLLOWS:
            await append_records(tx, [self._dead_letter(record, trouble, shown=not restricted)])

    async def crowded(self, tx: Transaction, keys: Iterable[bytes]) -> dict[bytes, list[ParkedRow]]:
        """Return the parked rows of these keys, with a lock that keeps replay and consumer apart."""
        found = await tx.raw.fetch(
            "SELECT DISTINCT key FROM parked WHERE consumer = $1 AND key = ANY ($2::bytea[])",
            self.consumer,
            list(set(keys)),
        )
        if not found:
            return {}
        return {
            row["key"]: await self.locked(tx, row["key"]) for row in sorted(found, key=lambda row: row["key"])
        }

    async def locked(self, tx: Transaction, key: bytes) -> list[ParkedRow]:
        """Take the advisory lock on (consumer, key) and return the key's rows, oldest first."""
        await tx.raw.execute("SELECT pg_advisory_xact_lock($1)", advisory_key(self.consumer, key.hex()))
        rows = await tx.raw.fetch(
            "SELECT * FROM parked WHERE consumer = $1 AND key = $2 ORDER BY id", self.consumer, key
        )
        return [_parked_row(row) for row in rows]

    def value_of(self, row: ParkedRow) -> bytes | None:
        """Return a parked row's value as it came."""
        value: bytes | None = row.received["value"]
        if not row.received["sealed"] or value is None or self._seal is None:
            return value
        revealed: bytes = self._seal.open(value, table="parked", column="value", row_id=str(row.id)).reveal()
        return revealed

    def _dead_letter(self, record: Received, trouble: Trouble, *, shown: bool) -> Record:
        place = record.place
        why = {
            "md_reason": trouble.reason,
            "md_detail": trouble.detail,
            "md_consumer": self.consumer,
            "md_topic": place.topic,
            "md_partition": str(place.partition),
            "md_offset": str(place.offset),
            "md_attempts": "1",
        }
        headers = [*record.headers, *((name, value.encode()) for name, value in why.items())]
        return Record(self._dead_letters, record.key, headers, record.value if shown else b"")


def waits_behind(rows: Sequence[ParkedRow]) -> frozenset[UUID]:
    """Return the entitlements for which later records of the same key must wait."""
    return frozenset().union(*(row.entitlement_ids for row in rows))


def _restricted(topic: str) -> bool:
    try:
        return named(topic).restricted
    except KeyError:
        return False


def _stand_in(record: Received) -> UUID:
    """Return an id for a record that has none: the same record gives the same id."""
    return UUID(
        int=advisory_key(record.place.topic, str(record.place.partition), str(record.place.offset)) + 2**63
    )


def _parked_row(row: Mapping[str, Any]) -> ParkedRow:
    received = {name: row[name] for name in ("topic", "partition", "record_offset", "key", "value", "sealed")}
    return ParkedRow(
        id=row["id"],
        event_id=row["event_id"],
        part=row["part"],
        received={**received, "headers": unpack(row["headers"])},
        entitlement_ids=frozenset(row["entitlement_ids"]),
        reason=row["reason"],
        replay_asked=row["replay_asked_at"] is not None,
    )
