"""The service as a process: on a real broker, database, identity provider and simulated Apple."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from licensing.apple import http_client
from licensing.tables import metadata
from local.simulators.apple import AppleSimulator
from local.simulators.identity import Grant, IdentitySimulator
from shared.database import Database
from shared.kafka import KafkaConnection
from shared.migrate import assert_tables_match, migrate
from shared.restored import EPOCH
from shared.topic_admin import ensure_topics
from shared.topics import TOPICS
from tests.conftest import NewDatabase
from tests.licensing.office import AppleAdmin
from tests.licensing.situation import Situation, wishes
from tests.process import Environment, process, publish, ready, surroundings
from tests.shared.probe import Probe, probing

Get = Callable[[str], Awaitable[httpx2.Response]]


@pytest.fixture
async def environment(
    new_database: NewDatabase,
    kafka: KafkaConnection,
    identity: IdentitySimulator,
    apple_simulator: AppleSimulator,
    certificates: Path,
    tmp_path: Path,
) -> Environment:
    """Everything the process is told."""
    common = surroundings(
        "licensing",
        database_url=await new_database("licensing"),
        kafka=kafka,
        identity=identity,
        directory=tmp_path,
    )
    return common | {
        "TLS_CERT_FILE": str(certificates / "server.pem"),
        "TLS_KEY_FILE": str(certificates / "server.key"),
        "TRUST_CA_FILE": str(certificates / "ca.pem"),
        "APPLE_BASE_URL": apple_simulator.url,
        "NOTIFICATION_BASE_URL": f"https://localhost:{common['HTTP_PORT']}",
        "STATUS_FIRST_SECONDS": "0.2",
    }


async def test_the_migrations_lead_to_the_declared_tables(new_database: NewDatabase) -> None:
    url = await new_database("licensing")
    await migrate(url, package="licensing")
    await assert_tables_match(url, metadata)


@pytest.mark.timeout(300)  # two processes start one after the other, perhaps the session's broker before them
async def test_a_request_on_the_bus_becomes_licences_at_apple(
    environment: Environment,
    kafka: KafkaConnection,
    admin: AppleAdmin,
    identity: IdentitySimulator,
    certificates: Path,
    tmp_path: Path,
) -> None:
    uid, text = await admin.open_library(50)
    await ensure_topics(kafka, TOPICS)
    await process("licensing", "migrate", environment=environment, directory=tmp_path).finish()
    service = process("licensing", "serve", environment=environment, directory=tmp_path)
    targets = wishes(60, "MAIN")
    token = identity.sign(Grant(subject="t", scope="licenses:read licenses:admin", audience="licensing"))
    try:
        async with http_client(certificates / "ca.pem") as http, probing(kafka, "licensing.events") as probe:
            http.headers["authorization"] = f"Bearer {token}"
            http.base_url = httpx2.URL(environment["NOTIFICATION_BASE_URL"])
            await ready(service, environment)
            uploaded = await http.post("/v1/content-tokens", json={"content_token": text})
            assert uploaded.status_code == 201
            await _until(lambda: _counted(http, "/v1/pools", 2))
            asked = Situation(Database(environment["DATABASE_URL"])).requested(*targets)
            await publish(kafka, asked, asked)
            await _until(lambda: _counted(http, "/v1/licenses?state=assigned", 50))
            while "LicenseAssigned" not in _types(probe):
                await probe.until(len(probe.records) + 1)
        types = _types(probe)
        assert types.count("LicenseReserved") == types.count("LicenseWaitlisted") == 1
        assert types.count("LicenseAssigned") == 1
        assert len(await admin.holders()) == 50
    finally:
        exit_code = await service.stop()
    assert exit_code == 0
    log = (tmp_path / "serve.log").read_text()
    secret = admin.simulator.world.libraries[uid].subscription.auth_token
    assert secret
    assert not any(word in log for word in (text, secret, "Traceback"))


async def test_scenario_19_a_restore_is_followed_by_versions_that_nobody_has_heard(
    environment: Environment, tmp_path: Path
) -> None:
    await process("licensing", "migrate", environment=environment, directory=tmp_path).finish()
    connection = await asyncpg.connect(environment["DATABASE_URL"])
    try:
        await connection.execute(
            "INSERT INTO asset (id, adam_id, pricing_param, is_book, device_assignable, revocable, platforms, version)"
            " VALUES (gen_random_uuid(), '408709785', 'STDQ', false, true, true, '{iOS}', 7)"
        )
        await process(
            "licensing", "replay", "--restored", environment=environment, directory=tmp_path
        ).finish()
        assert await connection.fetchval("SELECT version FROM asset") == EPOCH + 7
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("NOTIFICATION_BASE_URL", "", "NOTIFICATION_BASE_URL is missing"),
        (
            "NOTIFICATION_BASE_URL",
            "http://plain.example",
            "NOTIFICATION_BASE_URL: Value error, it must be https",
        ),
        ("APPLE_BASE_URL", "https://apple.test/?a=b", "APPLE_BASE_URL: Value error"),
        ("PROOF_SECONDS", "0", "PROOF_SECONDS:"),
        (
            "WORKER_LEASE_SECONDS",
            "60",
            "WORKER_LEASE_SECONDS=60 must be more than APPLE_DEADLINE_SECONDS=60",
        ),
    ],
)
async def test_a_start_without_a_setting_is_refused_with_its_name(
    environment: Environment, tmp_path: Path, name: str, value: str, complaint: str
) -> None:
    refused = process("licensing", "serve", environment={**environment, name: value}, directory=tmp_path)
    assert await refused.ended() == 2
    assert complaint in (tmp_path / "serve.log").read_text()


def _types(probe: Probe) -> list[str]:
    return [dict(record.headers)["ce_type"].decode() for record in probe.records]


async def _answers(http: httpx2.AsyncClient, path: str) -> bool:
    try:
        return (await http.get(path)).status_code == 200
    except httpx2.TransportError:
        return False


async def _counted(http: httpx2.AsyncClient, path: str, count: int) -> bool:
    page: Any = (await http.get(path)).json()
    return len(page["items"]) == count


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():
            await asyncio.sleep(0.1)
