import asyncio
import importlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa

from shared.database import Database
from shared.migrate import (
    assert_tables_match,
    head_revision,
    migrate,
    schema_revision,
    schema_unready,
    write_revision,
)
from tests.conftest import NewDatabase

ENV = """
from shared.migrate import run_migrations
from {package}.tables import metadata

run_migrations(metadata)
"""
MAKO = '''"""${message}"""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
'''
TABLES = """
import sqlalchemy as sa

metadata = sa.MetaData()
shelf = sa.Table("shelf", metadata, sa.Column("id", sa.Uuid, primary_key=True), sa.Column("name", sa.Text))
"""
FIRST = """
import sqlalchemy as sa
from alembic import op

revision = "r1"
down_revision = None


def upgrade():
    op.create_table("shelf", sa.Column("id", sa.Uuid, primary_key=True))
"""
SECOND = """
import sqlalchemy as sa
from alembic import op

revision = "r2"
down_revision = "r1"


def upgrade():
    op.add_column("shelf", sa.Column("name", sa.Text))
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS shelf_by_name ON shelf (name)")
        op.execute("DROP INDEX CONCURRENTLY shelf_by_name")
"""
JOB = """
import asyncio, sys
from shared.migrate import migrate

asyncio.run(migrate(sys.argv[1], package=sys.argv[2]))
"""
PACKAGES = iter(range(1000))


class Library:
    """A package with tables and migrations, written for one test."""

    def __init__(self, folder: Path) -> None:
        self.package = f"library_{next(PACKAGES)}"
        self.root = folder / self.package
        self.versions = self.root / "migrations" / "versions"
        self.versions.mkdir(parents=True)
        (self.root / "__init__.py").touch()
        (self.root / "migrations" / "env.py").write_text(ENV.format(package=self.package))
        (self.root / "migrations" / "script.py.mako").write_text(MAKO)
        (self.root / "tables.py").write_text(TABLES)

    def release(self, revision: str, text: str) -> None:
        """Write a revision, and be a build that knows it."""
        (self.versions / f"2026_11_22_{revision}.py").write_text(text)
        head_revision.__globals__["_revisions"].cache_clear()

    @property
    def metadata(self) -> sa.MetaData:
        metadata: sa.MetaData = importlib.import_module(f"{self.package}.tables").metadata
        return metadata


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.syspath_prepend(tmp_path)
    library = Library(tmp_path)
    library.release("r1", FIRST)
    return library


@pytest.fixture
async def url(new_database: NewDatabase) -> str:
    return await new_database("library")


@pytest.fixture
async def reader(url: str) -> AsyncIterator[Database]:
    database = Database(url, pool_size=2)
    yield database
    await database.close()


async def revision(database: Database) -> str | None:
    async with database.reading() as tx:
        return await schema_revision(tx)


async def test_migrate_brings_the_database_to_the_newest_revision(
    library: Library, url: str, reader: Database
) -> None:
    assert await revision(reader) is None
    await migrate(url, package=library.package)
    assert await revision(reader) == "r1" == head_revision(library.package)
    library.release("r2", SECOND)
    await migrate(url, package=library.package)
    assert await revision(reader) == "r2" == head_revision(library.package)


async def test_migrating_again_changes_nothing(library: Library, url: str, reader: Database) -> None:
    await migrate(url, package=library.package)
    await migrate(url, package=library.package)
    assert await revision(reader) == "r1"


async def test_two_jobs_at_once_take_turns(library: Library, url: str, reader: Database) -> None:
    library.release("r2", SECOND)
    environment = {**os.environ, "PYTHONPATH": str(library.root.parent)}
    command = (sys.executable, "-c", JOB, url, library.package)
    jobs = [await asyncio.create_subprocess_exec(*command, env=environment) for _ in range(2)]
    assert await asyncio.gather(*(each.wait() for each in jobs)) == [0, 0]
    assert await revision(reader) == "r2"


async def test_a_change_gives_way_to_who_holds_its_table_and_comes_again(
    library: Library, url: str, reader: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.migrate.LOCK_TIMEOUT", "100ms")
    await migrate(url, package=library.package)
    library.release("r2", SECOND)
    holder = await asyncpg.connect(url)
    async with holder.transaction():
        await holder.execute("SELECT * FROM shelf")
        job = asyncio.create_task(migrate(url, package=library.package))
        await asyncio.sleep(0.5)
        async with reader.reading() as tx:
            assert await tx.raw.fetch("SELECT * FROM shelf") == []
        assert not job.done()
    await holder.close()
    await job
    assert await revision(reader) == "r2"


async def test_a_broken_change_fails_the_job_and_leaves_the_revisions_before_it(
    library: Library, url: str, reader: Database
) -> None:
    library.release("r2", SECOND.replace('"shelf", sa.Column', '"nowhere", sa.Column'))
    with pytest.raises(sa.exc.ProgrammingError):
        await migrate(url, package=library.package)
    assert await revision(reader) == "r1"


async def test_scenario_33_old_pods_stay_ready_while_the_migration_job_of_the_new_release_runs(
    library: Library, url: str, reader: Database
) -> None:
    assert await schema_unready(reader, package=library.package) == ["schema_behind"]
    await migrate(url, package=library.package)
    assert await schema_unready(reader, package=library.package) == []
    async with reader.transaction() as tx:
        await tx.raw.execute("UPDATE alembic_version SET version_num = 'of a later release'")
    assert await schema_unready(reader, package=library.package) == []


async def test_new_pods_wait_for_the_job_of_their_release(
    library: Library, url: str, reader: Database
) -> None:
    await migrate(url, package=library.package)
    library.release("r2", SECOND)
    assert await schema_unready(reader, package=library.package) == ["schema_behind"]
    await migrate(url, package=library.package)
    assert await schema_unready(reader, package=library.package) == []


async def test_a_database_out_of_reach_is_a_reason_and_no_error(library: Library) -> None:
    nowhere = Database("postgresql://nobody:x@127.0.0.1:9/nowhere")
    assert await schema_unready(nowhere, package=library.package) == ["database_unreachable"]
    await nowhere.close()


async def test_tables_that_differ_from_the_migrations_are_told(library: Library, url: str) -> None:
    await migrate(url, package=library.package)
    with pytest.raises(AssertionError, match="name"):
        await assert_tables_match(url, library.metadata)
    library.release("r2", SECOND)
    await migrate(url, package=library.package)
    await assert_tables_match(url, library.metadata)


async def test_a_revision_is_written_from_what_the_tables_say(library: Library, url: str) -> None:
    await migrate(url, package=library.package)
    await write_revision(url, package=library.package, message="names of shelves")
    (written,) = library.versions.glob("*_names_of_shelves.py")
    assert "op.add_column('shelf'" in written.read_text()
    assert written.name[:2] == "20"
    head_revision.__globals__["_revisions"].cache_clear()
    await migrate(url, package=library.package)
    await assert_tables_match(url, library.metadata)
