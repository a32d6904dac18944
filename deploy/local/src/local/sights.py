"""What can be seen of a running system: questions to the services over HTTP, and to the simulated Apple and devices.

The services and the simulators know nothing of each other, so figures that agree on both sides are true.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from local.doors import Doors


class Sights:
    """One question per function, each answered as of now."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def assets(self) -> list[Any]:
        """Return the assets that assignment knows."""
        return await self._doors.assignment.every("/v1/assets")

    async def pool(self, asset_id: str) -> Any:
        """Return the counts of an asset that one library holds."""
        [pool] = await self._doors.licensing.every("/v1/pools", asset_id=asset_id)
        return pool

    async def available(self, asset_id: str) -> int:
        """Return how many licences of an asset can still be given."""
        available: int = (await self.pool(asset_id))["available"]
        return available

    async def waitlist(self, asset_id: str) -> list[Any]:
        """Return who waits for an asset, in the order in which they are served."""
        return await self._doors.licensing.every("/v1/waitlist", asset_id=asset_id)

    async def holders(self, asset_id: str) -> list[str]:
        """Return the serial numbers that have a licence which Apple confirmed, by our ledger, sorted."""
        licenses = await self._doors.licensing.every("/v1/licenses", asset_id=asset_id, state="assigned")
        return sorted(each["serial_number"] for each in licenses)

    async def at_apple(self, adam_id: str) -> Any:
        """Return an asset as the simulated Apple counts it, with its holders; one library only may list it."""
        libraries = (await self._doors.apple.get("/state"))["libraries"].values()
        [asset] = [each for library in libraries for each in library["assets"] if each["adamId"] == adam_id]
        return asset

    async def devices(self, **filters: object) -> list[Any]:
        """Return the devices that assignment knows."""
        return await self._doors.assignment.every("/v1/devices", **filters)

    async def states(self, assignment_id: str) -> Counter[str]:
        """Return how many entitlements of an assignment stand in each state."""
        path = f"/v1/assignments/{assignment_id}/entitlements"
        return Counter(each["state"] for each in await self._doors.assignment.every(path))

    async def lives(self, serial_number: str, asset_id: str) -> list[Any]:
        """Return the entitlements of a device to an asset, one life after the other."""
        return await self._doors.assignment.every(
            "/v1/entitlements", serial_number=serial_number, asset_id=asset_id
        )

    async def having(self, serials: Sequence[str]) -> int:
        """Return how many of these devices have a managed app, as the simulated devices say themselves."""
        wanted = set(serials)
        return sum(
            any(app["managed"] and app["status"] == "Managed" for app in device["apps"])
            for device in await self._doors.devices.get("/devices")
            if device["serial"] in wanted
        )
