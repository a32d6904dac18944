"""The program of a service: its three verbs, from the environment to the exit code."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from shared import logs, migrate
from shared.command import Replay, run_command
from shared.database import Database
from shared.kafka import KafkaConnection
from shared.lifecycle import Role
from shared.service import Process, Service
from shared.settings import ServiceSettings, load
from shared.topic_admin import ensure_topics
from shared.topics import owned_by
from shared.vault import Vault

Settings = TypeVar("Settings", bound=ServiceSettings)


class Program(Generic[Settings]):
    """What `<service> serve | migrate | replay` does; `build` wires the service from its surroundings."""

    def __init__(
        self, name: str, settings: type[Settings], build: Callable[[Settings, Database, Vault], Service]
    ) -> None:
        self._name = name
        self._settings = settings
        self._build = build

    def run(self) -> int:
        """Do what the command line says and return the exit code."""
        return run_command(self._name, serve=self.serve, migrate=self.migrate, replay=self.replay)

    async def serve(self, role: Role) -> int:
        """Run until a signal."""
        settings, vault = self._surroundings()
        service = self._build(settings, _database(settings), vault)
        return await Process(service, settings, vault=vault, role=role).serve()

    async def migrate(self) -> None:
        """Bring the database and this service's topics to what this build needs."""
        settings, _ = self._surroundings()
        package = self._build.__module__.partition(".")[0]
        await migrate.migrate(settings.database_url.get_secret_value(), package=package)
        await ensure_topics(KafkaConnection.of(settings), owned_by(self._name))

    async def replay(self, what: Replay) -> None:
        """Ask again for everything open, or mark everything parked for the worker to handle again."""
        settings, vault = self._surroundings()
        async with _closing(_database(settings)) as database:
            asks = self._build(settings, database, vault).asks
            if what is Replay.OPEN and asks is not None:
                await asks.replay_open()
            if what is Replay.PARKED:
                async with database.transaction() as tx:
                    await tx.raw.execute("UPDATE parked SET replay_asked_at = $1", tx.now)

    def _surroundings(self) -> tuple[Settings, Vault]:
        settings = load(self._settings)
        logs.configure(self._name, settings.log_level)
        return settings, Vault.load(settings.vault_keys_file)


def _database(settings: ServiceSettings) -> Database:
    return Database(settings.database_url.get_secret_value())


@asynccontextmanager
async def _closing(database: Database) -> AsyncIterator[Database]:
    try:
        yield database
    finally:
        await database.close()
