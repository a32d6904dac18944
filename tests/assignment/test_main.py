"""The service as a process: on a real broker, database and identity provider, migrated, started and stopped."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from assignment.tables import metadata
from local.simulators.identity import Grant, IdentitySimulator
from shared.events import Event
from shared.events.envelope import read_envelope
from shared.events.licensing import AssetChanged
from shared.events.registry import REGISTRY, decode
from shared.ids import new_id
from shared.kafka import KafkaConnection
from shared.migrate import assert_tables_match, migrate
from shared.restored import EPOCH
from shared.topic_admin import ensure_topics
from shared.topics import TOPICS
from tests.assignment.door import SCOPES
from tests.assignment.world import LIBRARY, assigned, enrolled_device, heard
from tests.conftest import NewDatabase
from tests.process import Environment, process, publish, ready, surroundings
from tests.shared.probe import probing


@pytest.fixture
async def identity() -> AsyncIterator[IdentitySimulator]:
    """Whoever signs tokens."""
    async with IdentitySimulator() as identity:
        yield identity


@pytest.fixture
async def environment(
    new_database: NewDatabase, kafka: KafkaConnection, identity: IdentitySimulator, tmp_path: Path
) -> Environment:
    """Everything the process is told."""
    return surroundings(
        "assignment",
        database_url=await new_database("assignment"),
        kafka=kafka,
        identity=identity,
        directory=tmp_path,
    )


async def test_the_migrations_lead_to_the_declared_tables(new_database: NewDatabase) -> None:
    url = await new_database("assignment")
    await migrate(url, package="assignment")
    await assert_tables_match(url, metadata)


async def test_a_device_is_heard_of_assigned_to_and_asked_to_install(
    environment: Environment, kafka: KafkaConnection, identity: IdentitySimulator, tmp_path: Path
) -> None:
    await ensure_topics(kafka, TOPICS)
    await process("assignment", "migrate", environment=environment, directory=tmp_path).finish()
    service = process("assignment", "serve", environment=environment, directory=tmp_path)
    try:
        await ready(service, environment)
        async with probing(kafka, "assignment.events") as probe, _client(environment, identity) as http:
            asset_id = await _publish_school(kafka)
            await _listed(http, "/v1/devices")
            await _listed(http, "/v1/assets")
            target = {"type": "device", "serial_number": "C02X1234"}
            body = {"assignments": [{"asset_id": asset_id, "target": target}]}
            answer = await http.post("/v1/assignments", json=body)
            assert answer.json()["counts"]["requested"] == 1, answer.text
            progress = answer.json()["assignments"][0]["links"]["progress"]
            assert await _listened(http, progress) == "event: progress"
            listener = asyncio.create_task(_listened_to_the_end(http, progress))
            requested = _told(await probe.until(1), "AssignmentRequested")
            await publish(kafka, heard(assigned(requested)))
            install = _told(await probe.until(2), "InstallRequested")
            stopped = asyncio.create_task(service.stop())
            assert await listener, "a listener does not hold up the stop"
            assert await stopped == 0
        assert install.targets[0].entitlement_id == requested.targets[0].entitlement_id
    finally:
        await service.stop()
    assert "Traceback" not in (tmp_path / "serve.log").read_text()


async def test_scenario_19_a_restore_is_followed_by_versions_that_nobody_has_heard(
    environment: Environment, tmp_path: Path
) -> None:
    await process("assignment", "migrate", environment=environment, directory=tmp_path).finish()
    connection = await asyncpg.connect(environment["DATABASE_URL"])
    try:
        await connection.execute(
            "INSERT INTO users (id, version, name, enrollment_ids, state, created_at, changed_at, told_at)"
            " VALUES (gen_random_uuid(), 7, 'Zoe', '{}', 'active', now(), now(), now())"
        )
        await process(
            "assignment", "replay", "--restored", environment=environment, directory=tmp_path
        ).finish()
        assert await connection.fetchval("SELECT version FROM users") == EPOCH + 7
    finally:
        await connection.close()


async def test_a_start_without_a_setting_is_refused_with_its_name(
    environment: Environment, tmp_path: Path
) -> None:
    refused = process(
        "assignment", "serve", environment={**environment, "INSTALL_ATTEMPTS": "0"}, directory=tmp_path
    )
    assert await refused.ended() == 2
    assert "INSTALL_ATTEMPTS" in (tmp_path / "serve.log").read_text()


def _client(environment: Mapping[str, str], identity: IdentitySimulator) -> httpx2.AsyncClient:
    token = identity.sign(Grant(subject="portal", scope=SCOPES, audience="assignment"))
    return httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{environment['HTTP_PORT']}", headers={"authorization": f"Bearer {token}"}
    )


async def _publish_school(kafka: KafkaConnection) -> str:
    """Publish one device and one asset, as mdm-push and licensing do, and return the asset's id."""
    enrolled = enrolled_device(new_id(), "C02X1234")
    asset = AssetChanged.model_validate(
        {
            "asset_id": "5f1b3a3e-4a0e-5a55-9c6e-2f4f0f4f8a10",
            "kind": "vpp_app",
            "adam_id": "408709785",
            "pricing_param": "STDQ",
            "device_assignable": True,
            "revocable": True,
            "platforms": ["iOS"],
            "unlimited": True,
            "pools": [
                {
                    "library_id": LIBRARY,
                    "total": None,
                    "capacity": None,
                    "available": None,
                    "held": 0,
                    "foreign": 0,
                    "waiting": 0,
                    "over_allocated": 0,
                }
            ],
        }
    )
    await publish(kafka, heard(enrolled, sequence=1), heard(asset, sequence=1))
    return str(asset.asset_id)


async def _listed(http: httpx2.AsyncClient, path: str) -> Any:
    async with asyncio.timeout(10):
        while not (items := (await http.get(path)).json()["items"]):
            await asyncio.sleep(0.02)
    return items


async def _listened(http: httpx2.AsyncClient, path: str) -> str:
    """Return the first line that a listener is told, and go away in the middle of the answer."""
    async with http.stream("GET", path, headers={"accept": "text/event-stream"}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            return line
    raise AssertionError("nothing was told")


async def _listened_to_the_end(http: httpx2.AsyncClient, path: str) -> bool:
    """Listen until the answer ends in good order."""
    async with (
        asyncio.timeout(20),
        http.stream("GET", path, headers={"accept": "text/event-stream"}) as answer,
    ):
        async for _ in answer.aiter_lines():
            pass
    return True


def _told(records: list[Any], kind: str) -> Any:
    """Return the event of a kind among records."""
    for record in records:
        one = _event_in(record)
        if type(one).__name__ == kind:
            return one
    raise AssertionError(f"no {kind} was told")


def _event_in(record: Any) -> Event:
    """Return a record as its event."""
    envelope = read_envelope(record.headers)
    return decode(REGISTRY[envelope.type], envelope, key=record.key, value=record.value).event
