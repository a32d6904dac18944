"""The licensing service in this process, its door and worker and clock, beside a box of simulators in another."""

import asyncio
import json
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from bench.licensing_database import licensing_database
from licensing.main import wire
from licensing.settings import LicensingSettings
from local.doors import Door, sign_token
from local.plan import AUDIENCE
from local.ports import free_port
from shared.auth import Verifier
from shared.database import Database
from shared.handling import Handling
from shared.lifecycle import HttpServer
from shared.parking import Parking
from shared.schedule import Schedule
from shared.service import Service
from shared.vault import Vault
from shared.web import Health, build_app
from shared.worker import Worker


@dataclass(frozen=True, slots=True)
class Running:
    """What a measurement works with; events go in through `handling`, as the bus would bring them."""

    database: Database
    handling: Handling
    licensing: Door
    apple: Door
    """The simulator's admin door."""


@asynccontextmanager
async def licensing_beside_apple() -> AsyncIterator[Running]:
    """Start all of it but the bus: what is told stays in the outbox."""
    with tempfile.TemporaryDirectory() as directory:
        async with _box(Path(directory)) as cards, licensing_database() as (url, database):
            settings = _settings(Path(directory), cards, url)
            vault = Vault.load(settings.vault_keys_file)
            async with wire(settings, database, vault) as service, _working(service, settings):
                trust = ssl.create_default_context(cafile=settings.trust_ca_file)
                async with (
                    httpx2.AsyncClient(
                        base_url=settings.notification_base_url, verify=trust, trust_env=False
                    ) as ours,
                    httpx2.AsyncClient(base_url=cards["apple"]["admin_url"], trust_env=False) as admin,
                    httpx2.AsyncClient(base_url=cards["identity"]["admin_url"], trust_env=False) as identity,
                ):
                    ours.headers["authorization"] = f"Bearer {await sign_token(Door(identity))}"
                    handling = Handling(database, service.handlers, Parking("licensing", "licensing"))
                    yield Running(database, handling, Door(ours), Door(admin))


@asynccontextmanager
async def _box(directory: Path) -> AsyncIterator[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.simulators", "apple", "identity", "--directory", str(directory)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield json.loads(await process.stdout.readline() if process.stdout else b"{}")
    finally:
        process.terminate()
        await process.wait()


def _settings(directory: Path, cards: dict[str, Any], database_url: str) -> LicensingSettings:
    """Return what the service is told: all as it is by default, the box's certificate for its door."""
    keys_file, port = directory / "keys.json", free_port()
    keys_file.write_text(Vault.generate())
    return LicensingSettings.model_validate(
        {
            "database_url": database_url,
            "vault_keys_file": keys_file,
            "kafka_bootstrap_servers": "none",
            "kafka_security_protocol": "PLAINTEXT",
            "oidc_issuers": cards["identity"]["url"],
            "jwks_urls": cards["identity"]["jwks_url"],
            "audience": AUDIENCE,
            "http_port": port,
            "tls_cert_file": directory / "server.pem",
            "tls_key_file": directory / "server.key",
            "trust_ca_file": cards["authority"]["certificate_file"],
            "apple_base_url": cards["apple"]["url"],
            "notification_base_url": f"https://localhost:{port}",
        }
    )


@asynccontextmanager
async def _working(service: Service, settings: LicensingSettings) -> AsyncIterator[None]:
    """Open the door, and let worker and clock run."""
    stop = asyncio.Event()
    async with httpx2.AsyncClient() as http:
        server = HttpServer(
            "api", _app(service, settings, http), address=_address(settings), tls=_tls(settings)
        )
        parts = [
            await server.start(),
            asyncio.create_task(Worker(service.database, service.steps, service.worker).run(stop)),
            asyncio.create_task(Schedule(service.database, service.jobs).run(stop)),
        ]
        try:
            yield
        finally:
            stop.set()
            server.stop()
            await asyncio.gather(*parts)


def _app(service: Service, settings: LicensingSettings, http: httpx2.AsyncClient) -> Any:
    verifier = Verifier(settings.issuers, audience=AUDIENCE, http=http, clock=service.database.clock)
    return build_app(
        title=service.name,
        description=service.description,
        verifier=verifier,
        health=Health(stuck=list, unready=_ready),
        routers=service.routers,
        open_doors=service.open_doors,
    )


def _address(settings: LicensingSettings) -> tuple[str, int]:
    return settings.http_host, settings.http_port


def _tls(settings: LicensingSettings) -> tuple[Path, Path] | None:
    certificate, key = settings.tls_cert_file, settings.tls_key_file
    return None if certificate is None or key is None else (certificate, key)


async def _ready() -> list[str]:
    return []
