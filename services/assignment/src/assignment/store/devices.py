"""Devices, as mdm-push told them last. A device's row is the lock under which its covers and lives change."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from asyncpg import Record

from assignment.model import Device
from shared.database import Transaction
from shared.events.words import EnrollmentKind, Platform

_COLUMNS = "d.id, d.serial_number, d.platform, d.os_version, d.kind, d.enrolled, d.generation"
_LOCK = f"SELECT {_COLUMNS}, d.sequence FROM devices d WHERE d.id = ANY ($1::uuid[]) ORDER BY d.id FOR UPDATE"
_BY_SERIAL = """
SELECT DISTINCT ON (serial_number) serial_number, id FROM devices
WHERE serial_number = ANY ($1::text[])
ORDER BY serial_number, enrolled DESC, id DESC
"""
_KNOWN = "SELECT id FROM devices WHERE id = ANY ($1::uuid[])"
_PUT = """
INSERT INTO devices (id, serial_number, platform, os_version, kind, supervised, product_name, generation, enrolled,
    sequence, changed_at)
SELECT told.*, $11
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::text[], $8::int[],
    $9::boolean[], $10::bigint[]) AS told (id, serial_number, platform, os_version, kind, supervised, product_name,
    generation, enrolled, sequence)
ON CONFLICT (id) DO UPDATE
SET serial_number = excluded.serial_number, platform = excluded.platform, os_version = excluded.os_version,
    kind = excluded.kind, supervised = excluded.supervised, product_name = excluded.product_name,
    generation = excluded.generation, enrolled = excluded.enrolled, sequence = excluded.sequence,
    changed_at = excluded.changed_at
WHERE devices.sequence < excluded.sequence
"""
_UNENROLL = """
UPDATE devices SET enrolled = false, sequence = gone.sequence, changed_at = $3
FROM unnest($1::uuid[], $2::bigint[]) AS gone (id, sequence)
WHERE devices.id = gone.id
"""
_NOTE_GONE = """
INSERT INTO gone_devices (id, sequence) SELECT * FROM unnest($1::uuid[], $2::bigint[])
ON CONFLICT (id) DO UPDATE SET sequence = greatest(gone_devices.sequence, excluded.sequence)
"""
_GONE = "SELECT id, sequence FROM gone_devices WHERE id = ANY ($1::uuid[])"


@dataclass(frozen=True, slots=True)
class Told:
    """A device as one event tells it, beside the sequence of that event."""

    device: Device
    supervised: bool
    product_name: str | None
    sequence: int


async def lock(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, Device]:
    """Lock these devices, in the order of their ids; unknown ids are absent from the answer."""
    return {row["id"]: _device(row) for row in await tx.raw.fetch(_LOCK, list(ids))}


async def lock_with_sequences(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, tuple[Device, int]]:
    """Lock these devices, in the order of their ids, each with the sequence it was told with last."""
    return {row["id"]: (_device(row), row["sequence"]) for row in await tx.raw.fetch(_LOCK, list(ids))}


async def ids_of_serials(tx: Transaction, serial_numbers: Sequence[str]) -> dict[str, UUID]:
    """Return the device of each serial number: the enrolled one, where a board was moved to another."""
    return {row["serial_number"]: row["id"] for row in await tx.raw.fetch(_BY_SERIAL, serial_numbers)}


async def known(tx: Transaction, ids: Sequence[UUID]) -> set[UUID]:
    """Return which of these ids are devices."""
    return {row["id"] for row in await tx.raw.fetch(_KNOWN, ids)}


async def put(tx: Transaction, told: Sequence[Told]) -> None:
    """Store devices, each told once at most; whatever was told with a higher sequence stays."""
    await tx.raw.execute(
        _PUT,
        [each.device.id for each in told],
        [each.device.serial_number for each in told],
        [each.device.platform for each in told],
        [each.device.os_version for each in told],
        [each.device.kind for each in told],
        [each.supervised for each in told],
        [each.product_name for each in told],
        [each.device.generation for each in told],
        [each.device.enrolled for each in told],
        [each.sequence for each in told],
        tx.now,
    )


async def unenroll(tx: Transaction, sequences: dict[UUID, int]) -> None:
    """Store that these devices are no longer enrolled, with the sequence that says so."""
    await tx.raw.execute(_UNENROLL, list(sequences), list(sequences.values()), tx.now)


async def note_gone(tx: Transaction, sequences: Mapping[UUID, int]) -> None:
    """Remember the end of devices that were never heard of: what was told before it must not bring them to life."""
    await tx.raw.execute(_NOTE_GONE, list(sequences), list(sequences.values()))


async def gone_before_known(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, int]:
    """Return with which sequence the end was told of those devices of which nothing else was."""
    return {row["id"]: row["sequence"] for row in await tx.raw.fetch(_GONE, list(ids))}


def _device(row: Record) -> Device:
    return Device(
        id=row["id"],
        serial_number=row["serial_number"],
        platform=Platform(row["platform"]),
        os_version=row["os_version"],
        kind=EnrollmentKind(row["kind"]),
        enrolled=row["enrolled"],
        generation=row["generation"],
    )
