"""The whole running system, drawn in one file: database, broker, the box of simulators, four services."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from local.broker import Broker
from local.children import Child, Children, Command, Ready, answers
from local.keyrings import write_keysets
from local.plan import SERVICES, Place, Ports, Surroundings, place
from local.ports import LOOPBACK
from local.postgres import DURABLE, Databases, EmbeddedPostgres
from local.simulators.authority import Authority, Identity

Cards = Mapping[str, Mapping[str, str]]

T = TypeVar("T")

NOTHING_MORE: Mapping[str, Mapping[str, str]] = MappingProxyType({})

_PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class System:
    """A system that runs: where its services are, the cards of the box, and its processes."""

    services: Mapping[str, Place]
    processes: Mapping[str, Child]
    cards: Cards
    ca_file: Path
    broker: Broker
    children: Children


@asynccontextmanager
async def running(
    directory: Path,
    *,
    broker: Broker,
    ports: Mapping[str, Ports],
    kept: bool,
    postgres_settings: Mapping[str, str] = DURABLE,
) -> AsyncIterator[System]:
    """Start everything under `directory`, in order, and stop it all at the end, in the reverse order.

    `kept` says whether the databases stay for another start. Raises ChildFailedError, with the end of its log,
    for whatever does not come up.
    """
    (directory / "logs").mkdir(parents=True, exist_ok=True)
    postgres = await EmbeddedPostgres.start(directory / "postgres", settings=postgres_settings)
    try:
        await broker.start()
        databases = Databases(postgres.admin_url)
        urls = {service: await databases.create(_name(service), _name(service)) for service in SERVICES}
        async with serving(directory, database_urls=urls, broker=broker, ports=ports) as system:
            yield system
    finally:
        await broker.stop()
        await (postgres.stop() if kept else postgres.discard())


@asynccontextmanager
async def serving(
    directory: Path,
    *,
    database_urls: Mapping[str, str],
    broker: Broker,
    ports: Mapping[str, Ports],
    settings: Mapping[str, Mapping[str, str]] = NOTHING_MORE,
) -> AsyncIterator[System]:
    """Start the box and the four services beside databases and a broker that run already; stop them at the end.

    `settings` are what services are told beside what the plan tells them, by the service's name.
    Raises ChildFailedError, with the end of its log, for whatever does not come up.
    """
    logs, box = directory / "logs", directory / "box"
    logs.mkdir(parents=True, exist_ok=True)
    async with Children() as children:
        cards = await start_box(children, box, logs, ports)
        planned = all_places(directory, database_urls=database_urls, broker=broker, cards=cards, ports=ports)
        places = {name: each.told(settings.get(name, {})) for name, each in planned.items()}
        await _migrate(places, logs)
        processes = await _serve(children, places, logs)
        try:
            yield System(places, processes, cards, box / "authority.pem", broker, children)
        finally:
            await _all(process.stop() for process in processes.values())


async def start_box(children: Children, directory: Path, logs: Path, ports: Mapping[str, Ports]) -> Cards:
    """Start the simulators in one process; its first line of output tells where they are."""
    mdm = f"https://localhost:{ports['mdm-push'].http}/mdm"
    log_file = logs / "box.log"
    log_file.unlink(missing_ok=True)
    command = Command(
        name="box",
        arguments=[
            *(sys.executable, "-m", "local.simulators", "all", "--directory", str(directory)),
            *("--checkin-url", f"{mdm}/checkin", "--connect-url", f"{mdm}/connect"),
        ],
        environment={"PATH": os.environ.get("PATH", os.defpath)},
        log_file=log_file,
    )
    await children.start(command, ready=_tells_its_cards(log_file))
    cards: Cards = json.loads(log_file.read_text().splitlines()[0])
    return cards


def all_places(
    directory: Path,
    *,
    database_urls: Mapping[str, str],
    broker: Broker,
    cards: Cards,
    ports: Mapping[str, Ports],
) -> dict[str, Place]:
    """Return the place of each service, its keys and certificates made; the box lies in `directory/box`."""
    keysets = write_keysets(directory, SERVICES)
    box = directory / "box"
    authority = Authority.load(
        Identity((box / "authority.pem").read_bytes(), (box / "authority.key").read_bytes())
    )
    return {
        service: place(
            service,
            ports,
            Surroundings(
                database_url=database_urls[service],
                bootstrap_servers=broker.bootstrap_servers,
                broker_keeps_log=broker.keeps_log,
                vault_keys_file=keysets[service],
                ca_file=box / "authority.pem",
                certificate=authority.issue_server(hosts=["localhost", LOOPBACK]).write(box, service),
                cards=cards,
            ),
        )
        for service in SERVICES
    }


async def _migrate(places: Mapping[str, Place], logs: Path) -> None:
    """Bring every database and topic to what the services need, side by side."""
    children = [Child(_command(each, "migrate", logs=logs)) for each in places.values()]
    await _all(child.finish() for child in children)


async def _serve(children: Children, places: Mapping[str, Place], logs: Path) -> dict[str, Child]:
    started = await _all(
        children.start(_command(each, "serve", logs=logs), ready=answers(each.ready_url))
        for each in places.values()
    )
    return dict(zip(places, started, strict=True))


async def _all(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do these side by side; when all have come to an end, raise the first failure if there was one."""
    ended = await asyncio.gather(*works, return_exceptions=True)
    for each in ended:
        if isinstance(each, BaseException):
            raise each
    return [each for each in ended if not isinstance(each, BaseException)]


def _command(each: Place, verb: str, *, logs: Path) -> Command:
    return Command(
        name=f"{each.name} {verb}",
        arguments=[str(_PROGRAMS / each.name), verb],
        environment=each.environment,
        log_file=logs / f"{each.name}.log",
    )


def _tells_its_cards(log_file: Path) -> Ready:
    async def ready() -> bool:
        told = await asyncio.to_thread(log_file.read_text)
        return told.startswith("{") and "\n" in told

    return ready


def _name(service: str) -> str:
    return service.replace("-", "_")
