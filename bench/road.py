"""The main road through the real system: from a POST over HTTP to what licensing tells on Apache Kafka."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaProducer

from bench.figures import Figure, Size
from bench.ground import system
from bench.probe import Probe, probing
from local.doors import Doors
from local.waiting import Found, until
from shared.events import Envelope
from shared.events.mdm_push import DeviceEnrolled
from shared.events.registry import encode
from shared.events.words import EnrollmentKind, Platform
from shared.ids import new_id
from shared.kafka import KafkaConnection

NAMES = ("road-10k", "latency-one-p50", "latency-one-p99")

_DEVICES = 10_000
_ROADS = 3
_REQUESTS = 300
_APART_SECONDS = 0.05
_LICENSES = 20_000
_PATIENCE_SECONDS = 120.0
_WARM_REQUESTS = 100
_WARM_ROAD_APP, _WARM_LATENCY_APP, _LATENCY_APP, *_ROAD_APPS = _APPS = [
    str(100 + n) for n in range(3 + _ROADS)
]

_NOTE = "Apple's delay and its 15 requests per second off, one process per service"


async def measure(size: Size) -> list[Figure]:
    """Measure `latency-one` in milliseconds and `road-10k` in devices per second, in one system that is warm.

    The latencies come first: the roads leave installs to be tried again behind them, for these devices are unknown
    to mdm-push.
    """
    async with system() as started, Doors(started) as doors:
        kafka = KafkaConnection(started.broker.bootstrap_servers)
        async with probing(kafka) as probe:
            road = await Road.opened(doors, kafka, probe, devices=size.of(_DEVICES))
            await road.latencies(_WARM_LATENCY_APP, size.of(_WARM_REQUESTS))
            latencies = await road.latencies(_LATENCY_APP, size.of(_REQUESTS))
            await road.go(_WARM_ROAD_APP)
            rates = [await road.go(app) for app in _ROAD_APPS]
    rate_note = (
        f"{len(road.serials):,} devices, POST to the last LicenseAssigned, median of {_ROADS}; {_NOTE}"
    )
    note = f"{len(latencies)} requests, {_APART_SECONDS * 1000:g} ms apart, POST to LicenseReserved; {_NOTE}"
    p50, p99 = statistics.median(latencies), statistics.quantiles(latencies, n=100)[98]
    return [
        Figure("road-10k", statistics.median(rates), "devices/s", note=size.note(rate_note)),
        Figure("latency-one-p50", p50, "ms", note=size.note(note), less_is_better=True),
        Figure("latency-one-p99", p99, "ms", note=size.note(note), less_is_better=True),
    ]


class Road:
    """A school whose devices and purchases are known to the services, and one group of all its devices."""

    def __init__(self, doors: Doors, probe: Probe, serials: Sequence[str]) -> None:
        self.serials = serials
        self._doors = doors
        self._probe = probe
        self._assets: dict[str, str] = {}
        self._group = ""

    @classmethod
    async def opened(cls, doors: Doors, kafka: KafkaConnection, probe: Probe, *, devices: int) -> "Road":
        """Make purchases and devices known, and wait until they are."""
        road = cls(doors, probe, [f"BENCH{number:06}" for number in range(devices)])
        await road._buy()
        await _enroll(kafka, road.serials)
        await _become(road._devices_known, lambda known: known == devices)
        group = await doors.assignment.post("/v1/device-groups", {"name": "all of them"})
        members = f"/v1/device-groups/{group['id']}/members"
        await doors.assignment.post(members, {"serial_numbers": road.serials})
        road._group = group["id"]
        return road

    async def go(self, app: str) -> float:
        """Assign an app to all devices; return how many a second got their licence."""
        began = time.perf_counter()
        answer = await self._assign(app, {"type": "device_group", "id": self._group})
        ended = await self._probe.told("LicenseAssigned", answer["request_id"], len(self.serials))
        await self._calm(answer["assignments"][0]["id"])
        return len(self.serials) / (ended - began)

    async def latencies(self, app: str, requests: int) -> list[float]:
        """Assign an app to one device after the other; return the milliseconds until each licence was reserved."""
        asking = []
        for serial in self.serials[:requests]:
            asking.append(asyncio.create_task(self._latency(app, serial)))
            await asyncio.sleep(_APART_SECONDS)
        return [1000 * seconds for seconds in await asyncio.gather(*asking)]

    async def _latency(self, app: str, serial: str) -> float:
        began = time.perf_counter()
        answer = await self._assign(app, {"type": "device", "serial_number": serial})
        return await self._probe.told("LicenseReserved", answer["request_id"], 1) - began

    async def _assign(self, app: str, target: dict[str, str]) -> Any:
        body = {"assignments": [{"asset_id": self._assets[app], "target": target}]}
        return await self._doors.assignment.post("/v1/assignments", body)

    async def _calm(self, assignment_id: str) -> None:
        """Wait until nothing is under way: mdm-push knows none of these devices, so each is to be tried again later."""
        await _become(
            lambda: self._doors.assignment.get(f"/v1/assignments/{assignment_id}/progress"),
            lambda progress: (
                progress["settled"] + progress["states"].get("retrying", 0) == progress["targets"]
            ),
        )

    async def _buy(self) -> None:
        """Let Apple answer at once, as often as it is asked, and install the content token of a large library."""
        limits = {"maxRequestPerSecond": 100_000}
        await self._doors.apple.patch(
            "/knobs", {"event_delay_seconds": 0, "rate_limit": False, "limits": limits}
        )
        purchases = [{"adam_id": app, "total": _LICENSES} for app in _APPS]
        library = await self._doors.apple.post("/libraries", {"assets": purchases})
        await self._doors.licensing.post("/v1/content-tokens", {"content_token": library["token"]})
        assets = await _become(self._known_assets, lambda known: len(known) == len(_APPS))
        self._assets = {asset["adam_id"]: asset["id"] for asset in assets}

    async def _known_assets(self) -> list[Any]:
        return await self._doors.assignment.every("/v1/assets")

    async def _devices_known(self) -> int:
        return len(await self._doors.assignment.every("/v1/devices"))


async def _become(ask: Callable[[], Awaitable[Found]], good: Callable[[Found], bool]) -> Found:
    """Wait until what is asked about has become so, and return it. Raises TimeoutError."""
    found = await until(ask, good, within_seconds=_PATIENCE_SECONDS)
    if not good(found):
        raise TimeoutError(f"after {_PATIENCE_SECONDS:g} s still {found!r:.200}")
    return found


async def _enroll(kafka: KafkaConnection, serials: Sequence[str]) -> None:
    """Tell of devices as mdm-push would, had they enrolled with it."""
    producer = AIOKafkaProducer(**kafka.options(), acks="all")
    await producer.start()
    try:
        sent = [await producer.send(DeviceEnrolled.topic.name, **_record(serial)) for serial in serials]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def _record(serial: str) -> dict[str, Any]:
    event = DeviceEnrolled(
        enrollment_id=new_id(),
        generation=1,
        serial_number=serial,
        platform=Platform.IOS,
        os_version="18.1",
        kind=EnrollmentKind.DEVICE,
        supervised=True,
    )
    envelope = Envelope(
        event_id=new_id(),
        source=event.topic.owner,
        type=type(event).__name__,
        version=event.version,
        time=datetime.now(UTC),
        subject=event.subject(),
        correlation_id=new_id(),
        sequence=1,
    )
    return {"key": event.key().encode(), "value": encode(event), "headers": envelope.headers()}
