"""PostgreSQL as it is by default, durable, with licensing's tables in it and one library that owns one large pool."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg

from licensing.tables import metadata
from local.postgres import DURABLE, EmbeddedPostgres
from shared.database import Database
from shared.ids import asset_id, new_id

LIBRARY = "library"
ASSET_ID = asset_id("361309726", "STDQ")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
POOL = 1_000_000
"""Licences in it."""


@asynccontextmanager
async def licensing_database() -> AsyncIterator[tuple[str, Database]]:
    """Start it, and at the end leave nothing of it; yield its URL too, for those who go without our own code."""
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


async def begin(connection: asyncpg.Connection) -> UUID:
    """Empty the tables and open one pool; what the last run left to write is written now. Return the pool's id."""
    names = ", ".join(table.name for table in metadata.sorted_tables)
    await connection.execute(f"TRUNCATE {names} CASCADE")
    await connection.execute(
        "INSERT INTO library (id, state, mdm_id, location_name, country, platform, website_url, created_at)"
        " VALUES ($1, 'active', $2, 'School', 'FR', 'volumestore', 'https://school.apple.com', $3)",
        *(LIBRARY, new_id(), NOON),
    )
    await connection.execute(
        "INSERT INTO asset (id, adam_id, pricing_param, is_book, device_assignable, revocable, platforms)"
        " VALUES ($1, '361309726', 'STDQ', false, true, true, '{iOS,macOS}')",
        ASSET_ID,
    )
    pool_id = new_id()
    await connection.execute(
        "INSERT INTO pool (id, library_id, asset_id, unlimited, total, retired, apple_available, apple_assigned,"
        " read_at) VALUES ($1, $2, $3, false, $4, 0, $4, 0, $5)",
        *(pool_id, LIBRARY, ASSET_ID, POOL, NOON),
    )
    await connection.execute("CHECKPOINT")
    return pool_id
