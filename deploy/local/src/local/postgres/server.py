"""A PostgreSQL server on a loopback port, with passwords nobody has seen, that ends when we do."""

import asyncio
import contextlib
import signal
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Self
from urllib.parse import quote

import asyncpg

from local.children import Child
from local.ports import LOOPBACK, free_port
from local.postgres import cluster
from local.postgres.databases import Databases

DURABLE: Mapping[str, str] = MappingProxyType({})
"""PostgreSQL's own defaults: what was committed is on the disk."""

THROWAWAY: Mapping[str, str] = MappingProxyType(
    {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
)
"""For tests alone: quick, and a crash of the machine may ruin the whole cluster."""


class EmbeddedPostgres:
    """A running server. It keeps its port and passwords when it is stopped or killed and started again."""

    def __init__(self, kept: cluster.Cluster, directory: Path, settings: Mapping[str, str]) -> None:
        """Use `start` instead."""
        self._cluster = kept
        self._directory = directory
        self._settings = settings
        self._child: Child | None = None
        self.port = free_port()

    @classmethod
    async def start(
        cls, directory: Path, *, settings: Mapping[str, str] = DURABLE, version: cluster.Version = 16
    ) -> Self:
        """Start the server whose cluster `directory` holds; the first time, make it.

        `settings` are PostgreSQL's own, by name. Raises ChildFailedError where the server does not come up.
        """
        synced = settings.get("fsync") != "off"
        server = cls(await cluster.prepare(directory, version=version, synced=synced), directory, settings)
        await server.start_again()
        return server

    @property
    def pid(self) -> int:
        """The process id of the postmaster. Raises RuntimeError when it was never started."""
        return self._running().pid

    @property
    def admin_url(self) -> str:
        """The URL for the role that may do everything, on the maintenance database."""
        return self.url("postgres")

    def url(self, database: str, *, user: str = cluster.ADMINISTRATOR, password: str | None = None) -> str:
        """Return the URL of a database; without a password, the administrator's."""
        secret = self._cluster.password if password is None else password
        return f"postgresql://{quote(user)}:{quote(secret)}@{LOOPBACK}:{self.port}/{quote(database)}"

    async def create_database(self, name: str, owner_role: str) -> str:
        """Make a role with a random password and a database it owns; return the URL (Databases.create)."""
        return await Databases(self.admin_url).create(name, owner_role)

    async def start_again(self) -> None:
        """Start the server on its port, after `stop` or `kill`. Raises ChildFailedError where it fails."""
        settings = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            **self._settings,
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        self._child = Child(self._cluster.command("postgres", "-D", str(self._cluster.data), *options))
        try:
            await self._child.wait_until(self._answers, within_seconds=30.0)
        except BaseException:  # also when we are cancelled: nobody else knows of the child yet
            await self._child.stop()
            raise

    async def stop(self) -> None:
        """End all sessions and the server (PostgreSQL's fast shutdown). Harmless when it is down."""
        if self._child is not None:
            await self._child.stop()

    async def kill(self) -> None:
        """End the server as a crash would (PostgreSQL's immediate shutdown): nothing is written any more.

        SIGKILL would leave its workers alive for a moment, and a successor refuses to start beside them.
        """
        child = self._running()
        child.send(signal.SIGQUIT)
        await child.ended()

    async def discard(self) -> None:
        """Stop the server and remove its directory with everything in it."""
        await self.stop()
        await asyncio.to_thread(cluster.remove, self._directory)

    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError("this PostgreSQL was never started")
        return self._child

    async def _answers(self) -> bool:
        with contextlib.suppress(ConnectionError, TimeoutError, asyncpg.CannotConnectNowError):
            connection = await asyncpg.connect(self.admin_url, timeout=5)
            await connection.close()
            return True
        return False
