"""Random lives: minds change, devices come and go, answers are late, doubled and lost; the end is the same."""

import random
from collections import deque
from typing import Any
from uuid import UUID

import pytest

from assignment.handlers.asks import ask_again, make_due
from assignment.handlers.facts import Patience
from shared.events import Event
from shared.events.assignment import (
    AssignmentRequested,
    AssignmentRevoked,
    InstallRequested,
    RemovalRequested,
)
from shared.events.licensing import LicenseReleased
from shared.events.mdm_push import DeviceUnenrolled
from shared.events.words import Held, UnenrollReason
from tests.assignment.world import (
    World,
    assigned,
    enrolled_device,
    heard,
    installed,
    released,
    removed,
    reserved,
    serials,
    taken,
)

DEVICES = serials(3)


class Town:
    """The world with its topics: each keeps its order, nothing keeps the order between them."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.dice = random.Random(seed)
        self.licensing: deque[Event] = deque()
        self.mdm_push: deque[Event] = deque()
        self.held: set[UUID] = set()
        self.revoked: set[UUID] = set()
        self.generations = dict.fromkeys(DEVICES, 1)
        self.enrolled = set(DEVICES)
        self.groups: list[UUID] = []
        self.members: list[set[str]] = []
        self.assignments: dict[int, UUID] = {}
        self._old: list[Event] = []

    async def begin(self) -> None:
        """Make an app, three devices and two empty groups."""
        self.asset_id = await self.world.app()
        self.ids = await self.world.enroll(DEVICES)
        self.groups = [await self.world.group() for _ in range(2)]
        self.members = [set(), set()]

    async def live(self, steps: int) -> None:
        """Do so many things at random."""
        for _ in range(steps):
            doing = self.dice.choice(
                [self.change_group, self.change_assignment, self.change_device, self.take_license]
            )
            await (doing() if self.dice.random() < 0.4 else self.travel(lossy=True))

    async def change_group(self) -> None:
        """Let a device join or leave a group."""
        number, serial = self.dice.randrange(2), self.dice.choice(DEVICES)
        members = self.members[number]
        if serial in members:
            members.discard(serial)
            await self.world.leave(self.groups[number], [serial])
        else:
            members.add(serial)
            await self.world.join(self.groups[number], [serial])

    async def change_assignment(self) -> None:
        """Assign the app to a group, or revoke that."""
        number = self.dice.randrange(2)
        if number in self.assignments:
            await self.world.revoke(self.assignments.pop(number))
        else:
            self.assignments[number] = await self.world.assign(self.asset_id, self.groups[number])

    async def change_device(self) -> None:
        """Let a device be wiped or removed, come back, or tell of itself."""
        serial = self.dice.choice(DEVICES)
        if serial in self.enrolled and self.dice.random() < 0.6:
            self.enrolled.discard(serial)
            reason = self.dice.choice([*UnenrollReason])
            gone = DeviceUnenrolled(
                enrollment_id=self.ids[serial],
                generation=self.generations[serial],
                serial_number=serial,
                reason=reason,
            )
            await self.world.say(gone)
            return
        self.generations[serial] += serial not in self.enrolled
        self.enrolled.add(serial)
        told = enrolled_device(self.ids[serial], serial, generation=self.generations[serial])
        await self.world.say(told)

    async def take_license(self) -> None:
        """Let another hand take a licence back in Apple's console: licensing finds it, and says so."""
        if self.held:
            entitlement_id = self.dice.choice(sorted(self.held))
            self.held.discard(entitlement_id)
            self.revoked.add(entitlement_id)
            self.licensing.append(taken(self.asset_id, entitlement_id, DEVICES[0]))

    async def travel(self, *, lossy: bool) -> bool:
        """Let what was told be heard, and one answer arrive; returns whether anything was under way."""
        told = await self.world.drain()
        for event in told:
            if not (lossy and self.dice.random() < 0.2):
                self.react(event)
        topics = [topic for topic in (self.licensing, self.mdm_push) if topic]
        if topics:
            answer = self.dice.choice(topics).popleft()
            self._old.append(answer)
            told_once = isinstance(answer, LicenseReleased) and not answer.targets[0].asked
            if told_once or not (lossy and self.dice.random() < 0.2):
                await self.world.hear(heard(answer))
        if lossy and self._old and self.dice.random() < 0.3:
            await self.world.hear(heard(self.dice.choice(self._old)))
        return bool(told or topics)

    def react(self, event: Any) -> None:
        """Answer as licensing and mdm-push do: what was revoked once gets no licence any more."""
        if isinstance(event, AssignmentRequested):
            for target in event.targets:
                one = event.model_copy(update={"targets": (target,)})
                if target.entitlement_id in self.revoked:
                    self.licensing.append(released(one, held=Held.NONE))
                else:
                    self.held.add(target.entitlement_id)
                    self.licensing += [reserved(one), assigned(one)]
        elif isinstance(event, AssignmentRevoked):
            self.revoked.update(event.entitlement_ids())
            self.held.difference_update(event.entitlement_ids())
            self.licensing.append(released(event))
        elif isinstance(event, InstallRequested):
            self.mdm_push += [installed(event, target) for target in event.targets]
        elif isinstance(event, RemovalRequested):
            self.mdm_push += [removed(event, target) for target in event.targets]

    async def settle(self) -> None:
        """Let everything arrive, and ask again for what was lost."""
        for _ in range(20):
            while await self.travel(lossy=False):
                pass
            async with self.world.database.transaction() as tx:
                await make_due(tx)
            async with self.world.database.transaction() as tx:
                if not await ask_again(tx, before=tx.now, limit=1000):
                    return
        raise AssertionError("something stays open")

    def wanted(self) -> set[UUID]:
        """Return the devices that are to have the app."""
        covered = {serial for number in self.assignments for serial in self.members[number]}
        return {self.ids[serial] for serial in covered & self.enrolled}


@pytest.mark.parametrize("seed", range(16))
async def test_whatever_happens_exactly_those_who_are_covered_have_the_app_in_the_end(
    world: World, seed: int
) -> None:
    town = Town(World(world.database, patience=Patience(lives=1000)), seed)
    await town.begin()
    await town.live(120)
    await town.settle()
    lives = await world.fetch("SELECT id, device_id, state FROM entitlements WHERE ended_at IS NULL")
    assert {life["device_id"]: life["state"] for life in lives} == dict.fromkeys(town.wanted(), "installed")
    assert len(lives) == len(town.wanted())
    assert town.held == {life["id"] for life in lives}
    for row in await world.fetch("SELECT id FROM assignments"):
        await world.totals(row["id"])
