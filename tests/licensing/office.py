"""The whole of licensing in this process, beside a simulated Apple that speaks real https."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from licensing.apple import Apple
from licensing.handlers import Clockwork
from licensing.steps import Claims, Desk, Pace, steps
from licensing.store import pools
from licensing.work import want_lists
from local.simulators.apple import AppleSimulator, asset_writes, user_writes
from local.simulators.apple.assets import AssetKey, AssignedOnRefund, HolderKind, Quality
from local.simulators.apple.errors import AppleError
from local.simulators.apple.library import Library
from shared.clock import TurnedClock
from shared.errors import Unavailable
from shared.ids import new_id
from shared.vault import Vault
from shared.worker import LeaseLost, Step, WorkRow
from tests.licensing.situation import Situation, Wish

APP = "361309726"
BOOK = "889602079"
PACE = Pace(
    first_status=timedelta(seconds=30), next_status=timedelta(seconds=30), proof=timedelta(minutes=10)
)


class AppleAdmin:
    """The simulator's admin door."""

    def __init__(
        self, simulator: AppleSimulator, http: httpx2.AsyncClient, patch: pytest.MonkeyPatch
    ) -> None:
        self.simulator = simulator
        self._http = http
        self._patch = patch

    async def post(self, path: str, body: Any = None) -> Any:
        response = await self._http.post(f"{self.simulator.admin_url}{path}", json=body)
        response.raise_for_status()
        return response.json()

    async def knobs(self, **changes: Any) -> None:
        response = await self._http.patch(f"{self.simulator.admin_url}/knobs", json=changes)
        response.raise_for_status()

    async def fault(self, path: str, answer: str, **said: Any) -> None:
        await self.post("/faults", [{"path": path, "answer": answer, **said}])

    async def open_library(self, licenses: int, **said: Any) -> tuple[str, str]:
        """Open a library with an app and a book; return its uId and the text of its content token."""
        made = await self.post(
            "/libraries",
            {
                "country": "FR",
                "assets": [
                    {"adam_id": APP, "total": licenses},
                    {"adam_id": BOOK, "total": 5, "product_type": "Book", "supported_platforms": ["iOS"]},
                ],
                **said,
            },
        )
        return made["uid"], made["token"]

    async def holders(self, adam_id: str = APP) -> set[str]:
        """Return the serial numbers that hold a licence at Apple."""
        library = next(iter(self.simulator.world.libraries.values()))
        return {
            serial
            for key, asset in library.assets.items()
            if key.adam_id == adam_id
            for kind, holders in asset.holders.items()
            if kind == "serialNumber"
            for serial in holders
        }

    def requests(self, path: str) -> int:
        return self.simulator.world.requests[path]

    async def settled(self) -> None:
        """Wait until Apple has worked all events."""
        while any(event.status == "PENDING" for event in self.simulator.world.events.values()):
            await asyncio.sleep(0.01)

    async def notified(self) -> None:
        """Wait until Apple has sent all notifications."""
        await self.settled()
        notifier = self.simulator._notifier
        while notifier._tasks:
            await asyncio.sleep(0.01)

    async def revoke_tokens(self) -> None:
        """Let every content token issued so far be revoked."""
        response = await self._http.delete(
            f"{self.simulator.admin_url}/libraries/{self._library().uid}/tokens"
        )
        response.raise_for_status()

    async def refund(self, adam_id: str, count: int, *, assigned: str = "refuse") -> None:
        """Give licences back, and let nobody tell us."""
        library = self._library()
        library.assets[self._key(adam_id)].refund(count, assigned=AssignedOnRefund(assigned))
        self.simulator.world.touch(library)

    async def give(self, adam_id: str, *serial_numbers: str) -> None:
        """Assign licences by another hand."""
        library = self._library()
        library.assets[self._key(adam_id)].associate(HolderKind.SERIAL, serial_numbers)
        self.simulator.world.touch(library)

    async def take(self, adam_id: str, *serial_numbers: str) -> None:
        """Take licences back by another hand."""
        library = self._library()
        library.assets[self._key(adam_id)].disassociate(HolderKind.SERIAL, serial_numbers)
        self.simulator.world.touch(library)

    def poison(self, serial_number: str) -> None:
        """Refuse every request that names this serial, without saying so."""
        honest = asset_writes.read_asset_write

        def picky(body: Mapping[str, Any], **said: Any) -> Any:
            if serial_number in body.get("serialNumbers", ()):
                raise AppleError(9602)
            return honest(body, **said)

        self._patch.setattr("local.simulators.apple.wire.read_asset_write", picky)

    def poison_user(self, client_user_id: str) -> None:
        """Refuse every request that names this user, without saying so."""
        honest = user_writes.read_user_write

        def picky(body: Mapping[str, Any], **said: Any) -> Any:
            if any(row.get("clientUserId") == client_user_id for row in body.get("users", ())):
                raise AppleError(9602)
            return honest(body, **said)

        self._patch.setattr("local.simulators.apple.wire.read_user_write", picky)

    def _library(self) -> Library:
        return next(iter(self.simulator.world.libraries.values()))

    @staticmethod
    def _key(adam_id: str) -> AssetKey:
        return AssetKey(adam_id, Quality.STANDARD)


class Office(Situation):
    """A ledger whose work is done by hand: `work` does what is due at the turned time, and no more."""

    def __init__(self, situation: Situation, apple: Apple, vault: Vault, door: str) -> None:
        super().__init__(situation.database)
        self.apple = apple
        self.vault = vault
        self.clockwork = Clockwork(self.database, vault, ended_kept=timedelta(days=400))
        self.door = door
        self.steps: Mapping[str, Step] = self._steps(PACE)

    @property
    def clock(self) -> TurnedClock:
        assert isinstance(self.database.clock, TurnedClock)
        return self.database.clock

    def read_page_by_page(self) -> None:
        """Let each step read one page of a list, and leave the rest to the next."""
        self.steps = self._steps(replace(PACE, part=timedelta(0)))

    async def work(self, *kinds: str) -> list[str]:
        """Do every row that is due until none is; return the kinds done, with `!problem` for those put off."""
        done: list[str] = []
        while row := await self._claim(kinds or tuple(self.steps)):
            done.append(await self._do(row))
        return done

    async def work_once(self, *kinds: str) -> None:
        """Do one row that is due, if there is one."""
        if row := await self._claim(kinds):
            await self._do(row)

    async def pass_time(self, seconds: float) -> list[str]:
        """Turn the clock and do what has become due."""
        self.clock.turn(seconds)
        return await self.work()

    async def adopt_pool(self, adam_id: str = APP) -> None:
        """Look at the pool of this app from now on."""
        (row,) = await self.rows(
            "SELECT pool.id, asset_id FROM pool JOIN asset ON asset.id = asset_id WHERE adam_id = $1", adam_id
        )
        self.pool_id, self.asset_id = row["id"], row["asset_id"]

    async def settle_all(self) -> None:
        """Work until nothing is left to be done, however long it takes."""
        for _ in range(60):
            await self.clockwork.read_notifications()
            await self.work()
            if not await self.rows("SELECT 1 FROM work"):
                return
            self.clock.turn(60)
        raise AssertionError("the work does not come to its end")

    async def assigned(self) -> set[str]:
        return {
            row[0] for row in await self.rows("SELECT serial_number FROM license WHERE state = 'assigned'")
        }

    async def library(self) -> str:
        ((library_id,),) = await self.rows("SELECT id FROM library")
        return str(library_id)

    async def want_assets(self) -> None:
        """Let the clock ask for a reading of the assets."""
        await self.clockwork.want_assets()

    def _steps(self, pace: Pace) -> Mapping[str, Step]:
        return steps(Desk(self.database, self.vault, pace), self.apple, Claims("Tests", self.door))

    async def want_list(self) -> None:
        """Let somebody want the list of the pool read."""
        async with self.database.transaction() as tx:
            await pools.lock(tx, [self.pool_id])
            await want_lists(tx, [self.pool_id])

    async def _claim(self, kinds: tuple[str, ...]) -> WorkRow | None:
        lease = new_id()
        async with self.database.transaction() as tx:
            row = await tx.raw.fetchrow(
                "UPDATE work SET lease = $1 WHERE id = (SELECT id FROM work WHERE due_at <= $2 AND lease IS NULL"
                " AND kind = ANY ($3) ORDER BY due_at LIMIT 1)"
                " RETURNING id, kind, payload::text, correlation_id, attempts",
                lease,
                tx.now,
                list(kinds),
            )
        if row is None:
            return None
        return WorkRow(
            row["id"],
            row["kind"],
            json.loads(row["payload"]),
            row["correlation_id"],
            row["attempts"],
            lease,
        )

    async def _do(self, row: WorkRow) -> str:
        try:
            await self.steps[row.kind](row)
        except LeaseLost:
            return f"{row.kind}!lease_lost"
        except Unavailable as error:
            wait = timedelta(seconds=max(1.0, error.retry_after_seconds or 0.0))
            async with self.database.transaction() as tx:
                await tx.raw.execute(
                    "UPDATE work SET lease = NULL, attempts = attempts + 1, due_at = $2, problem = $3 WHERE id = $1",
                    row.id,
                    tx.now + wait,
                    error.reason,
                )
            return f"{row.kind}!{error.reason}"
        return row.kind


def serials(targets: list[Wish]) -> set[str]:
    return {target.serial_number for target in targets}
