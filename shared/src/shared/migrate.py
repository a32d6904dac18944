"""The schema of a service: brought to the newest revision by one Job per release, and checked by who serves.

Each service keeps Alembic's `migrations/` folder beside its tables; its env.py calls `run_migrations`. A change must
fit the old code and the new one, for both run at once while a release rolls out.
"""

import asyncio
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
import structlog
from alembic import command, context
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from shared.clock import Clock, SystemClock
from shared.database import Database, Transaction, unavailable
from shared.locks import advisory_key
from shared.retry import Backoff

log = structlog.get_logger(__name__)

LOCK_TIMEOUT = "4s"
"""How long a change waits for a table: behind it all other statements on the table would queue up."""

_ALEMBIC = asyncio.Lock()  # Alembic keeps what it works on in a module: one migration at a time in a process
_TURN_SECONDS = 0.5
_TRIES = 30
_LOCK_NOT_AVAILABLE = "55P03"


async def migrate(database_url: str, *, package: str, clock: Clock | None = None) -> None:
    """Bring the database to the newest revision of a package's `migrations/` folder.

    Two Jobs at once take turns. A change that does not get its lock in time gives way and is tried again.
    """
    clock = clock or SystemClock()
    engine = create_async_engine(_asyncpg(database_url), poolclass=NullPool)
    try:
        async with _ALEMBIC, engine.connect() as connection:
            await _take_turn(connection, advisory_key("migrate", package), clock)
            await connection.execute(sa.text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
            await connection.commit()
            await _upgrade(connection, config=_config(package), clock=clock)
    finally:
        await engine.dispose()
    log.info("migrated", package=package, revision=head_revision(package))


def run_migrations(metadata: sa.MetaData) -> None:
    """Run what Alembic decided to run, each revision in a transaction of its own: the body of an env.py."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def write_revision(database_url: str, *, package: str, message: str) -> None:
    """Write the revision that leads from the database to the package's tables, to be read and kept by a person."""
    engine = create_async_engine(_asyncpg(database_url), poolclass=NullPool)
    try:
        async with _ALEMBIC, engine.connect() as connection:
            await connection.run_sync(_write_revision, _config(package), message)
    finally:
        await engine.dispose()


def head_revision(package: str) -> str:
    """Return the newest revision that this build knows."""
    return _revisions(package)[0]


async def schema_revision(tx: Transaction) -> str | None:
    """Return the revision the database is at, None where nothing was migrated yet."""
    if await tx.raw.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    revision: str | None = await tx.raw.fetchval("SELECT version_num FROM alembic_version")
    return revision


async def schema_unready(database: Database, *, package: str) -> list[str]:
    """Return why a process of this build cannot work with the database, as slugs; nothing when it can.

    A revision this build does not know is a later release's, made to fit this build too: old pods stay ready while
    the new release's Job runs.
    """
    try:
        async with database.reading() as tx:
            revision = await schema_revision(tx)
    except Exception as error:
        if not unavailable(error):
            raise
        return ["database_unreachable"]
    _, *older = _revisions(package)
    return ["schema_behind"] if revision is None or revision in older else []


async def assert_tables_match(database_url: str, metadata: sa.MetaData) -> None:
    """Raise AssertionError if the migrated database differs from the tables that the code declares."""
    engine = create_async_engine(_asyncpg(database_url), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            differences = await connection.run_sync(_differences, metadata)
    finally:
        await engine.dispose()
    if differences:
        raise AssertionError(f"the migrations do not lead to the declared tables: {differences}")


async def _take_turn(connection: AsyncConnection, key: int, clock: Clock) -> None:
    """Hold the lock of the Jobs until the connection closes.

    Asked again and again, for a session that waits inside a statement would be waited for by the other Job's
    CREATE INDEX CONCURRENTLY: a deadlock.
    """
    while True:
        mine = await connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": key})
        await connection.commit()
        if mine:
            return
        await clock.sleep(_TURN_SECONDS)


async def _upgrade(connection: AsyncConnection, *, config: Config, clock: Clock) -> None:
    backoff = Backoff(first=0.5, most=10.0)
    for _ in range(_TRIES - 1):
        try:
            await connection.run_sync(_to_head, config)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            await connection.rollback()
            log.warning("a change waits for its lock")
            await clock.sleep(backoff.next())
        else:
            return
    await connection.run_sync(_to_head, config)


def _to_head(connection: sa.Connection, config: Config) -> None:
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _write_revision(connection: sa.Connection, config: Config, message: str) -> None:
    config.attributes["connection"] = connection
    command.revision(config, message, autogenerate=True)


def _differences(connection: sa.Connection, metadata: sa.MetaData) -> list[Any]:
    migration = MigrationContext.configure(connection, opts={"compare_server_default": True})
    return list(compare_metadata(migration, metadata))


@lru_cache
def _revisions(package: str) -> tuple[str, ...]:
    """Return the revisions that this build knows, newest first."""
    script = ScriptDirectory.from_config(_config(package))
    return tuple(revision.revision for revision in script.walk_revisions())


def _config(package: str) -> Config:
    config = Config()
    config.set_main_option("script_location", f"{package}:migrations")
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(year)d_%%(month).2d_%%(day).2d_%%(slug)s")
    return config


def _asyncpg(url: str) -> str:
    return url.replace("postgresql://", "postgresql+asyncpg://", 1)
