"""A ledger to try things on: one library, pools with so many licences, events to hear and events told."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg

from licensing import handlers
from licensing.ledger import Ledger
from licensing.ledger.people import accepted
from licensing.model import HOLDING, Holder
from licensing.store import people, pools
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

    holder: Holder
    entitlement_id: UUID
    version: int = 1

    @property
    def serial_number(self) -> str:
        assert isinstance(self.holder, str), "a device's"
        return self.holder


def wish(holder: Holder, *, version: int = 1) -> Wish:
    return Wish(holder, ids.new_id(), version)


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

    async def open_pool(self, library_id: str, licenses: int) -> UUID:
        """Let another library hold the asset too, asked after the first one."""
        await self.store_library(library_id)
        pool_id = ids.new_id()
        async with self.database.transaction() as tx:
            await tx.raw.execute("UPDATE library SET preference = 1 WHERE id = $1", library_id)
            await tx.raw.execute(
                "INSERT INTO pool (id, library_id, asset_id, unlimited, total, retired, apple_available,"
                " apple_assigned, read_at) VALUES ($1, $2, $3, false, $4, 0, $4, 0, $5)",
                *(pool_id, library_id, self.asset_id, licenses, tx.now),
            )
        return pool_id

    async def own(self, licenses: int, pool_id: UUID | None = None) -> None:
        """Let a reading say that a pool has so many licences."""
        pool_id = pool_id or self.pool_id
        async with self.database.transaction() as tx:
            await pools.lock(tx, [pool_id])
            await tx.raw.execute("UPDATE pool SET total = $2 WHERE id = $1", pool_id, licenses)
            ledger = await Ledger.of_pools(tx, [pool_id])
            await ledger.shrink()
            await ledger.close()

    async def associate_person(self, user_id: UUID, library_id: str = LIBRARY) -> None:
        """Let a person's Apple user be associated, as the reading of Apple's users does it."""
        async with self.database.transaction() as tx:
            await people.lock(tx, {user_id: None})
            await tx.raw.execute(
                "INSERT INTO apple_user (library_id, user_id, client_user_id, state, correlation_id, changed_at)"
                " VALUES ($1, $2::uuid, $2::uuid::text, 'associated', $3, $4)"
                " ON CONFLICT (library_id, user_id) DO UPDATE SET state = 'associated'",
                *(library_id, user_id, ids.new_id(), tx.now),
            )
            await accepted(tx, library_id, [user_id])

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

    async def revoke(self, *targets: Wish, version: int = 2, **said: Any) -> UUID:
        """Let assignment take entitlements back."""
        heard = self.revoked(*targets, version=version, **said)
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
        self,
        *targets: Wish,
        version: int = 2,
        reason: RevokeReason = RevokeReason.LEFT_GROUP,
        unreadable: Sequence[Unreadable] = (),
    ) -> Heard[AssignmentRevoked]:
        event = AssignmentRevoked(
            asset_id=self.asset_id,
            kind=AssetKind.VPP_APP,
            reason=reason,
            targets=_principals([replace(each, version=version) for each in targets]),
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
        return await self.database.fetch(statement, *values)

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
        await self._check_nobody_waits_beside_a_free_licence()
        doubled = await self.rows(
            "SELECT pool_id, serial_number, user_id FROM license WHERE intent_id IS NOT NULL"
            " GROUP BY 1, 2, 3 HAVING count(*) > 1"
        )
        assert not doubled
        sizes = await self.rows(
            "SELECT size, (SELECT count(*) FROM license WHERE intent_id = intent.id) AS members FROM intent"
        )
        assert all(row["size"] == row["members"] for row in sizes)
        lost = await self.rows(
            "SELECT entitlement_id FROM license WHERE intent_id IS NOT NULL"
            " AND NOT EXISTS (SELECT FROM intent WHERE intent.id = license.intent_id)"
        )
        assert not lost, "a licence in a request that is no more"
        stranded = await self.rows(
            "SELECT serial_number FROM license AS mine WHERE state IN ('reserved', 'releasing')"
            " AND intent_id IS NULL AND release_at IS NULL AND NOT EXISTS (SELECT FROM license AS other WHERE"
            " coalesce(other.serial_number, other.user_id::text) = coalesce(mine.serial_number, mine.user_id::text)"
            " AND other.intent_id IS NOT NULL)"
        )
        assert not stranded, "a licence on its way has a request, or waits for that of its target"

    async def _check_counters(self) -> None:
        for row in await self.rows("SELECT * FROM pool"):
            await self._check_pool(row)

    async def _check_pool(self, row: asyncpg.Record) -> None:
        states = await self.rows(
            "SELECT state, count(*) FROM license WHERE pool_id = $1 GROUP BY state", row["id"]
        )
        counted = Counter({each[0]: each[1] for each in states})
        assert row["held"] == sum(counted[state] for state in HOLDING)
        assert row["waiting"] == counted["waitlisted"]

    async def _check_nobody_waits_beside_a_free_licence(self) -> None:
        """Whichever library has one: those who insist on another, and those who wait no more, are not eligible."""
        idle = await self.rows(
            "SELECT license.entitlement_id FROM pool JOIN license ON license.asset_id = pool.asset_id"
            " AND license.state = 'waitlisted' AND coalesce(license.library_id, pool.library_id) = pool.library_id"
            " AND (license.expires_at IS NULL OR license.expires_at > $1)"
            " WHERE pool.unlimited OR pool.held < pool.total - pool.retired - pool.foreign_count",
            self.database.clock.now(),
        )
        assert not idle, "idle beside a waiter"


def _principals(targets: Sequence[Wish]) -> tuple[Principal, ...]:
    return tuple(
        Principal(
            entitlement_id=target.entitlement_id,
            version=target.version,
            serial_number=target.holder if isinstance(target.holder, str) else None,
            user_id=target.holder if isinstance(target.holder, UUID) else None,
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
