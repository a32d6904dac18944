"""What the stories share: one running system for the session, with a broker of its own.

The other tests of a session put broken records on the session's broker, under the names of the real topics; a
service that ran beside them would hear those.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from local.broker import Broker, choose
from local.complaints import complaints
from local.doors import Doors
from local.plan import SERVICES, any_ports
from local.system import System, serving
from shared.kafka import KafkaConnection
from tests.conftest import CACHE, NewDatabase, broker_kind
from tests.stories.probe import Probe, probing
from tests.stories.stage import Stage

HERE = Path(__file__).parent
SECONDS = 180

IMPATIENT = {
    "licensing": {
        "NOTIFICATIONS_SECONDS": "0.1",
        "STATUS_FIRST_SECONDS": "1",
        "STATUS_NEXT_SECONDS": "0.5",
        "PROOF_SECONDS": "5",
    },
    "assignment": {"INSTALL_RETRY_SECONDS": "1"},
    "mdm-push": {"VERIFY_SECONDS": "0.4,0.4,0.4,1,5", "NOT_NOW_SECONDS": "2"},
}
"""Apple and devices are simulated beside us and take no minutes: no test waits for the times that Apple asks for.

What a story holds up at Apple it holds for less than PROOF_SECONDS: then the list decides what became of it.
"""

WELL = {
    "hold_events": False,
    "event_delay_seconds": 0,
    "disassociate_delay_seconds": None,
}
"""The knobs that stories turn, as they are at the start."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A story crosses four services; the first one also starts them, which its own time does not count."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SECONDS, func_only=True))


@pytest.fixture(scope="session")
async def story_broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Broker]:
    """A broker that carries nothing but the stories."""
    environment = {**os.environ, "BROKER": broker_kind()}
    chosen = choose(environment, directory=tmp_path_factory.mktemp("story-broker"), cache=CACHE)
    await chosen.start()
    yield chosen
    await chosen.stop()


@pytest.fixture(scope="session")
async def system(
    tmp_path_factory: pytest.TempPathFactory, story_broker: Broker, new_database: NewDatabase
) -> AsyncIterator[System]:
    """The box and the four services, each its own process.

    An error in a log is what a person must see to: no story gives cause for one, and none is left at the end.
    """
    directory = tmp_path_factory.mktemp("stories")
    urls = {service: await new_database(service) for service in SERVICES}
    async with serving(
        directory,
        database_urls=urls,
        broker=story_broker,
        ports=any_ports(),
        settings=IMPATIENT,
    ) as running:
        yield running
    assert complaints(directory / "logs") == []


@pytest.fixture(scope="session")
async def doors(system: System) -> AsyncIterator[Doors]:
    """The doors of the system, with a token for everything; devices can be woken."""
    async with Doors(system) as opened:
        await opened.install_push_certificate()
        yield opened


@pytest.fixture(scope="session")
async def probe(story_broker: Broker) -> AsyncIterator[Probe]:
    """A stranger on the stories' bus."""
    kafka = KafkaConnection(story_broker.bootstrap_servers, keeps_log=story_broker.keeps_log)
    async with probing(kafka) as opened:
        yield opened


@pytest.fixture(scope="session")
async def content_token(doors: Doors) -> str:
    """The text of a .vpptoken file, for a library that is empty at first."""
    token: str = (await doors.apple.post("/libraries", {}))["token"]
    return token


@pytest.fixture(scope="session")
async def library_id(doors: Doors, content_token: str) -> str:
    """The school's library at Apple; its content token is installed."""
    installed = await doors.licensing.post("/v1/content-tokens", {"content_token": content_token})
    return str(installed["library_id"])


@pytest.fixture
async def stage(doors: Doors, library_id: str) -> AsyncIterator[Stage]:
    """The ground of one test: whatever it makes there is its own, and Apple is well again afterwards."""
    yield Stage(doors, library_id)
    await doors.apple.delete("/faults")
    await doors.apple.patch("/knobs", WELL)
