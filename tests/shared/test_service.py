"""A whole process of a service, in each of its roles: what it opens, when it is ready, and how it ends."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import httpx2
import pytest

from local.broker import Broker
from local.ports import free_ports
from shared import outbox, service
from shared.asks import Asks
from shared.database import Database, Transaction
from shared.errors import SettingsError
from shared.events import Outgoing
from shared.ids import asset_id, new_id
from shared.kafka import KafkaConnection
from shared.lifecycle import Role
from shared.service import Process
from shared.settings import ServiceSettings
from shared.topic_admin import ensure_topics
from shared.topics import ASSIGNMENT_EVENTS, LICENSING_EVENTS, Topic, dead_letters
from shared.vault import Vault
from tests.conftest import NewDatabase
from tests.shared.conftest import asked, fetch, serials_heard
from tests.shared.consuming import until_heard, until_sent
from tests.shared.tiny_service.main import wire

ROOT = Path(__file__).parents[2]
GRACE_SECONDS = 30
PATIENCE_SECONDS = 40.0

pytestmark = pytest.mark.timeout(300)  # whole processes start, on a machine that may be busy


@dataclass(frozen=True)
class Site:
    """Where the processes of one tiny service live."""

    environment: Mapping[str, str]
    database: Database

    def settings(self) -> ServiceSettings:
        """Return the environment as a process in this loop would read it."""
        return ServiceSettings(**{name.lower(): value for name, value in self.environment.items()})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Running:
    """One process, and the doors it was given."""

    process: asyncio.subprocess.Process
    api: str
    operations: str

    async def health(self, door: str, probe: str) -> tuple[int, list[str]]:
        async with httpx2.AsyncClient() as http:
            answer = await http.get(f"{door}{probe}")
        return answer.status_code, answer.json()["reasons"]

    async def ready(self, status: int = 200) -> list[str]:
        """Wait until it says so, and return its reasons."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                with suppress(httpx2.TransportError):
                    said, reasons = await self.health(self.operations, "/readyz")
                    if said == status:
                        return reasons
                await asyncio.sleep(0.05)


@pytest.fixture
async def site(
    new_database: NewDatabase, broker: Broker, kafka: KafkaConnection, tmp_path: Path
) -> AsyncIterator[Site]:
    """A migrated database, a vault and the topics."""
    await ensure_topics(kafka, [ASSIGNMENT_EVENTS, LICENSING_EVENTS, dead_letters("tiny")])
    keyset = tmp_path / "keyset.json"
    keyset.write_text(Vault.generate())
    url = await new_database("tiny")
    environment = {
        "DATABASE_URL": url,
        "VAULT_KEYS_FILE": str(keyset),
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "BROKER_KEEPS_LOG": str(broker.keeps_log),
        "OIDC_ISSUERS": "https://issuer.example",
        "JWKS_URLS": "https://issuer.example/keys",
        "AUDIENCE": "managed-distribution",
        "LOG_LEVEL": "warning",
    }
    assert await (await launched(environment, "migrate")).wait() == 0
    database = Database(url)
    yield Site(environment, database)
    await database.close()


async def launched(environment: Mapping[str, str], *words: str) -> asyncio.subprocess.Process:
    """Start a verb of the tiny service."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.shared.tiny_service.main", *words),
        cwd=ROOT,
        env={"PATH": os.defpath, **environment},
    )


@asynccontextmanager
async def serving(site: Site, role: Role, **changes: str) -> AsyncIterator[Running]:
    """Serve in a role; at the end it is asked to stop, and must do so well and in time."""
    http, metrics = free_ports(2)
    environment = {**site.environment, "HTTP_PORT": str(http), "METRICS_PORT": str(metrics), **changes}
    process = await launched(environment, "serve", "--role", role.value)
    try:
        yield Running(process, f"http://127.0.0.1:{http}", f"http://127.0.0.1:{metrics}")
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(GRACE_SECONDS):
            assert await process.wait() == 0
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def ask(database: Database, *serials: str) -> None:
    """Put requests into the outbox, each for an asset of its own."""
    events = [asked(asset_id(serial, "STDQ"), serial) for serial in serials]
    async with database.transaction() as tx:
        await outbox.append(tx, [Outgoing(event, new_id()) for event in events])


async def parked(database: Database) -> int:
    return len(await fetch(database, "SELECT id FROM parked"))


async def test_a_process_that_does_everything(site: Site) -> None:
    async with serving(site, Role.ALL) as running:
        assert await running.ready() == []
        assert await running.health(running.operations, "/livez") == (200, [])
        assert await running.health(running.api, "/readyz") == (200, [])
        serials = [str(new_id()) for _ in range(20)]
        await ask(site.database, *serials)
        await until_heard(site.database, serials, seconds=PATIENCE_SECONDS)
        async with httpx2.AsyncClient() as http:
            assert (await http.get(f"{running.api}/v1/dead-letters")).status_code == 401
            metrics = (await http.get(f"{running.operations}/metrics")).text
        assert 'events_handled_total{consumer="tiny",type="AssignmentRequested"}' in metrics
        assert "outbox_depth" in metrics
    assert await fetch(site.database, "SELECT bucket FROM outbox_lease WHERE owner IS NOT NULL") == []


async def test_a_stop_in_the_midst_of_work_loses_nothing(site: Site) -> None:
    serials = [str(new_id()) for _ in range(300)]
    async with serving(site, Role.ALL) as running:
        await running.ready()
        for start in range(0, 300, 20):
            await ask(site.database, *serials[start : start + 20])
        await until_heard(site.database, serials[:1], seconds=PATIENCE_SECONDS)
    async with serving(site, Role.ALL) as running:
        await running.ready()
        await until_heard(site.database, serials, seconds=PATIENCE_SECONDS)
    heard = [serial for serial in await serials_heard(site.database) if serial in set(serials)]
    assert sorted(heard) == sorted(serials)  # each once


async def test_a_worker_opens_no_door_but_the_one_of_operations(site: Site) -> None:
    async with serving(site, Role.WORKER) as running:
        assert await running.ready() == []
        with pytest.raises(httpx2.ConnectError):
            await running.health(running.api, "/readyz")


async def test_an_api_process_relays_and_consumes_nothing(site: Site) -> None:
    async with serving(site, Role.API) as running:
        await running.ready()
        await ask(site.database, str(new_id()))
        await until_sent(site.database, seconds=PATIENCE_SECONDS)
        await asyncio.sleep(0.5)
    assert await serials_heard(site.database) == []


async def test_scenario_23_too_many_dead_letters_fail_the_worker_and_never_the_api(site: Site) -> None:
    good = [str(new_id()) for _ in range(40)]
    bad = [f"BAD{new_id()}" for _ in range(60)]
    async with serving(site, Role.WORKER) as worker, serving(site, Role.API) as api:
        await worker.ready()
        await ask(site.database, *good)  # whatever an earlier test left on the topic is read before these
        await until_heard(site.database, good, seconds=PATIENCE_SECONDS)
        before = await parked(site.database)
        await ask(site.database, *bad)
        assert await worker.ready(503) == ["too_many_dead_letters"]
        assert await worker.health(worker.operations, "/livez") == (200, [])
        assert await api.ready() == []
        assert await parked(site.database) == before + 50
        await fetch(site.database, "DELETE FROM parked WHERE id = (SELECT id FROM parked LIMIT 1)")
        assert await worker.ready() == []


async def test_a_start_waits_neither_for_the_broker_nor_for_the_issuer(site: Site) -> None:
    [closed] = free_ports(1)
    async with serving(site, Role.ALL, KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{closed}") as running:
        began = time.monotonic()
        assert await running.ready() == []
        assert await running.health(running.operations, "/livez") == (200, [])
    assert time.monotonic() - began < GRACE_SECONDS


async def test_a_process_that_is_quicker_than_the_migration_waits_for_it(
    site: Site, new_database: NewDatabase
) -> None:
    changes = {"DATABASE_URL": await new_database("empty")}
    async with serving(site, Role.ALL, **changes) as running:
        assert await running.ready(503) == ["starting", "schema_behind"]
        assert await running.health(running.operations, "/livez") == (200, [])
        assert await (await launched({**site.environment, **changes}, "migrate")).wait() == 0
        assert await running.ready() == []


async def test_a_worker_asks_again_by_the_clock(site: Site) -> None:
    swept = asyncio.Event()

    async def ask_again(tx: Transaction, *, before: datetime, limit: int) -> int:
        assert before <= tx.now
        assert limit > 0
        swept.set()
        return 0

    async def make_due(tx: Transaction) -> None:
        raise AssertionError(f"nobody asked for a replay at {tx.now}")

    settings = site.settings().model_copy(update={"http_port": 0, "metrics_port": 0})
    vault = Vault.load(settings.vault_keys_file)
    async with wire(settings, site.database, vault) as tiny:
        asks = Asks(site.database, ask_again=ask_again, make_due=make_due, every_seconds=0.2)
        process = Process(replace(tiny, asks=asks), settings, vault=vault, role=Role.WORKER)
        serving = asyncio.create_task(process.serve())
        async with asyncio.timeout(PATIENCE_SECONDS):
            for _ in range(2):
                await swept.wait()
                swept.clear()
        process.stop()
        assert await serving == 0


async def test_a_service_that_tells_no_versions_refuses_to_raise_them(site: Site) -> None:
    """It would look like a restore that was mended."""
    assert await (await launched(site.environment, "replay", "--restored")).wait() == 2


async def test_a_topic_that_is_missing_refuses_the_start(
    site: Site, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not broker.keeps_log:
        pytest.skip("the embedded broker makes topics when they are named")
    monkeypatch.setattr(service, "owned_by", lambda _name: [Topic("nobody.made.it")])
    settings = site.settings()
    vault = Vault.load(settings.vault_keys_file)
    async with wire(settings, site.database, vault) as tiny:
        process = Process(tiny, settings, vault=vault, role=Role.ALL)
        with pytest.raises(SettingsError, match=r"topic nobody\.made\.it is missing"):
            await process.serve()
