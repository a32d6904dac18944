"""The service as a process: on a real broker, database, identity provider and mail relay, started and stopped."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from invitation.tables import METADATA
from local.simulators.identity import Grant, IdentitySimulator
from local.simulators.mailbox import MailboxSimulator
from shared.ids import new_id
from shared.kafka import KafkaConnection
from shared.migrate import assert_tables_match, migrate
from shared.topic_admin import ensure_topics
from shared.topics import TOPICS
from shared.vault import Vault
from tests.conftest import NewDatabase
from tests.invitation.conftest import associated, changed, requested
from tests.process import Environment, process, publish, ready, surroundings
from tests.shared.probe import probing


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
async def environment(
    new_database: NewDatabase,
    kafka: KafkaConnection,
    mailbox: MailboxSimulator,
    identity: IdentitySimulator,
    tmp_path: Path,
) -> Environment:
    """Everything the process is told."""
    common = surroundings(
        "invitation",
        database_url=await new_database("invitation"),
        kafka=kafka,
        identity=identity,
        directory=tmp_path,
    )
    return common | {
        "SMTP_URL": f"{mailbox.url}?starttls=off",
        "MAIL_FROM": "invitations@school.example",
        "ORGANIZATION_NAME": "Lycée Claudel",
    }


async def test_the_migrations_lead_to_the_declared_tables(new_database: NewDatabase) -> None:
    url = await new_database("invitation")
    await migrate(url, package="invitation")
    await assert_tables_match(url, METADATA)


@pytest.mark.timeout(300)  # two processes start one after the other, perhaps the session's broker before them
async def test_a_request_on_the_bus_becomes_a_letter_and_an_event(
    environment: Environment,
    kafka: KafkaConnection,
    mailbox: MailboxSimulator,
    identity: IdentitySimulator,
    tmp_path: Path,
) -> None:
    user = new_id()
    await ensure_topics(kafka, TOPICS)
    await process("invitation", "migrate", environment=environment, directory=tmp_path).finish()
    service = process("invitation", "serve", environment=environment, directory=tmp_path)
    try:
        await ready(service, environment)
        async with probing(kafka, "invitation.events") as probe:
            request = requested(Vault.load(Path(environment["VAULT_KEYS_FILE"])), user)
            await publish(kafka, request, changed(user), request)
            sent = [record for record in await probe.until(1) if record.key == str(user).encode()]
            await publish(kafka, associated(user))
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
    assert await process("invitation", "serve", environment=said, directory=tmp_path).ended() == 2
    log = (tmp_path / "serve.log").read_text()
    complaints = [
        "SMTP_URL is missing",
        "MAIL_FROM: Value error, it must be a mail address",
        "DEFAULT_LOCALE:",
    ]
    assert [each for each in complaints if each in log] == complaints


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
