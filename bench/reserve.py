"""Reserving licences: licensing's own handler, beside the same SQL on arrays that are ready beforehand."""

import asyncio
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from bench.figures import Figure, Size
from licensing import handlers
from licensing.store.licenses import _INSERT as INSERT_LICENSES
from licensing.store.pools import _OF_ASSETS as LOCK_POOLS
from licensing.store.pools import _SAVE as SAVE_POOLS
from licensing.tables import metadata
from local.postgres import DURABLE, EmbeddedPostgres
from shared.batches import Batch, Place, Received
from shared.database import Database
from shared.events import MAX_TARGETS_PER_EVENT, Envelope, Heard, Principal
from shared.events.assignment import AssignmentRequested
from shared.events.licensing import LicenseReserved
from shared.events.registry import encode
from shared.events.words import AssetKind, AssignmentMode, InstallMode
from shared.handling import Handling
from shared.ids import asset_id, new_id, new_ids
from shared.inbox import _CLAIM as CLAIM
from shared.outbox import _INSERT as INSERT_OUTBOX
from shared.outbox import pack
from shared.parking import Parking
from shared.program import calm_the_collector

_SETS = 200
_WARM_SETS = 20
_ROUNDS = 3
_POOL = 1_000_000

_LIBRARY = "library"
_ASSET_ID = asset_id("361309726", "STDQ")
_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def measure(size: Size) -> list[Figure]:
    """Measure licences per second; the runs of the handler and of the yardstick take turns."""
    sets = size.of(_SETS)
    async with _database() as (url, database):
        handled, bare = [], []
        for _ in range(_ROUNDS):
            bare.append(await _with_bare_sql(url, sets))
            handled.append(await _with_the_handler(database, url, sets))
    note = f"{sets} sets of {MAX_TARGETS_PER_EVENT} into one pool of {_POOL:,}, median of {_ROUNDS}"
    value, yardstick = statistics.median(handled), statistics.median(bare)
    return [Figure("reserve", value, "licences/s", yardstick, size.note(note))]


@asynccontextmanager
async def _database() -> AsyncIterator[tuple[str, Database]]:
    """Start PostgreSQL as it is by default, durable, with licensing's tables in one database."""
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    server = await EmbeddedPostgres.start(directory / "postgres", settings=DURABLE)
    try:
        database = Database(server.admin_url)
        async with database.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        yield server.admin_url, database
        await database.close()
    finally:
        await server.discard()
        await asyncio.to_thread(shutil.rmtree, directory)


async def _with_the_handler(database: Database, url: str, sets: int) -> float:
    """Return how many licences a second the handler reserves, each set in a transaction with its claim."""
    connection = await asyncpg.connect(url)
    await _begin(connection)
    await connection.close()
    handling = Handling(database, {AssignmentRequested: handlers.reserve}, Parking("licensing", "licensing"))
    batches = [_batch(number) for number in range(_WARM_SETS + sets)]
    calm_the_collector()
    for batch in batches[:_WARM_SETS]:
        await handling.do(batch)
    began = time.perf_counter()
    for batch in batches[_WARM_SETS:]:
        if await handling.do(batch):
            raise RuntimeError("a set was parked: the handler failed")
    return sets * MAX_TARGETS_PER_EVENT / (time.perf_counter() - began)


async def _with_bare_sql(url: str, sets: int) -> float:
    """Return how many licences a second the statements alone bring in."""
    connection = await asyncpg.connect(url)
    try:
        pool_id = await _begin(connection)
        ready = [_ready(number, pool_id) for number in range(_WARM_SETS + sets)]
        calm_the_collector()
        for each in ready[:_WARM_SETS]:
            await _run(connection, each)
        began = time.perf_counter()
        for each in ready[_WARM_SETS:]:
            await _run(connection, each)
        return sets * MAX_TARGETS_PER_EVENT / (time.perf_counter() - began)
    finally:
        await connection.close()


async def _begin(connection: asyncpg.Connection) -> UUID:
    """Empty the tables and open one pool; what the last run left to write is written now. Return the pool's id."""
    names = ", ".join(table.name for table in metadata.sorted_tables)
    await connection.execute(f"TRUNCATE {names} CASCADE")
    await connection.execute(
        "INSERT INTO library (id, state, mdm_id, location_name, country, platform, website_url, created_at)"
        " VALUES ($1, 'active', $2, 'School', 'FR', 'volumestore', 'https://school.apple.com', $3)",
        *(_LIBRARY, new_id(), _NOON),
    )
    await connection.execute(
        "INSERT INTO asset (id, adam_id, pricing_param, is_book, device_assignable, revocable, platforms)"
        " VALUES ($1, '361309726', 'STDQ', false, true, true, '{iOS,macOS}')",
        _ASSET_ID,
    )
    pool_id = new_id()
    await connection.execute(
        "INSERT INTO pool (id, library_id, asset_id, unlimited, total, retired, apple_available, apple_assigned,"
        " read_at) VALUES ($1, $2, $3, false, $4, 0, $4, 0, $5)",
        *(pool_id, _LIBRARY, _ASSET_ID, _POOL, _NOON),
    )
    await connection.execute("CHECKPOINT")
    return pool_id


def _targets(number: int) -> tuple[Principal, ...]:
    return tuple(
        Principal(entitlement_id=entitlement_id, version=1, serial_number=f"S{number:06}{place:04}")
        for place, entitlement_id in enumerate(new_ids(MAX_TARGETS_PER_EVENT))
    )


def _batch(number: int) -> Batch:
    """Return what the bus hands on for one record of assignment.events."""
    event = AssignmentRequested(
        asset_id=_ASSET_ID,
        kind=AssetKind.VPP_APP,
        assignment_mode=AssignmentMode.DEVICE,
        install_mode=InstallMode.AUTOMATIC,
        targets=_targets(number),
    )
    envelope = _envelope("AssignmentRequested", source="assignment", correlation_id=new_id())
    place = Place(event.topic.name, 0, number)
    batch = Batch(AssignmentRequested)
    batch.add(Received(place, event.key().encode(), (), b"", envelope, Heard(envelope, event)))
    return batch


def _envelope(kind: str, *, source: str, correlation_id: UUID) -> Envelope:
    return Envelope(
        event_id=new_id(),
        source=source,
        type=kind,
        version=1,
        time=_NOON,
        subject=str(_ASSET_ID),
        correlation_id=correlation_id,
    )


class _Ready(NamedTuple):
    """The parameters of every statement of one set."""

    claim: Sequence[Any]
    licenses: Sequence[Any]
    pools: Sequence[Any]
    outbox: Sequence[Any]


def _ready(number: int, pool_id: UUID) -> _Ready:
    """Return the arrays that the handler would make of a set; the event told is as long as its own."""
    targets = _targets(number)
    many, done = len(targets), number * len(targets)
    request_id, intent_id = new_id(), new_id()
    told = _envelope(LicenseReserved.__name__, source="licensing", correlation_id=request_id)
    return _Ready(
        claim=("licensing", [new_id()], _NOON),
        licenses=(
            [target.entitlement_id for target in targets],
            [pool_id] * many,
            [_ASSET_ID] * many,
            [target.serial_number for target in targets],
            [1] * many,
            ["reserved"] * many,
            [request_id] * many,
            [0] * many,
            list(range(done + 1, done + many + 1)),
            [False] * many,
            [intent_id] * many,
            [None] * many,
            [None] * many,
            [None] * many,
            _NOON,
        ),
        pools=([pool_id], [done + many], [0], [done + many]),
        outbox=(
            [0],
            [LicenseReserved.topic.name],
            [told.subject.encode()],
            [pack(told.headers())],
            [_reserved(targets)],
            _NOON,
        ),
    )


def _reserved(targets: Sequence[Principal]) -> bytes | None:
    """Return the value of the event that tells the reservations."""
    said = [target.model_dump() for target in targets]
    return encode(
        LicenseReserved.model_validate({"asset_id": _ASSET_ID, "library_id": _LIBRARY, "targets": said})
    )


async def _run(connection: asyncpg.Connection, ready: _Ready) -> None:
    """Run the statements of one set in one transaction, in the order of the locks."""
    async with connection.transaction():
        await connection.fetch(CLAIM, *ready.claim)
        await connection.fetch(LOCK_POOLS, [_ASSET_ID])
        await connection.execute(INSERT_LICENSES, *ready.licenses)
        await connection.execute(SAVE_POOLS, *ready.pools)
        await connection.execute(INSERT_OUTBOX, *ready.outbox)
