import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from local.simulators.apns import ApnsSettings, ApnsSimulator, DoorKind, Push
from local.simulators.authority import Authority, Identity
from tests.conformance.apns.h2_sender import Sender
from tests.local.apns.parts import NOW, TOKEN, TOPIC, Clock, Connect


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("Test authority")


@pytest.fixture(scope="module")
def push_identity(authority: Authority) -> Identity:
    return authority.issue_push(topic=TOPIC)


@pytest.fixture(scope="module")
def door() -> DoorKind:
    """The scripted one; a module whose tests hold for both parametrizes it."""
    return "scripted"


@pytest.fixture(scope="module")
def settings(authority: Authority, door: DoorKind, tmp_path_factory: pytest.TempPathFactory) -> ApnsSettings:
    folder = tmp_path_factory.mktemp("apns")
    certificate, key = authority.issue_server(hosts=["localhost", "127.0.0.1"]).write(folder, "server")
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    return ApnsSettings(
        certificate_file=certificate, key_file=key, client_ca_file=folder / "ca.pem", door=door
    )


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
async def admin(simulator: ApnsSimulator) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=simulator.admin_url, trust_env=False) as admin:
        yield admin


@pytest.fixture
def heard(simulator: ApnsSimulator) -> Iterator[list[Push]]:
    pushes: list[Push] = []
    simulator.registry.attach("here", pushes.append)
    yield pushes
    simulator.registry.detach("here", pushes.append)


@pytest.fixture
def context(settings: ApnsSettings, push_identity: Identity, tmp_path: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.client_ca_file)
    context.load_cert_chain(*push_identity.write(tmp_path, "push"))
    context.set_alpn_protocols(["h2"])
    return context


@pytest.fixture
def stranger(settings: ApnsSettings) -> ssl.SSLContext:
    """Shows no certificate."""
    context = ssl.create_default_context(cafile=settings.client_ca_file)
    context.set_alpn_protocols(["h2"])
    return context


@pytest.fixture
async def connect(simulator: ApnsSimulator, context: ssl.SSLContext) -> AsyncIterator[Connect]:
    senders: list[Sender] = []

    async def opened(proof: ssl.SSLContext = context, *, topic: str = TOPIC) -> Sender:
        sender = await Sender(topic).connect(simulator.port, proof)
        senders.append(sender)
        return sender

    yield opened
    for sender in senders:
        await sender.close()


@pytest.fixture
async def sender(connect: Connect) -> Sender:
    return await connect()
