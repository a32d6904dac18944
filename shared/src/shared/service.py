"""One process of a service: what all four have in common, wired in one place."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
import sqlalchemy as sa
import structlog
from fastapi import APIRouter

from shared import inbox, metrics
from shared.asks import Asks
from shared.auth import Verifier
from shared.bus import Consumer
from shared.database import Database
from shared.dead_letters import dead_letters_router
from shared.errors import Unavailable
from shared.handling import Handlers, Handling
from shared.kafka import KafkaConnection
from shared.lifecycle import Background, HttpServer, Lifecycle, Part, Role
from shared.migrate import schema_unready
from shared.parking import Parking
from shared.relay import Relay
from shared.replay import Replay
from shared.schedule import Job, Schedule, repeat
from shared.settings import ServiceSettings
from shared.topic_admin import check_topics
from shared.topics import owned_by
from shared.trust import tls_context
from shared.vault import Vault
from shared.web import Health, build_app, forget_old_answers, operations_app
from shared.worker import Step, Worker, WorkerSettings

_log = structlog.get_logger(__name__)

_COUNT_SECONDS = 15.0
_FORGET_SECONDS = 3600.0
_CHECK_SECONDS = 5.0
_GATE_SECONDS = 0.5

_WAITING = """
SELECT (SELECT count(*) FROM outbox) AS depth,
       extract(epoch FROM $1 - (SELECT created_at FROM outbox ORDER BY id LIMIT 1)) AS oldest,
       extract(epoch FROM $1 - (SELECT min(due_at) FROM work WHERE due_at < $1)) AS work
"""


@dataclass(frozen=True, slots=True)
class Service:
    """What one service brings; the rest is the same for all.

    `package` holds its migrations; `asks` is None for a service that asks nobody; `open_doors` are paths that
    outside parties open with a proof of their own; `workers` are parts of the worker role that only this service has;
    `versions` are the columns whose values it tells and others compare: they rise after a restore.
    """

    name: str
    package: str
    description: str
    database: Database
    handlers: Handlers
    asks: Asks | None
    routers: Sequence[APIRouter]
    steps: Mapping[str, Step] = field(default_factory=dict)
    jobs: Sequence[Job] = ()
    open_doors: Collection[str] = ()
    workers: Sequence[Part] = ()
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    versions: Collection[sa.Column[Any]] = ()


class Process:
    """One running process of a service, in one role."""

    def __init__(self, service: Service, settings: ServiceSettings, *, vault: Vault, role: Role) -> None:
        self._service = service
        self._settings = settings
        self._role = role
        self._kafka = KafkaConnection.of(settings)
        self._lifecycle = Lifecycle()
        self._handling = Handling(
            service.database, service.handlers, Parking(service.name, service.name, seal=vault)
        )
        self._consumer = Consumer(
            service.database,
            self._kafka,
            self._handling,
            on_lost=service.asks.replay_open if service.asks else None,
        )
        self._health = Health(
            stuck=self._lifecycle.stuck, unready=self._unready, stopping=lambda: self._lifecycle.stopping
        )

    async def serve(self) -> int:
        """Run until a signal, and return the exit code. Raises SettingsError where a topic is missing or narrow."""
        await self._check_topics()
        context = tls_context(self._settings.trust_ca_file)
        async with httpx2.AsyncClient(verify=context) as http:
            try:
                return await self._lifecycle.run(self._parts(http))
            finally:
                await self._service.database.close()

    def stop(self) -> None:
        """Bring the process to its orderly end, as SIGTERM does."""
        self._lifecycle.stop()

    async def _check_topics(self) -> None:
        """Refuse to publish on topics that would not keep what they are given; a broker that is away may come."""
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await check_topics(self._kafka, owned_by(self._service.name))
        except (Unavailable, TimeoutError) as error:
            _log.warning("the topics were not checked", cause=str(error) or type(error).__name__)

    def _parts(self, http: httpx2.AsyncClient) -> list[Part]:
        """Name the parts in the order of their start; the doors open last and close first."""
        database = self._service.database
        relay = Relay(database, self._kafka)
        parts: list[Part] = [
            HttpServer(
                "operations",
                operations_app(self._health),
                address=(self._settings.http_host, self._settings.metrics_port),
            ),
            _SchemaGate(self._schema, self._lifecycle),
            Background("count", self._count),
            Background("relay", relay.run, progressing=relay.progressing),
        ]
        if self._role is not Role.API:
            parts += self._worker_parts()
        if self._role is not Role.WORKER:
            parts.append(self._api(http))
        return parts

    def _worker_parts(self) -> list[Part]:
        service = self._service
        worker = Worker(service.database, service.steps, service.worker)
        return [
            Background("schedule", Schedule(service.database, [*self._standing_jobs(), *service.jobs]).run),
            Background("worker", worker.run, progressing=worker.progressing),
            Background("replay", Replay(service.database, self._handling).run),
            *service.workers,
            Background("consumer", self._consumer.run, progressing=self._consumer.progressing),
        ]

    def _api(self, http: httpx2.AsyncClient) -> Part:
        settings = self._settings
        app = build_app(
            title=self._service.name,
            description=self._service.description,
            verifier=Verifier(
                settings.issuers,
                audience=settings.audience,
                http=http,
                clock=self._service.database.clock,
                subject_scopes=settings.subject_scopes,
            ),
            health=self._health,
            routers=[*self._service.routers, dead_letters_router(self._service.database)],
            open_doors=self._service.open_doors,
        )
        tls = (settings.tls_cert_file, settings.tls_key_file)
        return HttpServer(
            "api",
            app,
            address=(settings.http_host, settings.http_port),
            tls=(tls[0], tls[1]) if tls[0] is not None and tls[1] is not None else None,
        )

    async def _unready(self) -> list[str]:
        """Name what keeps this process from its work: the worker's troubles never count against the API."""
        if self._lifecycle.stopping:
            return ["stopping"]
        starting = [] if self._lifecycle.started else ["starting"]
        halted = self._consumer.not_ready() if self._role is not Role.API else None
        return [*starting, *await self._schema(), *([halted] if halted else [])]

    async def _schema(self) -> list[str]:
        return await schema_unready(self._service.database, package=self._service.package)

    def _standing_jobs(self) -> list[Job]:
        database = self._service.database
        asks = self._service.asks
        return [
            *([asks.job()] if asks else []),
            Job("forget claims", _FORGET_SECONDS, lambda: inbox.prune(database)),
            Job("forget answers", _FORGET_SECONDS, lambda: _forget_answers(database)),
        ]

    async def _count(self, stop: asyncio.Event) -> None:
        """Measure what waits: every process tells its own metrics, so none of them may be an old one."""
        await repeat(stop, _COUNT_SECONDS, lambda: _count(self._service.database, self._service.name))


class _SchemaGate:
    """Holds back the parts behind it until the schema is there: a new release's pods may be quicker than its Job."""

    name = "schema"

    def __init__(self, unready: Callable[[], Awaitable[list[str]]], lifecycle: Lifecycle) -> None:
        self._unready = unready
        self._lifecycle = lifecycle
        self._stop = asyncio.Event()

    async def start(self) -> asyncio.Task[None]:
        """Return once the schema is there, or the process is to stop."""
        while not self._lifecycle.stopping and (reasons := await self._unready()):
            _log.warning("waiting for the schema", reasons=reasons)
            await asyncio.sleep(_GATE_SECONDS)
        return asyncio.create_task(self._until_stopped(), name=self.name)

    def stop(self) -> None:
        """End."""
        self._stop.set()

    def progressing(self) -> bool:
        """Say yes: waiting is no trouble that a restart would mend."""
        return True

    async def _until_stopped(self) -> None:
        await self._stop.wait()


async def _forget_answers(database: Database) -> None:
    async with database.transaction() as tx:
        await forget_old_answers(tx)


async def _count(database: Database, consumer: str) -> None:
    async with database.reading() as tx:
        row = await tx.raw.fetchrow(_WAITING, tx.now)
        parked = await tx.raw.fetchval("SELECT count(*) FROM parked WHERE consumer = $1", consumer)
    metrics.OUTBOX_DEPTH.set(row["depth"])
    metrics.OUTBOX_OLDEST_SECONDS.set(row["oldest"] or 0)
    metrics.WORK_OLDEST_SECONDS.set(row["work"] or 0)
    metrics.PARKED_ROWS.labels(consumer).set(parked)
