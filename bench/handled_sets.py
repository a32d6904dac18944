"""A handler that moves sets of 1,000 licences, beside the SQL texts that it runs, on arrays ready beforehand."""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg

from bench.figures import Figure, Size
from bench.license_sets import LicenseSet
from bench.licensing_database import POOL, begin, licensing_database
from shared.batches import Batch
from shared.database import Database
from shared.events import MAX_TARGETS_PER_EVENT
from shared.handling import Handlers, Handling
from shared.parking import Parking
from shared.program import calm_the_collector

_SETS = 200
_WARM_SETS = 20
_ROUNDS = 3

Statement = tuple[str, Sequence[Any]]
"""A text with its parameters."""


@dataclass(frozen=True, slots=True)
class Contest:
    """What is measured: how the sets come to where they begin, and both ways on from there."""

    name: str
    prepare: Callable[[asyncpg.Connection, UUID, Sequence[LicenseSet]], Awaitable[None]]
    handlers: Handlers
    record: Callable[[LicenseSet], Batch]
    statements: Callable[[LicenseSet, UUID, int], Sequence[Statement]]
    """In the order of the locks, for a set in a pool with so many sets."""
    note: str


async def compare(contest: Contest, size: Size) -> Figure:
    """Measure licences per second; the runs of the handler and of the yardstick take turns."""
    sets = size.of(_SETS)
    handled, bare = [], []
    async with licensing_database() as (url, database):
        connection = await asyncpg.connect(url)
        for _ in range(_ROUNDS):
            bare.append(await _with_bare_sql(contest, connection, sets))
            handled.append(await _with_the_handler(contest, connection, database, sets))
        await connection.close()
    note = f"{sets} sets of {MAX_TARGETS_PER_EVENT} {contest.note} of {POOL:,}, median of {_ROUNDS}"
    value, yardstick = statistics.median(handled), statistics.median(bare)
    return Figure(contest.name, value, "licences/s", yardstick, size.note(note))


async def _with_the_handler(
    contest: Contest, connection: asyncpg.Connection, database: Database, sets: int
) -> float:
    """Return how many licences a second the handler moves, each set in a transaction with its claim."""
    _, ready = await _begun(contest, connection, sets)
    handling = Handling(database, contest.handlers, Parking("licensing", "licensing"))
    batches = [contest.record(each) for each in ready]
    calm_the_collector()
    for batch in batches[:_WARM_SETS]:
        await handling.do(batch)
    began = time.perf_counter()
    for batch in batches[_WARM_SETS:]:
        if await handling.do(batch):
            raise RuntimeError("a set was parked: the handler failed")
    return sets * MAX_TARGETS_PER_EVENT / (time.perf_counter() - began)


async def _with_bare_sql(contest: Contest, connection: asyncpg.Connection, sets: int) -> float:
    """Return how many licences a second the statements alone move."""
    pool_id, ready = await _begun(contest, connection, sets)
    statements = [contest.statements(each, pool_id, len(ready)) for each in ready]
    calm_the_collector()
    for each in statements[:_WARM_SETS]:
        await _run(connection, each)
    began = time.perf_counter()
    for each in statements[_WARM_SETS:]:
        await _run(connection, each)
    return sets * MAX_TARGETS_PER_EVENT / (time.perf_counter() - began)


async def _begun(
    contest: Contest, connection: asyncpg.Connection, sets: int
) -> tuple[UUID, Sequence[LicenseSet]]:
    """Return an empty pool's id and the sets; what came before is written to the disk, and takes no time later."""
    pool_id = await begin(connection)
    ready = [LicenseSet(number) for number in range(_WARM_SETS + sets)]
    await contest.prepare(connection, pool_id, ready)
    await connection.execute("CHECKPOINT")
    return pool_id, ready


async def _run(connection: asyncpg.Connection, statements: Sequence[Statement]) -> None:
    """Run the statements of one set in one transaction."""
    async with connection.transaction():
        for text, parameters in statements:
            await connection.fetch(text, *parameters)
