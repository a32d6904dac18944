"""The service as a process: on a real broker and database, with simulated devices, APNs and identity provider."""

import plistlib
from pathlib import Path
from uuid import UUID

import asyncpg
import httpx2
import pytest

from local.simulators.apns import ApnsSimulator
from local.simulators.authority import Authority
from local.simulators.devices import DeviceFleet, FleetSettings
from local.simulators.devices.proof import by_header
from local.simulators.identity import Grant, IdentitySimulator
from mdm_push.tables import metadata
from shared.events.assignment import DeliveryTarget, InstallRequested
from shared.events.words import AssetKind, AssignmentMode
from shared.ids import new_id
from shared.kafka import KafkaConnection
from shared.migrate import assert_tables_match
from shared.restored import EPOCH
from shared.topic_admin import ensure_topics
from shared.topics import TOPICS
from tests.conftest import NewDatabase
from tests.mdm_push.test_api import upload
from tests.mdm_push.workbench import ADAM_ID, ASSET, TOPIC, heard
from tests.process import Environment, process, publish, ready, surroundings
from tests.shared.probe import Probe, probing

AUTHENTICATE = plistlib.dumps({"MessageType": "Authenticate", "UDID": "U", "Topic": TOPIC})


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
    common = surroundings(
        "mdm-push", database_url=database_url, kafka=kafka, identity=identity_provider, directory=tmp_path
    )
    return common | {
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
    await process(
        "mdm-push", "migrate", environment=environment | {"DATABASE_URL": url}, directory=tmp_path
    ).finish()
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
    service = process("mdm-push", "serve", environment=environment, directory=tmp_path)
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
        await ready(service, environment)
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
            await publish(kafka, heard(_install_on(enrollment["id"])))
            told = await _told(probe, enrollment["id"], "InstallCompleted")
        assert told[0] == "DeviceEnrolled"
        assert {"DeviceUpdated", "DevicePushed"} <= set(told)
    finally:
        exit_code = await service.stop()
    assert exit_code == 0
    log = (tmp_path / "serve.log").read_text()
    assert not any(word in log for word in ("Traceback", "PRIVATE KEY", str(device.magic)))


async def test_a_certificate_in_a_header_counts_only_from_the_proxies_that_the_settings_name(
    environment: Environment, kafka: KafkaConnection, authority: Authority, tmp_path: Path
) -> None:
    await ensure_topics(kafka, TOPICS)
    url = f"http://127.0.0.1:{environment['HTTP_PORT']}"
    name, value = by_header(authority.issue_device(common_name="U"), "Client-Cert").header(b"")
    lies = {"X-Forwarded-For": "127.0.0.2", "X-Real-IP": "127.0.0.2", "Forwarded": "for=127.0.0.2"}
    answers = {}
    service = process(
        "mdm-push",
        "serve",
        environment=environment | {"TRUSTED_PROXIES": "127.0.0.2,10.0.0.0/8"},
        directory=tmp_path,
    )
    try:
        await ready(service, environment)
        for peer in ("127.0.0.1", "127.0.0.2"):
            transport = httpx2.AsyncHTTPTransport(local_address=peer)
            async with httpx2.AsyncClient(base_url=url, transport=transport) as http:
                for headers in ({name: value}, {name: value} | lies):
                    answer = await http.put("/mdm/checkin", content=AUTHENTICATE, headers=headers)
                    answers[peer, len(headers)] = (answer.status_code, answer.text)
                doubled = [(name, value), (name, value)]
                answer = await http.put("/mdm/checkin", content=AUTHENTICATE, headers=doubled)
                assert (answer.status_code, answer.text) == (400, "two_identities")
    finally:
        assert await service.stop() == 0
    assert answers == {
        ("127.0.0.1", 1): (400, "no_identity"),
        ("127.0.0.1", 4): (400, "no_identity"),
        ("127.0.0.2", 1): (200, ""),
        ("127.0.0.2", 4): (200, ""),
    }


async def test_scenario_19_a_restore_is_followed_by_versions_that_nobody_has_heard(
    environment: Environment, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(environment["DATABASE_URL"])
    try:
        await connection.execute(
            "INSERT INTO enrollments (id, apple_id, generation, version, state, kind, platform, os_version,"
            " supervised, topic, created_at)"
            " VALUES (gen_random_uuid(), 'U', 1, 7, 'enrolled', 'device', 'iOS', '18.1', true, 't', now())"
        )
        await process(
            "mdm-push", "replay", "--restored", environment=environment, directory=tmp_path
        ).finish()
        assert await connection.fetchval("SELECT version FROM enrollments") == EPOCH + 7
    finally:
        await connection.close()


async def test_missing_settings_refuse_the_start_by_their_names(
    environment: Environment, tmp_path: Path
) -> None:
    missing = ["APNS_HOST", "APNS_PORT", "DEVICE_CA_FILE"]
    said = {name: value for name, value in environment.items() if name not in missing}
    assert await process("mdm-push", "serve", environment=said, directory=tmp_path).ended() == 2
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
