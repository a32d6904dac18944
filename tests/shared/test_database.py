import asyncio

import asyncpg
import pytest
import sqlalchemy as sa

from shared.database import Database, unavailable
from shared.errors import LockOrderBroken
from shared.locks import Rung
from tests.conftest import NewDatabase
from tests.shared.conftest import HEARD, fetch

NOTE = "INSERT INTO heard (entitlement_id, event_id, serial_number) VALUES ($1, $1, 'S')"
SOMEONE = "0190a5f0-0000-7000-8000-000000000001"


async def test_both_forms_of_a_connection_share_one_transaction(database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with database.transaction() as tx:
            await tx.raw.execute(NOTE, SOMEONE)
            assert (await tx.sql.execute(sa.select(sa.func.count()).select_from(HEARD))).scalar() == 1
            raise RuntimeError
    assert await fetch(database, "SELECT * FROM heard") == []


async def test_a_savepoint_undoes_only_what_was_inside(database: Database) -> None:
    called: list[str] = []
    async with database.transaction() as tx:
        await tx.raw.execute(NOTE, SOMEONE)
        tx.after_commit(lambda: called.append("outside"))
        with pytest.raises(RuntimeError):
            async with tx.savepoint():
                tx.reach(Rung.OUTBOX)
                tx.after_commit(lambda: called.append("inside"))
                await tx.raw.execute(NOTE, SOMEONE)
                raise RuntimeError
        tx.reach(Rung.TARGETS)
    assert len(await fetch(database, "SELECT * FROM heard")) == 1
    assert called == ["outside"]


async def test_locks_are_only_taken_upwards(database: Database) -> None:
    async with database.transaction() as tx:
        tx.reach(Rung.TARGETS)
        tx.reach(Rung.POOLS)
        with pytest.raises(LockOrderBroken, match="TARGETS is locked before POOLS"):
            tx.reach(Rung.TARGETS)


async def test_a_reading_transaction_writes_nothing(database: Database) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with database.reading() as tx:
            await tx.raw.execute(NOTE, SOMEONE)


async def test_one_replica_holds_an_office_at_a_time(database: Database) -> None:
    async with database.elected("count") as first, database.elected("count") as second:
        assert (first, second) == (True, False)
    async with database.elected("count") as again:
        assert again is True


async def test_a_connection_that_the_server_ended_is_replaced(database: Database) -> None:
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as ended:
        async with database.transaction() as tx:
            await tx.raw.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert unavailable(ended.value)
    assert [row[0] for row in await fetch(database, "SELECT 1")] == [1]


async def test_deadlocks_and_timeouts_mean_try_again(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.raw.execute("SET LOCAL statement_timeout = 20")
        with pytest.raises(asyncpg.QueryCanceledError) as late:
            await tx.raw.execute("SELECT pg_sleep(1)")
        assert unavailable(late.value)
        raise_after_rollback = late.value
    assert unavailable(raise_after_rollback)
    assert not unavailable(ValueError("a fault of ours"))


async def test_a_cancelled_transaction_leaves_no_lock_behind(database: Database) -> None:
    held = asyncio.Event()

    async def hold() -> None:
        async with database.transaction() as tx:
            await tx.raw.execute("LOCK TABLE heard IN ACCESS EXCLUSIVE MODE")
            held.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(hold())
    await held.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(20):
        assert await fetch(database, "SELECT * FROM heard") == []


async def test_whoever_is_cancelled_leaves_no_half_begun_statement_behind(new_database: NewDatabase) -> None:
    """asyncpg prepares a statement without a Sync: cancelled there, its transaction is still open in the server."""
    database = Database(await new_database("cancelled"), pool_size=1)
    for instant in range(60):
        reading = asyncio.ensure_future(database.fetch(f"SELECT {instant}"))
        for _ in range(instant):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        async with database.reading() as tx:
            assert await tx.raw.fetchval("SELECT 1") == 1
    await database.close()
