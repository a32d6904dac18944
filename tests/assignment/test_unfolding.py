"""Groups too large for one transaction: opened and ended slice by slice, while members and minds change."""

from uuid import UUID

import pytest

from assignment.handlers import slices
from assignment.handlers.withdrawing import revoke
from assignment.model import State
from assignment.steps import steps
from shared.database import Database
from shared.events.assignment import AssignmentCompleted, AssignmentRequested
from shared.events.words import Platform, RevokeReason
from shared.worker import Worker
from tests.assignment.world import World, asset_told, serials, to_group


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a transaction take 100 targets."""
    monkeypatch.setattr(slices, "SLICE", 100)


@pytest.fixture
def worker(database: Database) -> Worker:
    """Whoever does the slices."""
    return Worker(database, steps(database))


async def _unfolding(world: World, members: int) -> tuple[UUID, UUID]:
    """Return a group of so many, and the assignment to it of which no slice was done yet."""
    await world.enroll(serials(members))
    group_id = await world.group(serials(members))
    (answer,) = await world.ask(to_group(await world.app(), group_id))
    assert (answer.targets, answer.unfolding) == (members, True)
    assert answer.assignment is not None
    assert await world.states() == {}
    return group_id, answer.assignment.id


async def test_scenario_31_a_large_group_is_expanded_slice_by_slice_and_resumes(
    world: World, worker: Worker
) -> None:
    _, assignment_id = await _unfolding(world, 350)
    await _slices(worker, 2)
    assert await world.states() == {State.REQUESTED: 200}
    await _slices(worker, 10)
    told = await world.settle()
    assert sum(isinstance(event, AssignmentRequested) for event in told) == 4
    assert _rounds(told) == [1]
    assert await world.totals(assignment_id) == {State.INSTALLED: 350}
    await world.revoke(assignment_id)
    await _slices(worker, 10)
    await world.settle()
    assert await world.totals(assignment_id) == {State.REVOKED: 350}
    assert await world.fetch("SELECT id FROM work") == []


async def test_several_groups_of_one_request_share_the_room_of_its_transaction(world: World) -> None:
    asset_id = await world.app()
    await world.enroll(serials(120))
    groups = [await world.group(serials(60, first=first)) for first in (0, 60)]
    answers = await world.ask(*(to_group(asset_id, group_id) for group_id in groups))
    assert [answer.unfolding for answer in answers] == [False, True]
    assert await world.states() == {State.REQUESTED: 60}


async def test_no_round_is_complete_before_the_last_slice(world: World, worker: Worker) -> None:
    _, assignment_id = await _unfolding(world, 250)
    await _slices(worker, 1)
    assert _rounds(await world.settle()) == []
    assert await world.totals(assignment_id) == {State.INSTALLED: 100}
    await _slices(worker, 10)
    assert _rounds(await world.settle()) == [1]
    assert await world.totals(assignment_id) == {State.INSTALLED: 250}


async def test_who_joins_or_leaves_between_two_slices_counts_once_or_not_at_all(
    world: World, worker: Worker
) -> None:
    group_id, assignment_id = await _unfolding(world, 250)
    await _slices(worker, 1)
    await world.enroll(serials(10, first=900))
    await world.join(group_id, serials(10, first=900))
    assert await world.states() == {State.REQUESTED: 110}
    await world.leave(group_id, serials(20, first=230))
    await _slices(worker, 10)
    assert _rounds(await world.settle()) == [1]
    totals = await world.totals(assignment_id)
    assert totals[State.INSTALLED] == 240
    assert sum(totals.values()) == 240 + totals.get(State.REVOKED, 0)


async def test_an_assignment_that_ends_between_two_slices_takes_back_what_was_opened(
    world: World, worker: Worker
) -> None:
    _, assignment_id = await _unfolding(world, 250)
    await _slices(worker, 1)
    await world.settle()
    await world.revoke(assignment_id)
    await _slices(worker, 10)
    assert _rounds(await world.settle()) == [1]
    assert await world.totals(assignment_id) == {State.REVOKED: 100}
    assert await world.fetch("SELECT id FROM work") == []
    assert await world.fetch("SELECT id FROM assignments WHERE unfolding > 0") == []


async def test_an_assignment_that_ends_before_its_first_slice_is_complete_with_nobody(
    world: World, worker: Worker
) -> None:
    _, assignment_id = await _unfolding(world, 250)
    await world.revoke(assignment_id)
    await _slices(worker, 10)
    (completed,) = await world.drain()
    assert (completed.round, completed.totals.targets) == (1, 0)
    assert await world.fetch("SELECT id FROM work") == []


async def test_scenario_08_a_slice_that_waits_for_the_end_of_its_assignment_opens_nothing(
    world: World, worker: Worker
) -> None:
    _, assignment_id = await _unfolding(world, 250)
    await world.while_open(
        lambda tx: revoke(tx, assignment_id, RevokeReason.ENDED),
        lambda: _slices(worker, 1),
    )
    assert await world.states() == {}


def _rounds(told: list[object]) -> list[int]:
    """Return the rounds that were said to be complete."""
    return [event.round for event in told if isinstance(event, AssignmentCompleted)]


async def _slices(worker: Worker, count: int) -> None:
    """Do so many slices, after one that was claimed by a worker that died."""
    await worker._claim(1)
    await _expire_leases(worker._database)
    for _ in range(count):
        for row in await worker._claim(1):
            await worker._do(row)


async def _expire_leases(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.raw.execute("UPDATE work SET leased_until = clock_timestamp() - interval '1 second'")


async def _assigned(world: World, worker: Worker, assets: int, members: int) -> tuple[UUID, list[UUID]]:
    """Return a group of so many members that carries so many assets, all of them installed, and its assignments."""
    await world.enroll(serials(members))
    group_id = await world.group(serials(members))
    assignment_ids = [await world.assign(await world.app(), group_id) for _ in range(assets)]
    await _slices(worker, 10)
    await world.settle()
    return group_id, assignment_ids


async def test_many_who_join_a_group_of_many_assignments_are_covered_slice_by_slice(
    world: World, worker: Worker
) -> None:
    group_id, assignment_ids = await _assigned(world, worker, 3, 20)
    await world.enroll(serials(90, first=500))
    few = await world.join(group_id, serials(30, first=500))
    assert (few.moved, few.unfolding) == (30, False)
    assert _rounds(await world.settle()) == [2, 2, 2]
    many = await world.join(group_id, serials(90, first=500))
    assert (many.moved, many.unmoved, many.unfolding) == (60, 30, True)
    assert (await world.states())[State.REQUESTED] == 0
    await _slices(worker, 1)
    assert (await world.states())[State.REQUESTED] == 60
    await _slices(worker, 10)
    assert _rounds(await world.settle()) == [3, 3, 3]
    for assignment_id in assignment_ids:
        assert await world.totals(assignment_id) == {State.INSTALLED: 110}
    assert await world.fetch("SELECT id FROM work") == []


async def test_no_round_is_complete_before_the_last_of_two_crowds_that_join(
    world: World, worker: Worker
) -> None:
    group_id, [assignment_id] = await _assigned(world, worker, 1, 1)
    await world.enroll(serials(300, first=500))
    await world.join(group_id, serials(120, first=500))
    await world.join(group_id, serials(180, first=620))
    for _ in range(3):
        await _slices(worker, 1)
        assert _rounds(await world.settle()) == []
    await _slices(worker, 10)
    assert _rounds(await world.settle()) == [2]
    assert await world.totals(assignment_id) == {State.INSTALLED: 301}
    assert await world.fetch("SELECT id FROM assignments WHERE unfolding > 0") == []


async def test_many_who_leave_are_taken_out_at_once_and_lose_what_they_had_slice_by_slice(
    world: World, worker: Worker
) -> None:
    group_id, [assignment_id] = await _assigned(world, worker, 1, 250)
    left = await world.leave(group_id, serials(230))
    assert (left.moved, left.unfolding) == (230, True)
    back = await world.join(group_id, serials(5))
    assert (back.moved, back.unfolding) == (5, False)
    await _slices(worker, 1)
    assert _rounds(await world.settle()) == []
    await _slices(worker, 10)
    assert _rounds(await world.settle()) == [2]
    assert await world.totals(assignment_id) == {State.INSTALLED: 25, State.REVOKED: 225}
    (reason,) = await world.fetch("SELECT DISTINCT reason FROM entitlements WHERE state = 'revoked'")
    assert reason["reason"] == RevokeReason.LEFT_GROUP
    assert await world.fetch("SELECT id FROM work") == []


async def test_an_assignment_that_ends_while_many_join_and_leave_takes_everything_back(
    world: World, worker: Worker
) -> None:
    group_id, [assignment_id] = await _assigned(world, worker, 1, 150)
    await world.enroll(serials(150, first=500))
    await world.join(group_id, serials(150, first=500))
    await world.leave(group_id, serials(140))
    await _slices(worker, 1)
    await world.revoke(assignment_id)
    await _slices(worker, 10)
    await world.settle()
    assert set(await world.totals(assignment_id)) == {State.REVOKED}
    assert await world.fetch("SELECT id FROM work") == []
    assert await world.fetch("SELECT id FROM assignments WHERE unfolding > 0") == []


async def test_who_was_refused_is_judged_anew_slice_by_slice_when_the_asset_changes(
    world: World, worker: Worker
) -> None:
    asset_id = await world.app(platforms=(Platform.MACOS,))
    other_id = await world.app(platforms=(Platform.MACOS,))
    await world.enroll(serials(250))
    group_id = await world.group(serials(250))
    assignment_id = await world.assign(asset_id, group_id)
    await world.assign(other_id, group_id)
    await _slices(worker, 10)
    await world.drain()
    assert await world.totals(assignment_id) == {State.REFUSED: 250}
    await world.say(asset_told(asset_id, platforms=(Platform.MACOS, Platform.IOS)))
    await world.leave(group_id, serials(10))
    await _wait_is_over(world)
    await _slices(worker, 1)
    assert 0 < (await world.states(asset_id))[State.REQUESTED] < 240
    await _slices(worker, 10)
    await world.settle()
    assert await world.totals(assignment_id) == {State.INSTALLED: 240}
    assert await world.states(other_id) == {State.REFUSED: 250}
    assert await world.fetch("SELECT id FROM work") == []


async def test_what_changes_nobodys_judgment_leaves_nothing_to_do(world: World) -> None:
    asset_id = await world.app()
    await world.say(asset_told(asset_id, unlimited=True))
    assert await world.fetch("SELECT id FROM work") == []


async def test_who_joined_while_the_app_was_for_no_device_gets_it_when_it_is_again(
    world: World, worker: Worker
) -> None:
    await world.enroll(serials(2))
    asset_id = await world.app()
    group_id = await world.group(serials(1))
    assignment_id = await world.assign(asset_id, group_id)
    await world.settle()
    await world.say(asset_told(asset_id, device_assignable=False))
    await world.join(group_id, serials(2))
    await _wait_is_over(world)
    await _slices(worker, 10)
    await world.drain()
    assert await world.totals(assignment_id) == {State.INSTALLED: 1, State.REFUSED: 1}
    await world.say(asset_told(asset_id))
    await _wait_is_over(world)
    await _slices(worker, 10)
    await world.settle()
    assert await world.totals(assignment_id) == {State.INSTALLED: 2}


async def _wait_is_over(world: World) -> None:
    """Let the time come for what waits until every transaction under way has ended."""
    await world.fetch("UPDATE work SET due_at = created_at")
