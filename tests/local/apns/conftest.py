import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local.simulators.apns import ApnsSettings, ApnsSimulator, Push
from local.simulators.authority import Authority, Identity
from tests.local.apns.h2_sender import Sender
from tests.local.apns.parts import NOW, TOKEN, TOPIC, Clock, Connect


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("Test authority")


@pytest.fixture(scope="module")
def push_identity(authority: Authority) -> Identity:
    return authority.issue_push(topic=TOPIC)


@pytest.fixture(scope="module")
def settings(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> ApnsSettings:
    folder = tmp_path_factory.mktemp("apns")
    certificate, key = authority.issue_server(hosts=["localhost", "127.0.0.1"]).write(folder, "server")
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    return ApnsSettings(certificate_file=certificate, key_file=key, client_ca_file=folder / "ca.pem")


@pytest.fixture(scope="module")
async def started(settings: ApnsSettings) -> AsyncIterator[tuple[ApnsSimulator, Clock]]:
    clock = Clock()
    async with ApnsSimulator(replace(settings, clock=clock)) as simulator:
        yield simulator, clock


@pytest.fixture
def clock(started: tuple[ApnsSimulator, Clock]) -> Clock:
    started[1].now = NOW
    return started[1]


@pytest.fixture
def simulator(started: tuple[ApnsSimulator, Clock], clock: Clock) -> ApnsSimulator:
    started[0].reset()
    started[0].registry.register([TOKEN], topic=TOPIC, courier="here")
    return started[0]


@pytest.fixture
def heard(simulator: ApnsSimulator) -> Iterator[list[Push]]:
    pushes: list[Push] = []
    simulator.registry.attach("here", pushes.append)
    yield pushes
    simulator.registry.detach("here", pushes.append)


@pytest.fixture
def context(settings: ApnsSettings, push_identity: Identity, tmp_path: Path) -> ssl.SSLContext:
    return client_context(settings, push_identity, tmp_path)


def client_context(settings: ApnsSettings, identity: Identity, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.client_ca_file)
    context.load_cert_chain(*identity.write(folder, "push"))
    context.set_alpn_protocols(["h2"])
    return context


@pytest.fixture
async def connect(simulator: ApnsSimulator, context: ssl.SSLContext) -> AsyncIterator[Connect]:
    senders: list[Sender] = []

    async def opened(*, acknowledges: bool = True) -> Sender:
        sender = Sender(TOPIC, acknowledges=acknowledges)
        senders.append(sender)
        return await sender.connect(simulator.port, context)

    yield opened
    for sender in senders:
        await sender.close()


@pytest.fixture
async def sender(connect: Connect) -> Sender:
    return await connect()
