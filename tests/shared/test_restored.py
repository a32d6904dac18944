"""What a publisher tells after its database was restored is believed by those who heard more before (scenario 19)."""

from typing import Any

import pytest
import sqlalchemy as sa

from shared.database import Database
from shared.restored import EPOCH, raise_versions
from tests.shared.conftest import fetch

TABLES = sa.MetaData()
PERSON = sa.Table(
    "person",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
)
COPY = sa.Table(
    "copy",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
)

_HEAR = """
INSERT INTO copy SELECT * FROM person
ON CONFLICT (id) DO UPDATE SET version = excluded.version, name = excluded.name WHERE copy.version < excluded.version
"""


@pytest.fixture
async def tables(database: Database) -> None:
    """Two people whom a copy knows better than the publisher whose database is an hour old."""
    async with database.engine.begin() as connection:
        await connection.run_sync(TABLES.create_all)
    await fetch(database, "INSERT INTO copy VALUES (1, 7, 'lost'), (2, 900000, 'lost too')")
    await fetch(database, "INSERT INTO person VALUES (1, 5, 'new'), (2, 3, 'new')")


async def names(database: Database) -> list[Any]:
    return [row["name"] for row in await fetch(database, "SELECT name FROM copy ORDER BY id")]


@pytest.mark.usefixtures("tables")
async def test_scenario_19_after_a_restore_versions_rise_above_all_that_was_told(database: Database) -> None:
    await fetch(database, _HEAR)
    assert await names(database) == ["lost", "lost too"]
    await raise_versions(database, [PERSON.c.version])
    await fetch(database, _HEAR)
    assert await names(database) == ["new", "new"]


@pytest.mark.usefixtures("tables")
async def test_only_the_versions_that_are_told_rise_and_keep_their_order(database: Database) -> None:
    await raise_versions(database, [PERSON.c.version])
    versions = [row["version"] for row in await fetch(database, "SELECT version FROM person ORDER BY id")]
    assert versions == [EPOCH + 5, EPOCH + 3]
    assert [row["version"] for row in await fetch(database, "SELECT version FROM copy ORDER BY id")] == [
        7,
        900000,
    ]
