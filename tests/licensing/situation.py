"""A ledger to try things on: one library, pools with so many licences, events to hear and events told."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg

from licensing import handlers
from shared import ids
from shared.database import Database
from shared.events import Envelope, Event, Heard, Principal, Unreadable
from shared.events.assignment import AssignmentRequested, AssignmentRevoked
from shared.events.envelope import read_envelope
from shared.events.registry import decode, event_type
from shared.events.words import AssetKind, AssignmentMode, InstallMode, RevokeReason
from shared.outbox import unpack

LIBRARY = "lib-1"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Wish:
    """One target as assignment knows it."""

    serial_number: str
    entitlement_id: UUID
    version: int = 1


def wish(serial_number: str, *, version: int = 1) -> Wish:
    return Wish(serial_number, ids.new_id(), version)


def wishes(count: int, prefix: str = "S") -> list[Wish]:
    return [wish(f"{prefix}{number:05}") for number in range(count)]


class Situation:
    """The ledger in a database, and what happens to it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.asset_id = ids.asset_id("361309726", "STDQ")
        self.pool_id = ids.new_id()

    async def begin(self, licenses: int | None, *, book: bool = False) -> None:
        """Open the library with one pool of so many licences; None is an unlimited one."""
        await self.store_library(LIBRARY)
        async with self.database.transaction() as tx:
            await tx.raw.execute(
                "INSERT INTO asset (id, adam_id, pricing_param, is_book, device_assignable, revocable, platforms)"
                " VALUES ($1, '361309726', 'STDQ', $2, $3, $3, '{iOS,macOS}')",
                self.asset_id,
                book,
                not book,
            )
            await tx.raw.execute(
                "INSERT INTO pool (id, library_id, asset_id, unlimited, total, retired, apple_available,"
                " apple_assigned, read_at) VALUES ($1, $2, $3, $4, $5, 0, $5, 0, $6)",
                self.pool_id,
                LIBRARY,
                self.asset_id,
                licenses is None,
                licenses or 0,
                tx.now,
            )

    async def store_library(self, library_id: str) -> None:
        """Let a library be known."""
        async with self.database.transaction() as tx:
            await tx.raw.execute(
                "INSERT INTO library (id, state, mdm_id, location_name, country, platform, website_url, created_at)"
                " VALUES ($1, 'active', $2, 'School', 'FR', 'volumestore', 'https://school.apple.com', $3)",
                library_id,
                ids.new_id(),
                tx.now,
            )

    async def request(self, *targets: Wish, **said: Any) -> UUID:
        """Let assignment ask for licences, in one event, as the bus would bring it; return its request."""
        heard = self.requested(*targets, **said)
        await self.hear([heard])
        return heard.envelope.correlation_id

    async def revoke(self, *targets: Wish, version: int = 2) -> UUID:
        """Let assignment take entitlements back."""
        heard = self.revoked(*targets, version=version)
        await self.hear([heard])
        return heard.envelope.correlation_id

    async def hear(self, heard: Sequence[Heard[Any]]) -> None:
        """Bring a batch of one type."""
        requested = isinstance(heard[0].event, AssignmentRequested)
        async with self.database.transaction() as tx:
            await (handlers.reserve if requested else handlers.release)(tx, heard)

    def requested(
        self, *targets: Wish, unreadable: Sequence[Unreadable] = (), **said: Any
    ) -> Heard[AssignmentRequested]:
        event = AssignmentRequested(
            asset_id=said.pop("asset_id", self.asset_id),
            kind=said.pop("kind", AssetKind.VPP_APP),
            assignment_mode=AssignmentMode.DEVICE,
            install_mode=InstallMode.AUTOMATIC,
            targets=_principals(targets),
            **said,
        )
        return Heard(_envelope(event), event, tuple(unreadable))

    def revoked(
        self, *targets: Wish, version: int = 2, unreadable: Sequence[Unreadable] = ()
    ) -> Heard[AssignmentRevoked]:
        event = AssignmentRevoked(
            asset_id=self.asset_id,
            kind=AssetKind.VPP_APP,
            reason=RevokeReason.LEFT_GROUP,
            targets=_principals([Wish(each.serial_number, each.entitlement_id, version) for each in targets]),
        )
        return Heard(_envelope(event), event, tuple(unreadable))

    async def told(self) -> list[tuple[Envelope, Event]]:
        """Take what was told out of the outbox, in order."""
        async with self.database.transaction() as tx:
            rows = await tx.raw.fetch("DELETE FROM outbox RETURNING id, key, headers, value")
        return [_read(row) for row in sorted(rows, key=lambda row: row["id"])]

    async def told_of(self) -> dict[UUID, list[str]]:
        """Take the outbox and return, per entitlement, the types of the events told in order."""
        answers: dict[UUID, list[str]] = {}
        for envelope, event in await self.told():
            for entitlement_id in event.entitlement_ids():
                answers.setdefault(entitlement_id, []).append(envelope.type)
        return answers

    async def rows(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        async with self.database.reading() as tx:
            rows: list[asyncpg.Record] = await tx.raw.fetch(statement, *values)
            return rows

    async def pool(self) -> asyncpg.Record:
        (row,) = await self.rows("SELECT * FROM pool WHERE id = $1", self.pool_id)
        return row

    async def states(self) -> Counter[str]:
        """Count the licences by their stored state."""
        rows = await self.rows("SELECT state, count(*) FROM license GROUP BY state")
        return Counter({row[0]: row[1] for row in rows})

    async def state(self, target: Wish) -> str:
        rows = await self.rows("SELECT state FROM license WHERE entitlement_id = $1", target.entitlement_id)
        return rows[0][0] if rows else "unknown"

    async def send(self, *targets: Wish) -> None:
        """Mark the requests that these targets are part of as sent to Apple."""
        async with self.database.transaction() as tx:
            await tx.raw.execute(
                "UPDATE intent SET sent_at = $1, joinable = false, event_id = id::text WHERE id IN"
                " (SELECT intent_id FROM license WHERE entitlement_id = ANY ($2))",
                tx.now,
                [target.entitlement_id for target in targets],
            )

    async def check(self) -> None:
        """Hold the promises that are true after every transaction."""
        await self._check_counters()
        doubled = await self.rows(
            "SELECT serial_number FROM license WHERE intent_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
        )
        assert not doubled
        sizes = await self.rows(
            "SELECT size, (SELECT count(*) FROM license WHERE intent_id = intent.id) AS members FROM intent"
        )
        assert all(row["size"] == row["members"] for row in sizes)
        stranded = await self.rows(
            "SELECT serial_number FROM license AS mine WHERE state IN ('reserved', 'releasing')"
            " AND intent_id IS NULL AND NOT EXISTS (SELECT FROM license AS other WHERE"
            " other.serial_number = mine.serial_number AND other.intent_id IS NOT NULL)"
        )
        assert not stranded, "a licence on its way has a request, or waits for that of its target"

    async def _check_counters(self) -> None:
        row = await self.pool()
        counted = await self.states()
        assert row["held"] == counted["reserved"] + counted["assigned"] + counted["releasing"]
        assert row["waiting"] == counted["waitlisted"]
        if not row["unlimited"]:
            capacity = row["total"] - row["retired"] - row["foreign_count"]
            assert row["waiting"] == 0 or row["held"] >= capacity, "idle beside a waiter"


def _principals(targets: Sequence[Wish]) -> tuple[Principal, ...]:
    return tuple(
        Principal(
            entitlement_id=target.entitlement_id, version=target.version, serial_number=target.serial_number
        )
        for target in targets
    )


def _envelope(event: Event) -> Envelope:
    return Envelope(
        event_id=ids.new_id(),
        source="assignment",
        type=type(event).__name__,
        version=1,
        time=NOON,
        subject=event.subject(),
        correlation_id=ids.new_id(),
    )


def _read(row: asyncpg.Record) -> tuple[Envelope, Event]:
    envelope = read_envelope(unpack(row["headers"]))
    kind = event_type(envelope)
    assert kind is not None
    heard = decode(kind, envelope, key=row["key"], value=row["value"])
    assert not heard.unreadable
    return envelope, heard.event
