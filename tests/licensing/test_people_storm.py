"""Whatever people, assignment, Apple and another hand do, in whatever order: in the end our word is Apple's."""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import UUID

import httpx2
import pytest

from licensing import roster
from shared.events.invitation import InvitationExpired
from tests.licensing.crowd import Crowd, some
from tests.licensing.office import AppleAdmin, Office
from tests.licensing.situation import wish

STEPS = 60


class Storm:
    """Things that happen to people, as the dice fall."""

    def __init__(self, seed: int, crowd: Crowd) -> None:
        self.crowd = crowd
        self.school = crowd.school
        self.people = some(12)
        self.version = 1
        self._dice = random.Random(seed)
        self._happenings: list[Callable[[UUID], Awaitable[object]]] = [
            crowd.invite,
            lambda zoe: self.school.request(wish(zoe)),
            self._accept,
            self._rename,
            lambda zoe: crowd.end(InvitationExpired, zoe),
            self._retire,
            self._fail,
            lambda _: self.school.pass_time(45),
            lambda _: crowd.read(),
            self._come_and_go,
        ]

    async def step(self) -> None:
        self.version += 1
        await self._dice.choice(self._happenings)(self._dice.choice(self.people))

    async def _accept(self, zoe: UUID) -> None:
        with suppress(httpx2.HTTPStatusError):  # there is no invitation, or the account is somebody else's
            await self.crowd.accept(zoe, self._dice.choice([None, f"{self.version}@icloud.example"]))

    async def _rename(self, zoe: UUID) -> None:
        managed = self._dice.choice([None, f"{zoe}@example.com", "shared@example.com"])
        await self.crowd.tell(zoe, version=self.version, managed_apple_id=managed)

    async def _retire(self, zoe: UUID) -> None:
        await self.school.apple.retire_users(await self.crowd.access(), [str(zoe)])

    async def _fail(self, _: UUID) -> None:
        path = self._dice.choice(["users", "users/create", "status"])
        accepted = self._dice.choice([True, False])
        await self.crowd.admin.fault(path, self._dice.choice(["garbage", "nothing"]), accepted=accepted)

    async def _come_and_go(self, zoe: UUID) -> None:
        await self.crowd.tell(zoe, version=self.version, state=self._dice.choice(["active", "left"]))
        await self.school.clockwork.retire_leavers()


@pytest.mark.parametrize("seed", range(8))
async def test_a_storm_ends_in_peace(school: Office, admin: AppleAdmin, seed: int) -> None:
    crowd = Crowd(school, admin)
    storm = Storm(seed, crowd)
    await crowd.tell(*storm.people[:10])
    for _ in range(STEPS):
        await storm.step()
    await crowd.tell(*storm.people, version=storm.version + 1)
    for _ in range(3):
        await admin.settled()
        await crowd.invite(*storm.people)
        await crowd.read()
        await school.settle_all()

    at_apple = await crowd.at_apple()
    for user_id in storm.people:
        user = await crowd.user(user_id)
        active = [
            row["status"] for row in at_apple[str(user_id)] if row["status"] in {"Registered", "Associated"}
        ]
        assert [user.state.capitalize()] == active
        assert (user.wants, user.write_id) == (None, None)
    async with school.database.transaction() as tx:
        assert await roster.accept_left_behind(tx) == 0
    assert await school.rows("SELECT 1 FROM user_write") == []
    await school.check()
