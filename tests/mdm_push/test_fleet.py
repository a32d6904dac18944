"""Simulated devices on a real wire: pushed by APNs, they fetch, install and report."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from local.simulators.apns import ApnsSimulator
from local.simulators.authority import Authority
from local.simulators.devices import Device, DeviceFleet, FleetSettings, Kind, ProofMode
from mdm_push import apns
from mdm_push.apns import Apns
from mdm_push.steps import Pusher
from shared.clock import SystemClock
from shared.events.mdm_push import (
    DeviceEnrolled,
    DeviceUnenrolled,
    DeviceUpdated,
    InstallCompleted,
    RemovalCompleted,
)
from shared.ids import new_id
from tests.mdm_push.doors import Doors
from tests.mdm_push.test_steps import store
from tests.mdm_push.workbench import TOPIC, Told, Workbench


@pytest.fixture
async def fleet(doors: Doors, simulator: ApnsSimulator, authority: Authority) -> AsyncIterator[DeviceFleet]:
    settings = FleetSettings(
        checkin_url=f"{doors.url}/mdm/checkin",
        connect_url=f"{doors.url}/mdm/connect",
        topic=TOPIC,
        authority=authority,
        apns=simulator,
        proof_mode=ProofMode.SIGNATURE,
        install_seconds=0.3,
        not_now_seconds=0.1,
        retry_seconds=0.1,
    )
    async with DeviceFleet(settings) as fleet:
        yield fleet


@pytest.fixture(autouse=True)
async def pushing(
    doors: Doors, simulator: ApnsSimulator, authority: Authority, folder: Path
) -> AsyncIterator[None]:
    """The pusher at work."""
    await store(doors.bench, authority)
    service = Apns(
        apns.ApnsSettings(host="localhost", port=simulator.port, trust_ca_file=folder / "ca.pem"),
        SystemClock(),
    )
    pusher = Pusher(doors.bench.database, service, doors.bench.means)
    stop = asyncio.Event()
    running = asyncio.create_task(pusher.run(stop))
    yield
    stop.set()
    await running
    await service.close()


async def told(bench: Workbench, kind: type, count: int) -> list[Told]:
    """Wait for so many events of one kind; what else was told is forgotten."""
    found: list[Told] = []
    async with asyncio.timeout(30):
        while len(found) < count:
            found += [each for each in await bench.told() if isinstance(each.event, kind)]
            await asyncio.sleep(0.05)
    assert len(found) == count
    return found


async def enroll(doors: Doors, fleet: DeviceFleet, count: int, kind: Kind) -> tuple[list[Device], list[Told]]:
    devices = fleet.create(count, kind=kind)
    assert await fleet.enroll(devices) == []
    return devices, await told(doors.bench, DeviceEnrolled, count)


async def test_ipads_and_macs_install_and_remove_over_the_whole_wire(
    doors: Doors, fleet: DeviceFleet
) -> None:
    _, ipads = await enroll(doors, fleet, 5, Kind.IOS)
    _, macs = await enroll(doors, fleet, 5, Kind.MAC)
    targets = await doors.bench.ask_install(*(each.event.enrollment_id for each in ipads + macs))
    completed = await told(doors.bench, InstallCompleted, 10)
    assert {each.event.delivery_id for each in completed} == {target.delivery_id for target in targets}
    assert all(len(device.apps) == 1 for device in fleet.devices.values())
    await doors.bench.ask_removal(targets)
    removed = await told(doors.bench, RemovalCompleted, 10)
    assert all(each.event.was is None for each in removed)
    assert not any(device.apps for device in fleet.devices.values())
    async with asyncio.timeout(20):  # the devices' last words are taken in after what was told
        while await doors.bench.value("SELECT count(*) FROM push_state WHERE next_push_at IS NOT NULL"):
            await asyncio.sleep(0.05)


async def test_a_mac_before_macos_11_proves_an_install_too(doors: Doors, fleet: DeviceFleet) -> None:
    async with DeviceFleet(replace(fleet.settings, mac_version="10.15.7")) as old:
        _, [mac] = await enroll(doors, old, 1, Kind.MAC)
        [target] = await doors.bench.ask_install(mac.event.enrollment_id)
        [completed] = await told(doors.bench, InstallCompleted, 1)
    assert completed.event.delivery_id == target.delivery_id


async def test_devices_tell_that_they_are_supervised(doors: Doors, fleet: DeviceFleet) -> None:
    await fleet.enroll(fleet.create(3))
    updated = await told(doors.bench, DeviceUpdated, 3)
    assert all(each.event.supervised for each in updated)


async def test_a_wiped_device_ends_one_life_and_begins_the_next(doors: Doors, fleet: DeviceFleet) -> None:
    devices, [first] = await enroll(doors, fleet, 1, Kind.IOS)
    await doors.bench.ask_install(first.event.enrollment_id)
    await told(doors.bench, InstallCompleted, 1)
    await fleet.wipe(devices)
    assert await fleet.enroll(devices) == []
    events: list[Told] = []
    async with asyncio.timeout(20):
        while not any(isinstance(each.event, DeviceEnrolled) for each in events):
            events += await doors.bench.told()
            await asyncio.sleep(0.02)
    lives = [each for each in events if isinstance(each.event, DeviceUnenrolled | DeviceEnrolled)]
    assert [type(each.event) for each in lives] == [DeviceUnenrolled, DeviceEnrolled]
    assert [each.event.generation for each in lives] == [1, 2]
    assert lives[1].event.enrollment_id == first.event.enrollment_id


async def test_a_device_that_was_away_is_woken_when_it_is_back(doors: Doors, fleet: DeviceFleet) -> None:
    devices, [enrolled] = await enroll(doors, fleet, 1, Kind.IOS)
    await told(doors.bench, DeviceUpdated, 1)
    await fleet.go_offline(devices)
    await doors.bench.ask_install(enrolled.event.enrollment_id, asset_id=new_id())
    await asyncio.sleep(0.5)
    await fleet.go_online(devices)
    await told(doors.bench, InstallCompleted, 1)
