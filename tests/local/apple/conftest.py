"""What the simulators' tests share: one authority, one simulated Apple that each test finds empty."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from local.simulators.apple import AppleSettings, AppleSimulator
from local.simulators.authority import Authority
from local.simulators.serving import Serving
from tests.local.apple.apple_client import AppleBox, Subscriber

HOSTS = ("localhost", "127.0.0.1")


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority.create("Tests")


@pytest.fixture(scope="session")
def certificate(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A server certificate for this machine and its key."""
    return authority.issue_server(hosts=HOSTS).write(tmp_path_factory.mktemp("server"), "server")


@pytest.fixture(scope="session")
def ca_file(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    path.write_bytes(authority.certificate_pem)
    return path


@pytest.fixture(scope="session")
async def running_apple(certificate: tuple[Path, Path], ca_file: Path) -> AsyncIterator[AppleBox]:
    settings = AppleSettings(certificate_file=certificate[0], key_file=certificate[1], trust_ca_file=ca_file)
    trust = ssl.create_default_context(cafile=ca_file)
    async with (
        AppleSimulator(settings) as simulator,
        httpx2.AsyncClient(base_url=simulator.url, verify=trust, trust_env=False) as client,
        httpx2.AsyncClient(base_url=simulator.admin_url, trust_env=False) as admin,
    ):
        yield AppleBox(client, admin, simulator)


@pytest.fixture
async def apple(running_apple: AppleBox) -> AppleBox:
    """A simulated Apple with nothing in it and its rate limit off."""
    await running_apple.tell("POST", "/reset")
    await running_apple.turn(rate_limit=False, notification_retry_seconds=[0.01, 0.01])
    return running_apple


@pytest.fixture
async def subscriber(certificate: tuple[Path, Path]) -> AsyncIterator[Subscriber]:
    """A place for notifications, over https."""
    subscriber = Subscriber()
    serving = await Serving.start(subscriber.app(), certificate_file=certificate[0], key_file=certificate[1])
    subscriber.url = f"https://127.0.0.1:{serving.port}/apple/notifications"
    yield subscriber
    await serving.stop()
