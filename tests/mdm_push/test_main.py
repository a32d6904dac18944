"""The service as a process: on a real broker and database, with simulated devices, APNs and identity provider."""

import sys
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
from aiokafka import AIOKafkaProducer

from local.broker import Broker
from local.children import Child, Command
from local.ports import free_ports
from local.simulators.apns import ApnsSimulator
from local.simulators.authority import Authority
from local.simulators.devices import DeviceFleet, FleetSettings
from local.simulators.identity import Grant, IdentitySimulator
from mdm_push.tables import metadata
from shared.events import Event
from shared.events.assignment import DeliveryTarget, InstallRequested
from shared.events.registry import encode
from shared.events.words import AssetKind, AssignmentMode
from shared.ids import new_id
from shared.kafka import KafkaConnection
from shared.migrate import assert_tables_match
from shared.topic_admin import ensure_topics
from shared.topics import TOPICS
from shared.vault import Vault
from tests.conftest import NewDatabase
from tests.mdm_push.test_api import upload
from tests.mdm_push.workbench import ADAM_ID, ASSET, TOPIC, heard
from tests.shared.probe import Probe, probing

MDM_PUSH = str(Path(sys.executable).with_name("mdm-push"))

Environment = dict[str, str]


@pytest.fixture
def kafka(broker: Broker) -> KafkaConnection:
    return KafkaConnection(broker.bootstrap_servers, keeps_log=broker.keeps_log)


@pytest.fixture
async def environment(
    database_url: str,
    kafka: KafkaConnection,
    simulator: ApnsSimulator,
    folder: Path,
    identity_provider: IdentitySimulator,
    tmp_path: Path,
) -> Environment:
    """Everything the process is told."""
    keys = tmp_path / "keys.json"
    keys.write_text(Vault.generate())
    http_port, metrics_port = free_ports(2)
    return {
        "DATABASE_URL": database_url,
        "VAULT_KEYS_FILE": str(keys),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "BROKER_KEEPS_LOG": str(kafka.keeps_log).lower(),
        "OIDC_ISSUERS": identity_provider.url,
        "JWKS_URLS": identity_provider.jwks_url,
        "AUDIENCE": "mdm-push",
        "HTTP_PORT": str(http_port),
        "METRICS_PORT": str(metrics_port),
        "APNS_HOST": "localhost",
        "APNS_PORT": str(simulator.port),
        "TRUST_CA_FILE": str(folder / "ca.pem"),
        "DEVICE_CA_FILE": str(folder / "ca.pem"),
        "VERIFY_SECONDS": "0.2,0.5,1",
    }


async def test_migrate_leads_to_the_declared_tables_and_the_topics(
    environment: Environment, new_database: NewDatabase, kafka: KafkaConnection, tmp_path: Path
) -> None:
    url = await new_database("mdm-push")
    await _run("migrate", environment | {"DATABASE_URL": url}, tmp_path).finish()
    await assert_tables_match(url, metadata)
    async with probing(kafka, "mdm-push.events") as probe:
        assert probe.records == []


async def test_an_install_asked_on_the_bus_is_pushed_installed_and_told(
    environment: Environment,
    kafka: KafkaConnection,
    simulator: ApnsSimulator,
    identity_provider: IdentitySimulator,
    authority: Authority,
    tmp_path: Path,
) -> None:
    await ensure_topics(kafka, TOPICS)
    service = _run("serve", environment, tmp_path)
    url = f"http://127.0.0.1:{environment['HTTP_PORT']}"
    grant = Grant(subject="portal", scope="devices:read devices:command", audience="mdm-push")
    headers = {"authorization": f"Bearer {identity_provider.sign(grant)}"}
    fleet_settings = FleetSettings(
        checkin_url=f"{url}/mdm/checkin",
        connect_url=f"{url}/mdm/connect",
        topic=TOPIC,
        authority=authority,
        apns=simulator,
        install_seconds=0.2,
    )
    try:
        await service.wait_until(lambda: _ready(url), within_seconds=15)
        async with (
            httpx2.AsyncClient(base_url=url, headers=headers) as http,
            DeviceFleet(fleet_settings) as fleet,
            probing(kafka, "mdm-push.events") as probe,
        ):
            stored = await http.post("/v1/push-certificates", json=upload(authority))
            assert stored.status_code == 201
            [device] = fleet.create(1)
            assert await fleet.enroll([device]) == []
            [enrollment] = (await http.get(f"/v1/enrollments?serial_number={device.serial}")).json()["items"]
            await _publish(kafka, _install_on(enrollment["id"]))
            told = await _told(probe, enrollment["id"], "InstallCompleted")
        assert told[0] == "DeviceEnrolled"
        assert {"DeviceUpdated", "DevicePushed"} <= set(told)
    finally:
        exit_code = await service.stop()
    assert exit_code == 0
    log = (tmp_path / "serve.log").read_text()
    assert not any(word in log for word in ("Traceback", "PRIVATE KEY", str(device.magic)))


async def test_missing_settings_refuse_the_start_by_their_names(
    environment: Environment, tmp_path: Path
) -> None:
    missing = ["APNS_HOST", "APNS_PORT", "DEVICE_CA_FILE"]
    said = {name: value for name, value in environment.items() if name not in missing}
    assert await _run("serve", said, tmp_path).ended() == 2
    log = (tmp_path / "serve.log").read_text()
    assert [name for name in missing if f"{name} is missing" in log] == missing


def _install_on(enrollment_id: str) -> InstallRequested:
    target = DeliveryTarget(entitlement_id=new_id(), delivery_id=new_id(), enrollment_id=UUID(enrollment_id))
    return InstallRequested(
        asset_id=ASSET,
        kind=AssetKind.VPP_APP,
        assignment_mode=AssignmentMode.DEVICE,
        adam_id=ADAM_ID,
        targets=(target,),
    )


def _run(verb: str, environment: Environment, directory: Path) -> Child:
    return Child(
        Command(
            name=verb,
            arguments=[MDM_PUSH, verb],
            environment=environment,
            log_file=directory / f"{verb}.log",
        )
    )


async def _ready(url: str) -> bool:
    async with httpx2.AsyncClient() as http:
        try:
            answer = await http.get(f"{url}/readyz")
        except httpx2.TransportError:
            return False
    return answer.status_code == 200


async def _publish(kafka: KafkaConnection, event: Event) -> None:
    async with AIOKafkaProducer(**kafka.options()) as producer:
        await producer.send_and_wait(
            event.topic.name,
            encode(event),
            key=event.key().encode(),
            headers=heard(event).envelope.headers(),
        )


async def _told(probe: Probe, enrollment_id: str, last: str) -> list[str]:
    """Return the types of the events of one enrollment, up to and with `last`."""
    count = 0
    while True:
        records = await probe.until(count + 1)
        count = len(records)
        types = [
            dict(record.headers)["ce_type"].decode()
            for record in records
            if record.key == enrollment_id.encode()
        ]
        if last in types:
            return types
