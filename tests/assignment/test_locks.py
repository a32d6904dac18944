"""Scenario 10: overlapping sets from many handlers take their locks in one order, and nobody deadlocks."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from assignment.model import State
from assignment.store import assignments, deliveries, devices, entitlements
from shared.events import Heard
from shared.events.assignment import AssignmentCompleted, AssignmentRequested
from tests.assignment.world import (
    World,
    assigned,
    enrolled_device,
    heard,
    installed,
    released,
    reserved,
    serials,
)

ONE = serials(1)


@pytest.mark.parametrize("room", [devices, entitlements, deliveries])
async def test_scenario_10_sets_are_locked_in_the_order_of_their_ids(world: World, room: Any) -> None:
    await _confirmed(world, 2)
    first, last = await _out_of_order(world, room)

    async def both() -> None:
        async with world.database.transaction() as tx:
            # An index gives the rows in order by luck.
            await tx.raw.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off")
            await room.lock(tx, [last, first])

    await _meet(world, room, first, last, both)


@pytest.mark.parametrize("room", [entitlements, deliveries])
async def test_scenario_10_asks_are_made_due_in_the_order_of_their_ids(world: World, room: Any) -> None:
    await _confirmed(world, 2)
    await world.fetch(f"UPDATE {_table(room)} SET ask_deadline_at = now() + interval '1 hour'")
    first, last = await _out_of_order(world, room)

    async def all_of_them() -> None:
        async with world.database.transaction() as tx:
            await room.make_due(tx)

    await _meet(world, room, first, last, all_of_them)


async def test_scenario_10_totals_are_locked_in_the_order_of_their_assignments(world: World) -> None:
    await world.enroll(ONE)
    group_id = await world.group(ONE)
    first, last = sorted([await world.assign(await world.app(), group_id) for _ in range(2)])
    # The first row was rewritten, so that a plain scan comes to it last.
    await world.fetch("UPDATE assignments SET priority = priority WHERE id = $1", first)

    async def both() -> None:
        async with world.database.transaction() as tx:
            await tx.raw.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off")
            await assignments.lock_tallies(tx, [last, first])

    async with world.database.transaction() as tx:
        await assignments.lock_tallies(tx, [first])
        other = asyncio.ensure_future(both())
        await asyncio.sleep(0.05)
        await assignments.lock_tallies(tx, [last])
    await other


async def test_scenario_10_totals_are_locked_after_every_target_and_before_the_outbox(world: World) -> None:
    await _confirmed(world, 1)
    (install,) = await world.drain()
    [assignment] = await world.fetch("SELECT id FROM assignments")
    newest = "SELECT last_value FROM outbox_id_seq"
    before = await world.fetch(newest)
    async with world.database.transaction() as tx:
        await assignments.lock_tallies(tx, [assignment["id"]])
        other = asyncio.ensure_future(world.say(installed(install, install.targets[0])))
        while not await world.fetch("SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"):
            await asyncio.sleep(0.01)
        for table in ("entitlements", "deliveries"):
            assert await world.fetch(f"SELECT id FROM {table} FOR UPDATE SKIP LOCKED") == []
        assert await world.fetch(newest) == before
    await other
    assert [type(event) for event in await world.drain()] == [AssignmentCompleted]


async def _confirmed(world: World, count: int) -> None:
    """Let the app be on its way to so many devices."""
    asset_id = await world.app()
    await world.enroll(serials(count))
    await world.assign(asset_id, await world.group(serials(count)))
    await world.answer((await world.drain())[0])


async def _out_of_order(world: World, room: Any) -> tuple[UUID, UUID]:
    """Return two ids in their order; the first row was rewritten, so that a plain scan comes to it last."""
    first, last = [row["id"] for row in await world.fetch(f"SELECT id FROM {_table(room)} ORDER BY id")]
    await world.fetch(f"UPDATE {_table(room)} SET changed_at = now() WHERE id = $1", first)
    return first, last


async def _meet(
    world: World, room: Any, first: UUID, last: UUID, second: Callable[[], Awaitable[None]]
) -> None:
    """Lock one row and then the other while `second` locks both: backwards that is a deadlock."""
    async with world.database.transaction() as tx:
        await room.lock(tx, [first])
        other = asyncio.ensure_future(second())
        await asyncio.sleep(0.05)
        await room.lock(tx, [last])
    await other


def _table(room: Any) -> str:
    return str(room.__name__.rpartition(".")[2])


async def test_scenario_10_overlapping_sets_from_many_handlers_do_not_deadlock(world: World) -> None:
    dice, names = random.Random(10), serials(120)
    devices = await world.enroll(names)
    group_id = await world.group(names)
    for _ in range(3):
        await world.assign(await world.app(), group_id)
    answers = [
        heard(make(_shuffled(requested, dice)))
        for requested in await world.drain() * 3
        for make in (reserved, assigned, released)
    ]
    dice.shuffle(answers)

    async def answer(part: list[Heard[Any]]) -> None:
        for one in part:
            await world.hear(one)

    async def come_and_go() -> None:
        for _ in range(5):
            some = dice.sample(names, 40)
            await world.leave(group_id, some)
            await world.join(group_id, some)
            await world.say(enrolled_device(devices[some[0]], some[0], os_version="18.0"))

    await asyncio.gather(*(answer(answers[start::3]) for start in range(3)), come_and_go())
    told = await world.settle(rounds=30)
    assert told
    assert (await world.states())[State.INSTALLED] == 360
    for row in await world.fetch("SELECT id FROM assignments"):
        assert (await world.totals(row["id"]))[State.INSTALLED] == 120


def _shuffled(event: AssignmentRequested, dice: random.Random) -> AssignmentRequested:
    targets = list(event.targets)
    dice.shuffle(targets)
    return event.model_copy(update={"targets": tuple(targets)})
