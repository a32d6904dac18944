"""A database with assignment's tables, and a small world around it."""

from collections.abc import AsyncIterator, Sequence

import httpx2
import pytest

from assignment import api
from assignment.tables import metadata
from local.simulators.identity import IdentitySimulator
from shared.auth import Verifier
from shared.clock import SystemClock
from shared.database import Database
from shared.web import Health, build_app
from tests.assignment.door import Door
from tests.assignment.world import World
from tests.conftest import NewDatabase


@pytest.fixture(scope="session")
async def assignment_database(new_database: NewDatabase) -> AsyncIterator[Database]:
    """One database for the rooms' tests; each finds it empty."""
    database = Database(await new_database("assignment"))
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield database
    await database.close()


@pytest.fixture
async def database(assignment_database: Database) -> Database:
    """The database, emptied."""
    names = ", ".join(table.name for table in metadata.sorted_tables)
    async with assignment_database.transaction() as tx:
        await tx.raw.execute(f"TRUNCATE {names}")
    return assignment_database


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    """The world of one test; what must hold at any time is checked at its end."""
    world = World(database)
    yield world
    await world.check()


@pytest.fixture(scope="session")
async def identity() -> AsyncIterator[IdentitySimulator]:
    """Whoever signs tokens."""
    async with IdentitySimulator() as identity:
        yield identity


@pytest.fixture
async def door(database: Database, identity: IdentitySimulator) -> AsyncIterator[Door]:
    """The app; it takes groups of up to 50."""

    async def nothing() -> Sequence[str]:
        return []

    async with httpx2.AsyncClient() as http:
        app = build_app(
            title="assignment",
            description="",
            verifier=Verifier(
                {identity.url: identity.jwks_url}, audience="assignment", http=http, clock=SystemClock()
            ),
            health=Health(stuck=list, unready=nothing),
            routers=[api.router(database, max_targets=50)],
        )
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://assignment") as client:
            yield Door(client, identity)
