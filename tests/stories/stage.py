"""The ground that a story is told on: apps, devices and groups of its own, so that no story disturbs another."""

import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from local.doors import Doors
from local.sights import Sights
from local.waiting import until

T = TypeVar("T")

_ADAM_IDS: Iterator[int] = itertools.count(900_000_001)


@dataclass(frozen=True, slots=True)
class Title:
    """An app or a book of a story's own: its asset id here, its adam id at Apple."""

    asset_id: str
    adam_id: str


class Stage:
    """Makes what a story needs and looks at what became of it. Every wait is bounded and ends in an assertion."""

    def __init__(self, doors: Doors, library_id: str) -> None:
        """`library_id` names the library at Apple whose content token is installed."""
        self.doors = doors
        self.sights = Sights(doors)
        self.library_id = library_id

    async def title(self, licenses: int, **listing: object) -> Title:
        """Buy a title that the library did not have, and wait until assignment knows it.

        `listing` is said of it at Apple: `product_type`, `supported_platforms` and the like.
        """
        adam_id = str(next(_ADAM_IDS))
        body = {"adam_id": adam_id, "total": licenses, **listing}
        await self.doors.apple.post(f"/libraries/{self.library_id}/assets", body)
        return Title(await self._asset_id(adam_id), adam_id)

    async def buy(self, title: Title, count: int) -> None:
        """Buy more licences of a title."""
        body = {"adam_id": title.adam_id, "count": count}
        await self.doors.apple.post(f"/libraries/{self.library_id}/purchases", body)

    async def script_apple(self, *faults: Mapping[str, object]) -> None:
        """Let Apple misbehave: the simulator's faults, one after the other."""
        await self.doors.apple.post("/faults", list(faults))

    async def ipads(self, count: int) -> list[str]:
        """Enroll new iPads and wait until assignment knows them."""
        return await self._devices(count, kind="ios", prefix="IPAD")

    async def macs(self, count: int) -> list[str]:
        """Enroll new Macs and wait until assignment knows them."""
        return await self._devices(count, kind="mac", prefix="MAC")

    async def group(self, serials: Sequence[str]) -> str:
        """Make a device group with these members."""
        group: str = (await self.doors.assignment.post("/v1/device-groups", {"name": "of a story"}))["id"]
        if serials:
            await self.join(group, serials)
        return group

    async def join(self, group: str, serials: Sequence[str]) -> Any:
        """Let devices join a group."""
        body = {"serial_numbers": list(serials)}
        return await self.doors.assignment.post(f"/v1/device-groups/{group}/members", body)

    async def leave(self, group: str, serials: Sequence[str]) -> Any:
        """Let devices leave a group."""
        body = {"serial_numbers": list(serials)}
        return await self.doors.assignment.post(f"/v1/device-groups/{group}/members/remove", body)

    async def ask(self, *assignments: Mapping[str, object], **headers: str) -> Any:
        """Ask for assignments in one request; return the whole answer."""
        body = {"assignments": list(assignments)}
        return await self.doors.assignment.post("/v1/assignments", body, **headers)

    async def assign(self, title: Title, target: Mapping[str, str], **wish: object) -> Any:
        """Ask for one assignment; return what the answer says of it."""
        answer = await self.ask({"asset_id": title.asset_id, "target": target, **wish})
        [assignment] = answer["assignments"]
        return assignment

    async def revoke(self, assignment: Mapping[str, str]) -> Any:
        """End an assignment."""
        return await self.doors.assignment.delete(f"/v1/assignments/{assignment['id']}")

    async def settles(self, assignment: Mapping[str, str], **states: int) -> None:
        """Wait until the entitlements of an assignment stand in just these states."""
        await self.sees(partial(self.sights.states, assignment["id"]), Counter(states))

    async def lives(self, serial: str, title: Title) -> list[tuple[str, str | None]]:
        """Return the lives of a title on a device: state and reason of each, oldest first."""
        found = await self.sights.lives(serial, title.asset_id)
        return [(life["state"], life["reason"]) for life in found]

    async def entitlement(self, serial: str, title: Title) -> Any:
        """Return the latest life of a title on a device, with why it stands as it stands."""
        latest = (await self.sights.lives(serial, title.asset_id))[-1]
        return await self.doors.assignment.get(f"/v1/entitlements/{latest['id']}")

    async def have_it(self, serials: Sequence[str], title: Title) -> int:
        """Return how many of these devices have this title, as they say themselves."""
        wanted, adam_id = set(serials), int(title.adam_id)
        return sum(
            any(app["adam_id"] == adam_id and app["status"] == "Managed" for app in device["apps"])
            for device in await self.doors.devices.get("/devices")
            if device["serial"] in wanted
        )

    async def counts(self, title: Title) -> dict[str, int]:
        """Return how many licences are held and free, by our ledger and as Apple counts."""
        pool = await self.sights.pool(title.asset_id)
        apple = await self.sights.at_apple(title.adam_id)
        return {
            "held": pool["held"],
            "free": pool["available"],
            "held_at_apple": apple["assignedCount"],
            "free_at_apple": apple["availableCount"],
        }

    async def agrees(self, title: Title, *, held: int, free: int) -> None:
        """Wait until our ledger and Apple both count so many licences, and name the same devices."""
        expected = {"held": held, "free": free, "held_at_apple": held, "free_at_apple": free}
        await self.sees(partial(self.counts, title), expected)
        holders = sorted((await self.sights.at_apple(title.adam_id))["serialNumbers"])
        await self.sees(partial(self.sights.holders, title.asset_id), holders)

    async def asked_of_apple(self, path: str) -> int:
        """Return how often Apple was asked to write this so far."""
        requests: dict[str, int] = (await self.doors.apple.get("/state", holders="false"))["requests"]
        return requests.get(f"POST {path}", 0)

    async def sees(self, look: Callable[[], Awaitable[T]], expected: T, *, seconds: float = 30) -> None:
        """Look until it is as expected, for a bounded time."""
        found = await until(look, lambda found: found == expected, within_seconds=seconds)
        assert found == expected, f"after {seconds:g} s there is {found!r}, not {expected!r}"

    async def _devices(self, count: int, *, kind: str, prefix: str) -> list[str]:
        serials = await self.doors.enroll_new_devices(count, kind=kind, prefix=prefix)
        await self.known(serials)
        return serials

    async def known(self, serials: Sequence[str]) -> None:
        """Wait until assignment knows these devices as enrolled."""

        async def missing() -> set[str]:
            known = await self.sights.devices(enrolled="true")
            return set(serials) - {each["serial_number"] for each in known}

        assert not await until(missing, lambda found: not found)

    async def _asset_id(self, adam_id: str) -> str:
        async def found() -> list[str]:
            return [each["id"] for each in await self.sights.assets() if each["adam_id"] == adam_id]

        [asset_id] = await until(found, bool)
        return asset_id


def device(serial: str) -> dict[str, str]:
    """Return a device as a target."""
    return {"type": "device", "serial_number": serial}


def group(group_id: str) -> dict[str, str]:
    """Return a device group as a target."""
    return {"type": "device_group", "id": group_id}
