import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from local.simulators.apns import ApnsSettings, ApnsSimulator
from local.simulators.authority import Authority
from local.simulators.devices import Channel, Device, DeviceFleet, FleetSettings, Kind
from local.simulators.serving import Serving
from tests.local.apns.h2_sender import Sender
from tests.local.devices.tiny_mdm import TinyMdm
from tests.local.devices.visits import TOPIC, Fleets, Push, Visits, enrolled, name


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("Test authority")


@pytest.fixture(scope="module")
def folder(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("devices")
    (made / "ca.pem").write_bytes(authority.certificate_pem)
    authority.issue_server(hosts=["localhost", "127.0.0.1"]).write(made, "server")
    authority.issue_push(topic=TOPIC).write(made, "push")
    return made


@pytest.fixture(scope="module")
async def apns(folder: Path) -> AsyncIterator[ApnsSimulator]:
    settings = ApnsSettings(
        certificate_file=folder / "server.pem",
        key_file=folder / "server.key",
        client_ca_file=folder / "ca.pem",
    )
    async with ApnsSimulator(settings) as simulator:
        yield simulator


@pytest.fixture(scope="module")
async def sender(apns: ApnsSimulator, folder: Path) -> AsyncIterator[Sender]:
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "push.pem", folder / "push.key")
    opened = await Sender(TOPIC).connect(apns.port, context)
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
async def server(folder: Path) -> AsyncIterator[tuple[TinyMdm, int]]:
    mdm = TinyMdm()
    serving = await Serving.start(
        mdm.app(), certificate_file=folder / "server.pem", key_file=folder / "server.key"
    )
    yield mdm, serving.port
    await serving.stop()


@pytest.fixture
def mdm(server: tuple[TinyMdm, int]) -> TinyMdm:
    server[0].reset()
    return server[0]


@pytest.fixture
def fleets(server: tuple[TinyMdm, int], apns: ApnsSimulator, authority: Authority, folder: Path) -> Fleets:
    """Start fleets with quick settings."""

    @asynccontextmanager
    async def started(**changes: Any) -> AsyncIterator[DeviceFleet]:
        given: dict[str, Any] = {
            "checkin_url": f"https://localhost:{server[1]}/mdm/checkin",
            "connect_url": f"https://localhost:{server[1]}/mdm/connect",
            "topic": TOPIC,
            "authority": authority,
            "apns": apns,
            "server_ca_file": folder / "ca.pem",
            "install_seconds": 0.0,
            "not_now_seconds": 0.02,
            "retry_seconds": 0.02,
        }
        async with DeviceFleet(FleetSettings(**(given | changes))) as fleet:
            yield fleet

    return started


@pytest.fixture
async def fleet(fleets: Fleets) -> AsyncIterator[DeviceFleet]:
    async with fleets() as started:
        yield started


@pytest.fixture
async def ipad(fleet: DeviceFleet) -> Device:
    return await enrolled(fleet, Kind.IOS)


@pytest.fixture
async def mac(fleet: DeviceFleet) -> Device:
    return await enrolled(fleet, Kind.MAC)


@pytest.fixture
def push(mdm: TinyMdm, sender: Sender) -> Push:
    """Push with the token and the magic that the server was told."""

    async def wake(device: Device | Channel) -> None:
        token, magic = mdm.tokens[name(device)]
        assert (await sender.post(token, body=json.dumps({"mdm": magic}).encode())).status == 200

    return wake


@pytest.fixture
def visits(fleet: DeviceFleet, mdm: TinyMdm, push: Push) -> Visits:
    return Visits(fleet, mdm, push)
