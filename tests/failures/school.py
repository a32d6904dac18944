"""A school on the ground: all four services, enrolled iPads, and apps that go to them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from local.doors import Doors
from local.plan import SERVICES
from local.sights import Sights
from tests.failures.grounds import Grounds, Pod, until

EAGER = {"licensing": {"STATUS_FIRST_SECONDS": "1", "STATUS_NEXT_SECONDS": "1"}}
"""Settings of services that ask again soon: a notification may come while nobody is there."""


class School:
    """What a test does in the school, and sees."""

    def __init__(self, grounds: Grounds, doors: Doors, pods: dict[str, Pod]) -> None:
        self.doors = doors
        self.sights = Sights(doors)
        self.pods = pods
        self.apps: list[str] = []
        self.ipads: list[str] = []
        self._grounds = grounds

    async def buy(self, *, apps: int, licenses: int) -> None:
        """Buy apps, and wait until assignment knows them."""
        await self.doors.apple.patch("/knobs", {"rate_limit": False})
        listed = [{"adam_id": str(1001 + number), "total": licenses} for number in range(apps)]
        library = await self.doors.apple.post("/libraries", {"assets": listed})
        await self.doors.licensing.post("/v1/content-tokens", {"content_token": library["token"]})
        assets = await until(self.sights.assets, lambda found: len(found) == apps, seconds=60)
        self.apps = [asset["id"] for asset in assets]

    async def enroll(self, count: int) -> None:
        """Enroll iPads, and wait until assignment knows them."""
        await self.doors.install_push_certificate()
        self.ipads = await self.doors.enroll_new_devices(count, kind="ios", prefix="IPAD")
        await until(self.sights.devices, lambda found: len(found) == count, seconds=60)

    async def assign(self, app: str, serials: Sequence[str]) -> list[str]:
        """Assign an app to each of these iPads, in one request; return the assignments."""
        targets = [{"type": "device", "serial_number": serial} for serial in serials]
        body = {"assignments": [{"asset_id": app, "target": target} for target in targets]}
        answer = await self.doors.assignment.post("/v1/assignments", body)
        return [assignment["id"] for assignment in answer["assignments"]]

    async def states(self) -> Counter[str]:
        """Return how many entitlements stand in each state."""
        rows = await self._grounds.fetch(
            "assignment", "SELECT state, count(*) FROM entitlements GROUP BY state"
        )
        return Counter({row["state"]: row["count"] for row in rows})

    async def settled(self, states: dict[str, int], *, seconds: float = 120.0) -> None:
        """Wait until the entitlements stand so."""
        await until(self.states, lambda found: found == Counter(states), seconds=seconds)

    async def installed(self) -> int:
        """Return how many managed apps there are on the iPads, as they say themselves."""
        devices: list[Any] = await self.doors.devices.get("/devices")
        return sum(app["managed"] for device in devices for app in device["apps"])

    async def commanded(self, request_type: str) -> int:
        """Return how many commands of a kind were made for the iPads."""
        return await self._grounds.count(
            "mdm-push", "SELECT count(*) FROM commands WHERE request_type = $1", request_type
        )

    async def stop(self, service: str) -> None:
        """Stop a service in good order."""
        assert await self.pods[service].child.stop() == 0

    async def all_told(self, service: str) -> None:
        """Wait until a service has published all that it had to tell."""
        await until(
            lambda: self._grounds.count(service, "SELECT count(*) FROM outbox"),
            lambda count: count == 0,
            seconds=60,
        )

    async def start(self, service: str) -> None:
        """Start a service that was stopped."""
        self.pods[service] = await self._grounds.serve(service, **EAGER.get(service, {}))


@asynccontextmanager
async def opened(grounds: Grounds) -> AsyncIterator[School]:
    """Start all four services."""
    await grounds.migrate(*SERVICES)
    started = await asyncio.gather(
        *(grounds.serve(service, **EAGER.get(service, {})) for service in SERVICES)
    )
    async with Doors(grounds.system) as doors:
        yield School(grounds, doors, dict(zip(SERVICES, started, strict=True)))
