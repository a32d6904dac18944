"""People are told of when they are made, and again every day, so that copies heal."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from assignment.handlers.people import create_user
from assignment.model import User
from assignment.schedule import jobs
from shared.clock import TurnedClock
from shared.events.assignment import UserChanged
from shared.events.envelope import read_envelope
from shared.ids import new_id
from shared.outbox import unpack
from tests.assignment.world import World

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1).total_seconds()


@pytest.fixture
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> TurnedClock:
    """The time, which only the test turns."""
    turned = TurnedClock(NOON)
    monkeypatch.setattr(world.database, "clock", turned)
    return turned


async def test_people_are_told_again_a_day_later_as_they_are(world: World, clock: TurnedClock) -> None:
    person = await _person(world, version=3)
    (first,) = await world.drain()
    clock.turn(DAY)
    await _retell(world)
    assert await world.drain() == [], "not before the day is over"
    clock.turn(1)
    await _retell(world)
    (row,) = await world.fetch("SELECT headers FROM outbox")
    assert read_envelope(unpack(row["headers"])).sequence == 3
    assert await world.drain() == [first]
    assert isinstance(first, UserChanged)
    assert first.user_id == person
    await _retell(world)
    assert await world.drain() == []


async def test_a_large_school_is_told_again_bit_by_bit_the_longest_ago_first(
    world: World, clock: TurnedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assignment.handlers.people._TOLD_AGAIN_AT_ONCE", 2)
    people = []
    for _ in range(3):
        people.append(await _person(world))
        clock.turn(1)
    await world.drain()
    clock.turn(DAY)
    told = []
    for _ in range(3):
        await _retell(world)
        told.append({event.user_id for event in await world.drain()})
    assert told == [set(people[:2]), {people[2]}, set()]


async def _person(world: World, *, version: int = 1) -> UUID:
    user = User(new_id(), version, "Camille Martin", None, "fr", None, (new_id(),), "active")
    async with world.database.transaction() as tx:
        await create_user(tx, user)
    return user.id


async def _retell(world: World) -> None:
    (job,) = (job for job in jobs(world.database, keep_ended_days=90) if job.name == "tell people again")
    await job.run()
