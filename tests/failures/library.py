"""A library at the simulated Apple, licensing's books about it, and what both must say when all is quiet."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from local.doors import Doors
from shared.events import Heard
from shared.events.assignment import AssignmentRequested
from shared.events.event import Principal
from shared.events.licensing import LicenseAssigned, LicenseReserved, LicenseWaitlisted
from shared.events.words import AssetKind, AssignmentMode, InstallMode
from shared.ids import asset_id, new_id
from tests.failures.bus import everything, once, telling
from tests.failures.grounds import Grounds, until

HOLDING = "('reserved', 'assigned', 'releasing')"
QUALITY = "STDQ"
EAGER = {"STATUS_FIRST_SECONDS": "1", "STATUS_NEXT_SECONDS": "1"}
"""Settings of a licensing that asks Apple soon: who is told of an event may be away when the notification comes."""
SOON = {**EAGER, "PROOF_SECONDS": "4", "WORKER_LEASE_SECONDS": "6", "APPLE_DEADLINE_SECONDS": "5"}
"""Promise 6 in small: what a dead process left is taken up, and silence proves something, within seconds."""


class Library:
    """One library whose content token licensing has."""

    def __init__(self, grounds: Grounds, doors: Doors, adam_ids: Sequence[str]) -> None:
        self.doors = doors
        self.assets = {asset_id(adam_id, QUALITY): adam_id for adam_id in adam_ids}
        self._grounds = grounds

    async def states(self) -> Counter[str]:
        """Return how many licences are in each state, by the rows of the ledger."""
        rows = await self._grounds.fetch("licensing", "SELECT state, count(*) FROM license GROUP BY state")
        return Counter({row["state"]: row["count"] for row in rows})

    async def settled(self, states: dict[str, int], *, seconds: float = 120.0) -> None:
        """Wait until the ledger's rows stand so, no request to Apple is open and all events are published."""
        await until(self.states, lambda found: found == Counter(states), seconds=seconds)
        await until(self._under_way, lambda count: count == 0, seconds=seconds)

    async def _under_way(self) -> int:
        return await self._grounds.count(
            "licensing", "SELECT (SELECT count(*) FROM intent) + (SELECT count(*) FROM outbox)"
        )

    async def check_books(self) -> None:
        """Check promise 1 in every pool, and that the ledger's licences are those which Apple counts."""
        pools = await self._grounds.fetch(
            "licensing",
            "SELECT asset_id, held, total - retired - foreign_count AS capacity,"
            f" (SELECT count(*) FROM license WHERE pool_id = pool.id AND state IN {HOLDING}) AS counted,"
            " (SELECT coalesce(array_agg(serial_number), '{}') FROM license"
            "  WHERE pool_id = pool.id AND state = 'assigned') AS assigned FROM pool",
        )
        at_apple = await self.at_apple()
        assert {pool["asset_id"] for pool in pools} == set(self.assets)
        for pool in pools:
            assert pool["held"] == pool["counted"] <= pool["capacity"]
            assert sorted(pool["assigned"]) == sorted(at_apple[pool["asset_id"]]["serialNumbers"])

    async def at_apple(self) -> dict[UUID, Any]:
        """Return each asset as the simulated Apple counts it, with its holders."""
        state = await self.doors.apple.get("/state")
        [library] = state["libraries"].values()
        return {asset_id(asset["adamId"], QUALITY): asset for asset in library["assets"]}

    async def requests(self, path: str) -> int:
        """Return how often Apple was asked so, by method and path."""
        return int((await self.doors.apple.get("/state"))["requests"].get(path, 0))

    async def faults_left(self) -> int:
        """Return how many of the faults scripted for Apple are still to come."""
        return sum(fault["times"] for fault in (await self.doors.apple.get("/state"))["faults"])


@asynccontextmanager
async def opened(grounds: Grounds, *, assets: int, licenses: int) -> AsyncIterator[Library]:
    """Open a library with `licenses` of each of its apps, and wait until licensing, which runs, knows them."""
    adam_ids = [str(number) for number in range(1001, 1001 + assets)]
    async with Doors(grounds.system) as doors:
        await doors.apple.patch("/knobs", {"rate_limit": False})
        listed = [{"adam_id": adam_id, "total": licenses} for adam_id in adam_ids]
        made = await doors.apple.post("/libraries", {"assets": listed})
        await doors.licensing.post("/v1/content-tokens", {"content_token": made["token"]})
        await until(
            lambda: grounds.count("licensing", "SELECT count(*) FROM pool"),
            lambda count: count == assets,
            seconds=60,
        )
        yield Library(grounds, doors, adam_ids)


def wish(asset: UUID, serials: Iterable[str]) -> Heard[AssignmentRequested]:
    """Return the wish that devices get an app, each a life of its own."""
    targets = tuple(Principal(entitlement_id=new_id(), version=1, serial_number=serial) for serial in serials)
    return telling(
        AssignmentRequested(
            asset_id=asset,
            kind=AssetKind.VPP_APP,
            assignment_mode=AssignmentMode.DEVICE,
            install_mode=InstallMode.AUTOMATIC,
            targets=targets,
        )
    )


@asynccontextmanager
async def pool_locked(grounds: Grounds) -> AsyncIterator[None]:
    """Hold the one pool's row: a reservation that began waits in the middle of its transaction."""
    connection = await grounds.connect("licensing")
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM pool FOR UPDATE")
            yield
    finally:
        await connection.close()


async def waiting_for_the_pool(grounds: Grounds) -> int:
    """Return how many transactions that claimed events wait for a row's lock."""
    return await grounds.count(
        "licensing",
        "SELECT count(*) FROM pg_stat_activity JOIN pg_locks USING (pid)"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        " AND relation = 'inbox'::regclass AND mode = 'RowExclusiveLock'",
    )


async def check_answers(
    grounds: Grounds, wishes: Iterable[Heard[AssignmentRequested]], *, waitlisted: int = 0
) -> None:
    """Check that licensing told every target once of its reservation, and once that Apple confirmed it.

    `waitlisted` is how many were told once that they wait instead, and nothing else.
    """
    heard = once(await everything(grounds.kafka, "licensing.events"))
    waiting = _told(heard, LicenseWaitlisted)
    asked = [target.entitlement_id for each in wishes for target in each.event.targets]
    served = Counter([each for each in asked if each not in waiting])
    assert waiting.total() == len(waiting) == waitlisted
    assert _told(heard, LicenseReserved) == served
    assert _told(heard, LicenseAssigned) == served


def _told(heard: Iterable[Heard[Any]], kind: type[Any]) -> Counter[UUID]:
    """Return how often events of this kind told of each entitlement."""
    told = [each.event.targets for each in heard if isinstance(each.event, kind)]
    return Counter(target.entitlement_id for targets in told for target in targets)
