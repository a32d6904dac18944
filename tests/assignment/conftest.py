"""A database with assignment's tables, and a small world around it."""

from collections.abc import AsyncIterator

import pytest

from assignment.tables import metadata
from shared.database import Database
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
