"""What ended long ago is forgotten, and nothing that an answer, an ask or another's story still needs."""

from datetime import timedelta

import pytest

from assignment.handlers import slices
from assignment.handlers.asks import ask_again
from assignment.handlers.forgetting import forget_ended
from assignment.model import State
from assignment.queries.entitlements import tell_story
from assignment.schedule import jobs
from shared.events.assignment import RemovalRequested
from tests.assignment.world import World, removed, serials, to_device

AGED = {
    "entitlements": ("created_at", "changed_at", "ended_at"),
    "covers": ("ended_at",),
    "assignments": ("created_at", "ended_at"),
    "requests": ("created_at",),
    "deliveries": ("created_at", "changed_at"),
    "steps": ("at",),
}


async def _age(world: World, days: int) -> None:
    """Let so many days pass over everything that is stored."""
    for table, columns in AGED.items():
        moved = ", ".join(f"{column} = {column} - make_interval(days => $1)" for column in columns)
        await world.fetch(f"UPDATE {table} SET {moved}", days)


async def _forget(world: World) -> None:
    """Do what the schedule does each day."""
    _, job, _ = jobs(world.database, keep_ended_days=90)
    await job.run()


async def _rows(world: World) -> dict[str, int]:
    counted = {}
    for table in (*AGED, "totals"):
        (row,) = await world.fetch(f"SELECT count(*) AS rows FROM {table}")
        counted[table] = row["rows"]
    return counted


@pytest.mark.parametrize("rows", [3, 10_000])
async def test_an_assignment_that_ended_long_ago_leaves_nothing_behind(
    world: World, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(slices, "SLICE", 10_000)
    await world.enroll(serials(10))
    assignment_id = await world.assign(await world.app(), await world.group(serials(10)))
    await world.settle()
    await world.revoke(assignment_id)
    await world.settle()
    await _age(world, 89)
    before = await _rows(world)
    await _forget(world)
    assert await _rows(world) == before
    await _age(world, 2)
    monkeypatch.setattr(slices, "SLICE", rows)
    await _forget(world)
    assert await _rows(world) == dict.fromkeys(before, 0)
    assert await world.drain() == []


async def test_who_left_long_ago_is_forgotten_and_the_totals_with_them(world: World) -> None:
    await world.enroll(serials(3))
    group_id = await world.group(serials(3))
    assignment_id = await world.assign(await world.app(), group_id)
    await world.settle()
    await world.leave(group_id, serials(1))
    await world.settle()
    await _age(world, 91)
    await world.leave(group_id, serials(1, first=1))
    await world.settle()
    await _forget(world)
    assert await world.totals(assignment_id) == {State.INSTALLED: 1, State.REVOKED: 1}
    assert await world.drain() == []


async def test_the_story_of_who_stays_keeps_the_steps_shared_with_who_is_forgotten(world: World) -> None:
    devices = await world.enroll(serials(2))
    group_id = await world.group(serials(2))
    await world.assign(await world.app(), group_id)
    await world.settle()
    await world.leave(group_id, serials(1))
    await world.settle()
    await _age(world, 91)
    await _forget(world)
    (row,) = await world.fetch("SELECT id, device_id FROM entitlements")
    assert row["device_id"] == devices[serials(2)[1]]
    story = await tell_story(world.database, row["id"])
    assert story is not None
    assert [step["state"] for step in story.steps] == [
        State.REQUESTED,
        State.RESERVED,
        State.LICENSED,
        State.DELIVERING,
        State.INSTALLED,
    ]
    (counted,) = await world.fetch("SELECT sum(lives) AS lives, count(*) AS steps FROM steps")
    assert (counted["lives"], counted["steps"]) == (5, 5)


async def test_what_stands_is_kept_however_old_and_however_ended(world: World) -> None:
    asset_id = await world.app()
    devices = await world.enroll(serials(2))
    await world.assign(asset_id, await world.group(serials(2)))
    await world.settle()
    await world.unenroll(devices[serials(1)[0]])
    await world.settle()
    await _age(world, 1000)
    before = await _rows(world)
    await _forget(world)
    assert await _rows(world) == before


async def test_what_a_device_has_yet_to_answer_is_kept_and_asked_again(world: World) -> None:
    await world.enroll(serials(1))
    assignment_id = await world.assign(await world.app(), await world.group(serials(1)))
    await world.settle()
    await world.revoke(assignment_id)
    revoked, removal = await world.drain()
    await world.answer(revoked)
    await _age(world, 91)
    await forget_ended(world.database, older_than=timedelta(days=90))
    async with world.database.transaction() as tx:
        assert await ask_again(tx, before=tx.now + timedelta(hours=1), limit=10) == 1
    assert [type(event) for event in await world.drain() if isinstance(event, RemovalRequested)]
    await world.say(removed(removal, removal.targets[0]))
    await forget_ended(world.database, older_than=timedelta(days=90))
    assert (await _rows(world))["entitlements"] == 0


async def test_a_request_that_was_refused_as_a_whole_is_forgotten_too(world: World) -> None:
    (answer,) = await world.ask(to_device(await world.app(), "NOBODYS"))
    assert answer.refusal == "unknown_target"
    assert (await _rows(world))["requests"] == 1
    await _age(world, 91)
    await _forget(world)
    assert (await _rows(world))["requests"] == 0
