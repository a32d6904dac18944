"""The service as a process: on a real broker, database, identity provider and mail relay, started and stopped."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
from aiokafka import AIOKafkaProducer

from invitation.tables import METADATA
from local.broker import Broker
from local.children import Child, Command
from local.ports import free_ports
from local.simulators.identity import Grant, IdentitySimulator
from local.simulators.mailbox import MailboxSimulator
from shared.events import Event, Heard
from shared.events.registry import encode
from shared.ids import new_id
from shared.kafka import KafkaConnection
from shared.migrate import assert_tables_match, migrate
from shared.topic_admin import ensure_topics
from shared.topics import TOPICS
from shared.vault import Vault
from tests.conftest import NewDatabase
from tests.invitation.conftest import associated, changed, requested
from tests.shared.probe import probing

INVITATION = str(Path(sys.executable).with_name("invitation"))

Environment = dict[str, str]


@pytest.fixture
async def mailbox() -> AsyncIterator[MailboxSimulator]:
    """A relay that takes everything."""
    async with MailboxSimulator() as mailbox:
        yield mailbox


@pytest.fixture
async def identity() -> AsyncIterator[IdentitySimulator]:
    """Whoever signs tokens."""
    async with IdentitySimulator() as identity:
        yield identity


@pytest.fixture
def kafka(broker: Broker) -> KafkaConnection:
    """The way to the session's broker."""
    return KafkaConnection(broker.bootstrap_servers, keeps_log=broker.keeps_log)


@pytest.fixture
async def environment(
    new_database: NewDatabase,
    kafka: KafkaConnection,
    mailbox: MailboxSimulator,
    identity: IdentitySimulator,
    tmp_path: Path,
) -> Environment:
    """Everything the process is told."""
    keys = tmp_path / "keys.json"
    keys.write_text(Vault.generate())
    http_port, metrics_port = free_ports(2)
    return {
        "DATABASE_URL": await new_database("invitation"),
        "VAULT_KEYS_FILE": str(keys),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "BROKER_KEEPS_LOG": str(kafka.keeps_log).lower(),
        "OIDC_ISSUERS": identity.url,
        "JWKS_URLS": identity.jwks_url,
        "AUDIENCE": "invitation",
        "HTTP_PORT": str(http_port),
        "METRICS_PORT": str(metrics_port),
        "SMTP_URL": f"{mailbox.url}?starttls=off",
        "MAIL_FROM": "invitations@school.example",
        "ORGANIZATION_NAME": "Lycée Claudel",
    }


async def test_the_migrations_lead_to_the_declared_tables(new_database: NewDatabase) -> None:
    url = await new_database("invitation")
    await migrate(url, package="invitation")
    await assert_tables_match(url, METADATA)


@pytest.mark.timeout(
    90
)  # two processes start one after the other, and perhaps the session's broker before them
async def test_a_request_on_the_bus_becomes_a_letter_and_an_event(
    environment: Environment,
    kafka: KafkaConnection,
    mailbox: MailboxSimulator,
    identity: IdentitySimulator,
    tmp_path: Path,
) -> None:
    user = new_id()
    await ensure_topics(kafka, TOPICS)
    await _run("migrate", environment, tmp_path).finish()
    service = _run("serve", environment, tmp_path)
    try:
        await service.wait_until(lambda: _ready(environment), within_seconds=30)
        async with probing(kafka, "invitation.events") as probe:
            request = requested(Vault.load(Path(environment["VAULT_KEYS_FILE"])), user)
            await _publish(kafka, request, changed(user), request)
            sent = [record for record in await probe.until(1) if record.key == str(user).encode()]
            await _publish(kafka, associated(user))
            await probe.until(len(probe.records) + 1)
        assert dict(sent[0].headers)["ce_type"] == b"InvitationSent"
        assert [letter.recipients for letter in mailbox.letters] == [("zoe@school.example",)]
        assert await _states(environment, identity, user) == ["accepted"]
    finally:
        exit_code = await service.stop()
    assert exit_code == 0
    log = (tmp_path / "serve.log").read_text()
    assert not any(word in log for word in ("zoe", "c0ffee", "Traceback"))


async def test_settings_that_are_missing_or_wrong_refuse_the_start_by_their_names(
    environment: Environment, tmp_path: Path
) -> None:
    said = {**environment, "SMTP_URL": "", "MAIL_FROM": "not an address", "DEFAULT_LOCALE": "de"}
    assert await _run("serve", said, tmp_path).ended() == 2
    log = (tmp_path / "serve.log").read_text()
    complaints = [
        "SMTP_URL is missing",
        "MAIL_FROM: Value error, it must be a mail address",
        "DEFAULT_LOCALE:",
    ]
    assert [each for each in complaints if each in log] == complaints


def _run(verb: str, environment: Mapping[str, str], directory: Path) -> Child:
    command = Command(
        name=verb,
        arguments=[INVITATION, verb],
        environment=environment,
        log_file=directory / f"{verb}.log",
    )
    return Child(command)


async def _ready(environment: Mapping[str, str]) -> bool:
    async with httpx2.AsyncClient() as http:
        try:
            answer = await http.get(f"http://127.0.0.1:{environment['HTTP_PORT']}/readyz")
        except httpx2.TransportError:
            return False
    return answer.status_code == 200


async def _publish(kafka: KafkaConnection, *told: Heard[Event]) -> None:
    async with AIOKafkaProducer(**kafka.options()) as producer:
        for heard in told:
            event = heard.event
            await producer.send_and_wait(
                event.topic.name,
                encode(event),
                key=event.key().encode(),
                headers=heard.envelope.headers(),
            )


async def _states(environment: Mapping[str, str], identity: IdentitySimulator, user: UUID) -> list[str]:
    token = identity.sign(Grant(subject="portal", scope="invitations:read", audience="invitation"))
    url = f"http://127.0.0.1:{environment['HTTP_PORT']}/v1/invitations?user_id={user}"
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}) as http:
        for _ in range(100):
            states = [item["state"] for item in (await http.get(url)).json()["items"]]
            if states == ["accepted"]:
                break
            await asyncio.sleep(0.05)
    return states
