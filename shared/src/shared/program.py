"""A service as a program: the three verbs of its command line, the same for all four."""

import gc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

import structlog

from shared import migrate, topics
from shared.command import Replay, run_command
from shared.database import Database
from shared.errors import SettingsError
from shared.kafka import KafkaConnection
from shared.lifecycle import Role
from shared.logs import configure
from shared.replay import ask_for_all
from shared.restored import raise_versions
from shared.service import Process, Service
from shared.settings import ServiceSettings, load
from shared.topic_admin import ensure_topics
from shared.vault import Vault

log = structlog.get_logger(__name__)

S = TypeVar("S", bound=ServiceSettings)

_OBJECTS_BETWEEN_LOOKS = 50_000

Wire = Callable[[S, Database, Vault], AbstractAsyncContextManager[Service]]
"""Builds a service from what it is given, and takes leave of its outside party at the end."""


class Program(Generic[S]):
    """`<name> serve | migrate | replay`; `package` holds the migrations and `wire` draws the service."""

    def __init__(self, name: str, *, package: str, settings: type[S], wire: Wire[S]) -> None:
        self._name = name
        self._package = package
        self._settings = settings
        self._wire = wire

    def run(self) -> int:
        """Do what the command line says and return the exit code."""
        return run_command(self._name, serve=self.serve, migrate=self.migrate, replay=self.replay)

    async def serve(self, role: Role) -> int:
        """Serve until a signal and return the exit code."""
        settings = self._load()
        vault = Vault.load(settings.vault_keys_file)
        database = _database(settings)
        async with self._wire(settings, database, vault) as service:
            calm_the_collector()
            return await Process(service, settings, vault=vault, role=role).serve()

    async def migrate(self) -> None:
        """Bring the database and this service's topics to what this build needs."""
        settings = self._load()
        await migrate.migrate(settings.database_url.get_secret_value(), package=self._package)
        await ensure_topics(KafkaConnection.of(settings), topics.owned_by(self._name))

    async def replay(self, what: Replay) -> None:
        """Ask again for all that is open, or ask for everything parked to be handled again.

        After a restore from a backup the versions are raised first (scenario 19). Raises SettingsError where the
        service does not say which those are.
        """
        settings = self._load()
        database = _database(settings)
        async with self._wire(settings, database, Vault.load(settings.vault_keys_file)) as service:
            match what:
                case Replay.RESTORED:
                    if not service.versions:
                        raise SettingsError(f"{self._name} tells no versions that a restore would take back")
                    await raise_versions(database, service.versions)
                    count = await _ask_again(service)
                case Replay.OPEN:
                    count = await _ask_again(service)
                case Replay.PARKED:
                    count = await ask_for_all(database, self._name)
        await database.close()
        log.info("replay", what=what.value, count=count)

    def _load(self) -> S:
        settings = load(self._settings)
        configure(self._name, settings.log_level)
        return settings


async def _ask_again(service: Service) -> int:
    return await service.asks.replay_open() if service.asks is not None else 0


def calm_the_collector() -> None:
    """Have Python look for cycles less often: sets of thousands of objects come and go here, and hold none.

    Left alone it looks after every 700 of them, and each time goes through the survivors too.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS)


def _database(settings: ServiceSettings) -> Database:
    return Database(settings.database_url.get_secret_value())
