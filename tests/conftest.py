"""What all tests share: one PostgreSQL and one broker for the session; fresh databases and topics on demand.

DATABASE_URL and BROKER=external (with KAFKA_BOOTSTRAP_SERVERS) put servers that run elsewhere in their place.
"""

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from hypothesis import HealthCheck, settings

from local.broker import Broker, BrokerKind, EmbeddedBroker, apache_available, choose, fetch_kafka
from local.postgres import THROWAWAY, Databases, EmbeddedPostgres
from shared import logs
from shared.kafka import KafkaConnection

NewDatabase = Callable[[str], Awaitable[str]]
NewTopicName = Callable[[str], Awaitable[str]]

# No example is wrong because the machine is slow. In CI the examples are the same each time: a change is judged by what
# it changes; new ones are drawn wherever else the tests run.
settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("house")

CACHE = Path(__file__).parents[1] / ".cache"
TOPIC_PARTITIONS = 4


def broker_kind() -> BrokerKind:
    """Return what BROKER says, else Apache Kafka where it can run, else the embedded broker."""
    best = BrokerKind.APACHE if apache_available() else BrokerKind.EMBEDDED
    return BrokerKind(os.environ.get("BROKER", best))


def pytest_report_header() -> str:
    """Say which broker the tests run against."""
    match broker_kind():
        case BrokerKind.APACHE:
            return "broker: Apache Kafka"
        case BrokerKind.EXTERNAL:
            return "broker: the one KAFKA_BOOTSTRAP_SERVERS names"
        case BrokerKind.EMBEDDED if not apache_available():
            return "broker: the embedded one, because java and mvn are not both on the PATH"
        case BrokerKind.EMBEDDED:
            return "broker: the embedded one, because BROKER says so"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fetch Apache Kafka before the first test that wants it: no test's clock should run meanwhile."""
    wanted = any("apache" in name or name == "broker" for item in session.items for name in _fixtures(item))
    if wanted and apache_available() and not session.config.option.collectonly:
        fetch_kafka(CACHE)


def _fixtures(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []


@pytest.fixture(scope="session")
async def embedded_postgres(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[EmbeddedPostgres | None]:
    """The server of this session, or None where DATABASE_URL names another one."""
    if "DATABASE_URL" in os.environ:
        yield None
        return
    server = await EmbeddedPostgres.start(tmp_path_factory.mktemp("postgres"), settings=THROWAWAY)
    yield server
    await server.discard()


@pytest.fixture(scope="session")
def postgres(embedded_postgres: EmbeddedPostgres | None) -> EmbeddedPostgres:
    """The session's own server. Do not stop it: a test that does starts one for itself."""
    if embedded_postgres is None:
        pytest.skip("DATABASE_URL names the server: there is no embedded one in this session")
    return embedded_postgres


@pytest.fixture(scope="session")
async def new_database(embedded_postgres: EmbeddedPostgres | None) -> AsyncIterator[NewDatabase]:
    """`await new_database("licensing")` returns the URL of a fresh database with an owner of its own."""
    admin_url = os.environ["DATABASE_URL"] if embedded_postgres is None else embedded_postgres.admin_url
    databases = Databases(admin_url)
    made: list[str] = []

    async def make(name: str) -> str:
        unique = f"{name.replace('-', '_')}_{secrets.token_hex(4)}"
        made.append(unique)
        return await databases.create(unique, unique)

    yield make
    if embedded_postgres is None:  # the session's own server goes with everything in it, and much sooner
        for name in made:
            await databases.drop(name, name)


@pytest.fixture(scope="session")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    """The session's broker. Do not stop it: a test that does starts one for itself."""
    environment = {**os.environ, "BROKER": broker_kind()}
    chosen = choose(environment, directory=tmp_path_factory.mktemp("broker"), cache=CACHE)
    await chosen.start()
    yield chosen
    await chosen.stop()


@pytest.fixture(scope="session")
def kafka(broker: Broker) -> KafkaConnection:
    """The way to the session's broker."""
    return KafkaConnection(broker.bootstrap_servers, keeps_log=broker.keeps_log)


@pytest.fixture(scope="session")
async def embedded_broker() -> AsyncIterator[EmbeddedBroker]:
    """One embedded broker for tests of faults; whoever spoils it mends it."""
    embedded = EmbeddedBroker()
    await embedded.start()
    yield embedded
    await embedded.stop()


@pytest.fixture(scope="session")
def new_topic(broker: Broker) -> NewTopicName:
    """`await new_topic("licensing.events")` makes a fresh topic of four partitions and returns its name."""

    async def make(name: str) -> str:
        unique = f"{name}.{secrets.token_hex(4)}"
        if isinstance(broker, EmbeddedBroker):
            broker.create_topic(unique, partitions=TOPIC_PARTITIONS)
            return unique
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(unique, TOPIC_PARTITIONS, replication_factor=1)])
        finally:
            await admin.close()
        return unique

    return make


@pytest.fixture(scope="session", autouse=True)
def _log_as_in_production() -> None:
    """One JSON object a line: what a test prints shows no more than a service would."""
    logs.configure("tests", "error")
