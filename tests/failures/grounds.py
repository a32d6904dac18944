"""Ground to try services on: each is a process of its own that a test may start twice, freeze, kill and start again."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import asyncpg

from local.broker import Broker
from local.children import Child, Children, Command, Ready, answers
from local.plan import SERVICES, Place, any_ports
from local.ports import LOOPBACK, free_ports
from local.system import Cards, System, all_places, start_box
from shared.kafka import KafkaConnection
from shared.topic_admin import ensure_topics
from shared.topics import TOPICS
from tests.conftest import NewDatabase

T = TypeVar("T")

PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Pod:
    """One process of a service, and the question that a readiness probe would ask it."""

    child: Child
    ready: Ready


@dataclass(slots=True)
class Grounds:
    """The box, empty databases and Kafka's topics are there; the services come when a test starts them."""

    directory: Path
    broker: Broker
    cards: Cards
    places: Mapping[str, Place]
    children: Children
    processes: dict[str, Child] = field(default_factory=dict)
    started: int = 0

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, directory: Path, *, broker: Broker, new_database: NewDatabase
    ) -> AsyncIterator[Self]:
        """Open the ground; whatever still runs on it at the end is stopped."""
        logs = directory / "logs"
        logs.mkdir()
        async with Children() as children:
            ports = any_ports()
            cards = await start_box(children, directory / "box", logs, ports)
            urls = {service: await new_database(service) for service in SERVICES}
            places = all_places(directory, database_urls=urls, broker=broker, cards=cards, ports=ports)
            grounds = cls(directory, broker, cards, places, children)
            await ensure_topics(grounds.kafka, TOPICS)
            yield grounds

    @property
    def kafka(self) -> KafkaConnection:
        """The way to the broker."""
        return KafkaConnection(self.broker.bootstrap_servers)

    @property
    def system(self) -> System:
        """What runs here, as the doors of the local system know it."""
        ca_file = self.directory / "box" / "authority.pem"
        return System(self.places, self.processes, self.cards, ca_file, self.broker, self.children)

    async def run(self, service: str, *arguments: str, **settings: str) -> None:
        """Run a command of a service to its end. Raises ChildFailedError unless it ends well."""
        environment = {**self.places[service].environment, **settings}
        await Child(self._command(service, arguments, environment)).finish()

    async def migrate(self, *services: str) -> None:
        """Bring databases to what the services need, side by side."""
        await asyncio.gather(*(self.run(service, "migrate") for service in services))

    async def serve(self, service: str, *, role: str = "all", **settings: str) -> Pod:
        """Start one more process of a service and return once it is ready.

        It has the ports that the doors know unless another process of the service has them.
        """
        environment = {**self.places[service].environment, **settings}
        running = self.processes.get(service)
        alone = running is None or running.exit_code is not None
        if not alone:
            http_port, metrics_port = free_ports(2)
            environment |= {"HTTP_PORT": str(http_port), "METRICS_PORT": str(metrics_port)}
        command = self._command(service, ("serve", "--role", role), environment)
        ready = answers(f"http://{LOOPBACK}:{environment['METRICS_PORT']}/readyz")
        child = await self.children.start(command, ready=ready)
        if alone:
            self.processes[service] = child
        return Pod(child, ready)

    async def fetch(self, service: str, statement: str, *values: Any) -> list[asyncpg.Record]:
        """Run one query in a service's database."""
        connection = await self.connect(service)
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    async def execute(self, service: str, script: str) -> None:
        """Run statements in a service's database."""
        connection = await self.connect(service)
        try:
            await connection.execute(script)
        finally:
            await connection.close()

    async def count(self, service: str, statement: str, *values: Any) -> int:
        """Run one query that counts something in a service's database."""
        return int((await self.fetch(service, statement, *values))[0][0])

    async def connect(self, service: str) -> asyncpg.Connection:
        """Open a connection of the test's own to a service's database."""
        return await asyncpg.connect(self.places[service].environment["DATABASE_URL"])

    def errors(self) -> list[str]:
        """Return what the services so far logged as errors, and whatever is no log line at all.

        A library's complaint that the broker is away is none: that is what these tests bring about.
        """
        logs = (self.directory / "logs").glob("serve-*.log")
        lines = [line for log in logs for line in log.read_text().splitlines()]
        return [line for line in lines if not line.startswith("{") or _is_error(json.loads(line))]

    def _command(self, service: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Command:
        self.started += 1
        return Command(
            name=f"{service} {arguments[0]}",
            arguments=[str(PROGRAMS / service), *arguments],
            environment=environment,
            log_file=self.directory / "logs" / f"{arguments[0]}-{self.started}-{service}.log",
            grace_seconds=45.0,
        )


def _is_error(line: Mapping[str, str]) -> bool:
    return line["level"] in {"error", "critical"} and not line["logger"].startswith("aiokafka")


async def until(look: Callable[[], Awaitable[T]], holds: Callable[[T], bool], *, seconds: float) -> T:
    """Look again and again until it holds, and return what was seen. Raises AssertionError with the last look."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not holds(seen := await look()):
        assert loop.time() < end, f"after {seconds:g} s still {seen!r}"
        await asyncio.sleep(0.1)
    return seen
