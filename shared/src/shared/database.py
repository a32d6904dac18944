"""The engine and the transaction: one use case is one transaction, committed at the edge."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from shared.clock import Clock, SystemClock
from shared.errors import LockOrderBroken, Unavailable
from shared.locks import Rung, advisory_key
from shared.nudge import Nudges

_TRANSIENT = (
    Unavailable,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,  # a primary that became a standby under us
    asyncpg.InvalidCachedStatementError,
    InterfaceError,
    PoolTimeoutError,
    ConnectionError,
    TimeoutError,
)


def unavailable(error: BaseException) -> bool:
    """Say whether an error means "try the same again", not "this work is wrong".

    True for lost connections, deadlocks, serialization failures, lock and statement timeouts, and where every
    connection was busy for too long.
    """
    if isinstance(error, _TRANSIENT):
        return True
    if isinstance(error, DBAPIError):
        cause = error.orig.__cause__ if error.orig is not None else None
        return error.connection_invalidated or isinstance(cause, _TRANSIENT)
    return False


class Transaction:
    """An open transaction: `raw` for set-based statements, `sql` for SQLAlchemy, `now` as its one time."""

    def __init__(
        self, sql: AsyncConnection, raw: asyncpg.Connection, *, now: datetime, nudges: Nudges
    ) -> None:
        self.sql = sql
        self.raw = raw
        self.now = now
        self.nudges = nudges
        self._rung = Rung.START
        self._after_commit: list[Callable[[], None]] = []

    def reach(self, rung: Rung) -> None:
        """Say that locks of this rung are taken next. Raises LockOrderBroken on a step down."""
        if rung < self._rung:
            raise LockOrderBroken(f"{rung.name} is locked before {self._rung.name}, never after it")
        self._rung = rung

    def climb_again(self) -> None:
        """Begin the order of locks anew, for the parts of one event that are done one by one.

        The locks of the first part are kept, so order per key holds; a deadlock is possible, and retried.
        """
        self._rung = Rung.START

    def after_commit(self, action: Callable[[], None]) -> None:
        """Call `action` once the transaction has been committed; it is forgotten on a rollback."""
        self._after_commit.append(action)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what happens inside, locks order and after-commit actions included, if it raises."""
        rung, actions = self._rung, len(self._after_commit)
        try:
            async with self.raw.transaction():
                yield
        except BaseException:
            self._rung = rung
            del self._after_commit[actions:]
            raise

    def committed(self) -> None:
        """Run what waited for the commit."""
        for action in self._after_commit:
            action()


class Database:
    """One service's PostgreSQL database.

    `statement_timeout_seconds` also bounds how long a transaction may sit idle: both stay below Kafka's
    session timeout, so that a frozen process cannot hold locks against its successor.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 8,
        statement_timeout_seconds: float = 30.0,
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.nudges = Nudges()
        milliseconds = str(round(statement_timeout_seconds * 1000))
        self.engine = create_async_engine(
            url.replace("postgresql://", "postgresql+asyncpg://", 1),
            pool_size=pool_size,
            max_overflow=0,
            pool_recycle=1800,
            isolation_level="AUTOCOMMIT",  # asyncpg begins and ends the transactions; SQLAlchemy joins them
            hide_parameters=True,  # an error message must not repeat what a statement carried
            connect_args={
                "server_settings": {
                    "jit": "off",
                    "statement_timeout": milliseconds,
                    "idle_in_transaction_session_timeout": milliseconds,
                    "timezone": "UTC",
                },
            },
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a transaction; commit it at the end of the block, roll it back if the block raises."""
        async with self._connection() as (sql, raw):
            tx = Transaction(sql, raw, now=self.clock.now(), nudges=self.nudges)
            async with raw.transaction():
                yield tx
        tx.committed()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Open a transaction that only reads, and sees one moment of the database."""
        async with (
            self._connection() as (sql, raw),
            raw.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield Transaction(sql, raw, now=self.clock.now(), nudges=self.nudges)

    async def fetch(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """Run one statement, a transaction by itself: one trip to the server instead of three. For those who poll."""
        async with self._connection() as (_, raw):
            rows: list[asyncpg.Record] = await raw.fetch(statement, *values)
        return rows

    @asynccontextmanager
    async def elected(self, name: str) -> AsyncIterator[bool]:
        """Hold the office called `name` among all replicas for the block; yields False if another holds it."""
        key = advisory_key("office", name)
        async with self._connection() as (_, raw):
            mine = bool(await raw.fetchval("SELECT pg_try_advisory_lock($1)", key))
            try:
                yield mine
            finally:
                if mine and not raw.is_closed():
                    await asyncio.shield(raw.execute("SELECT pg_advisory_unlock($1)", key))

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[AsyncConnection, asyncpg.Connection]]:
        """Lend one connection in both its forms, never one that the server has closed meanwhile.

        One whose borrower was cancelled is not lent again: asyncpg may have left a statement half begun on it.
        """
        async with self.engine.connect() as sql:
            raw = await _raw(sql)
            if raw.is_closed():
                await sql.invalidate()
                raw = await _raw(sql)
            try:
                yield sql, raw
            except asyncio.CancelledError:
                await sql.invalidate()
                raise
            finally:
                if raw.is_closed():
                    await sql.invalidate()


async def _raw(sql: AsyncConnection) -> asyncpg.Connection:
    """Return the asyncpg connection under an SQLAlchemy one, for statements over whole sets."""
    return (await sql.get_raw_connection()).driver_connection
