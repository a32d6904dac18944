"""The scenarios that break designs like this one, as far as assignment carries them alone."""

import random
from typing import Any
from uuid import UUID

import pytest

from assignment.handlers.asks import ask_again, make_due
from assignment.handlers.withdrawing import revoke
from assignment.model import State
from shared.events import Event
from shared.events.assignment import (
    AssignmentCompleted,
    AssignmentRequested,
    AssignmentRevoked,
    InstallRequested,
    RemovalRequested,
)
from shared.events.licensing import LicenseReleased
from shared.events.mdm_push import DeviceUpdated, InstallFailed, RemovalCompleted
from shared.events.words import Held, NothingRemoved, Platform, RevokeReason, UnenrollReason
from shared.ids import new_id
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
    to_device,
    to_group,
)

ONE = serials(1)


async def _installed(world: World) -> tuple[UUID, UUID, UUID]:
    """Return asset, group and device after the app came to the group's only member."""
    asset_id = await world.app()
    devices = await world.enroll(ONE)
    group_id = await world.group(ONE)
    await world.assign(asset_id, group_id)
    await world.settle()
    return asset_id, group_id, devices[ONE[0]]


async def test_scenario_01_a_member_returns_before_the_revoke_was_answered(world: World) -> None:
    _, group_id, device_id = await _installed(world)
    await world.leave(group_id, ONE)
    revoked, removal = await world.drain()
    await world.join(group_id, ONE)
    await world.settle()
    await world.answer(removal)
    await world.say(released(revoked, held=Held.PASSED_ON))
    await world.settle()
    assert await world.state_of(device_id) == [("revoked", "left_group"), ("installed", None)]


@pytest.mark.parametrize("late", ["first", "last"])
async def test_scenario_04_a_wiped_device_that_enrolls_again_gets_its_app_again(
    world: World, late: str
) -> None:
    _, _, device_id = await _installed(world)
    await world.unenroll(device_id, reason=UnenrollReason.WIPED)
    revoked, _ = await world.drain()
    await world.say(enrolled_device(device_id, ONE[0], generation=2))
    (requested,) = await world.drain()
    answers: list[Event] = [released(revoked, held=Held.PASSED_ON), reserved(requested), assigned(requested)]
    in_order: list[Event] = answers if late == "first" else answers[1:] + answers[:1]
    for answer in in_order:
        await world.say(answer)
    told = await world.settle()
    assert [type(event).__name__ for event in told] == ["InstallRequested", "AssignmentCompleted"]
    assert await world.state_of(device_id) == [("revoked", "wiped"), ("installed", None)]


async def test_scenario_04_a_higher_generation_asks_the_install_again_where_the_life_goes_on(
    world: World,
) -> None:
    _, _, device_id = await _installed(world)
    await world.say(enrolled_device(device_id, ONE[0], generation=2))
    (install,) = [event for event in await world.drain() if isinstance(event, InstallRequested)]
    assert await world.state_of(device_id) == [("delivering", None)]
    await world.answer(install)
    assert await world.state_of(device_id) == [("installed", None)]
    states = await world.fetch("SELECT state FROM deliveries ORDER BY id")
    assert [row["state"] for row in states] == ["superseded", "installed"]


@pytest.mark.parametrize("seed", range(12))
async def test_scenario_05_late_and_doubled_answers_of_a_revoked_life_change_nothing(
    world: World, seed: int
) -> None:
    asset_id = await world.app()
    devices = await world.enroll(ONE)
    group_id = await world.group(ONE)
    await world.assign(asset_id, group_id)
    (requested,) = await world.drain()
    await world.say(assigned(requested))
    (install,) = await world.drain()
    await world.leave(group_id, ONE)
    told = await world.drain()
    (revoked,) = [event for event in told if isinstance(event, AssignmentRevoked)]
    (removal,) = [event for event in told if isinstance(event, RemovalRequested)]
    answers: list[Any] = [
        reserved(requested),
        assigned(requested),
        released(revoked),
        installed(install, install.targets[0]),
        removed(removal, removal.targets[0]),
    ]
    order = answers * 2
    random.Random(seed).shuffle(order)
    for answer in order:
        await world.say(answer)
    assert await world.state_of(devices[ONE[0]]) == [("revoked", "left_group")]
    assert [row["state"] for row in await world.fetch("SELECT state FROM deliveries")] == ["removed"]


async def test_scenario_07_a_member_who_joins_while_the_group_is_asked_for_has_an_entitlement(
    world: World,
) -> None:
    asset_id = await world.app()
    devices = await world.enroll(serials(3))
    group_id = await world.group(serials(2))
    await world.while_open(
        lambda tx: world.ask_in(tx, to_group(asset_id, group_id)),
        lambda: world.join(group_id, serials(1, first=2)),
    )
    assert await world.states() == {State.REQUESTED: 3}
    assert await world.state_of(devices[serials(3)[2]]) == [("requested", None)]


async def test_scenario_08_a_last_cover_that_ends_while_another_is_added_leaves_no_revoking_life(
    world: World,
) -> None:
    asset_id = await world.app()
    devices = await world.enroll(ONE)
    group_id, other_id = await world.group(ONE), await world.group(ONE)
    await world.assign(asset_id, group_id)
    await world.settle()
    await world.while_open(
        lambda tx: world.ask_in(tx, to_group(asset_id, other_id)),
        lambda: world.leave(group_id, ONE),
    )
    assert await world.state_of(devices[ONE[0]]) == [("installed", None)]
    await world.leave(other_id, ONE)
    assert await world.state_of(devices[ONE[0]]) == [("revoking", "left_group")]


async def test_scenario_08_the_other_way_round_the_cover_that_comes_second_opens_a_new_life(
    world: World,
) -> None:
    asset_id = await world.app()
    devices = await world.enroll(ONE)
    group_id = await world.group(ONE)
    assignment_id = await world.assign(asset_id, group_id)
    await world.settle()
    await world.while_open(
        lambda tx: revoke(tx, assignment_id, RevokeReason.ENDED),
        lambda: world.ask(to_device(asset_id, ONE[0])),
    )
    assert await world.state_of(devices[ONE[0]]) == [("revoking", "ended"), ("requested", None)]


async def test_scenario_08_of_two_who_end_an_assignment_at_once_the_first_says_why(world: World) -> None:
    asset_id = await world.app()
    await world.enroll(ONE)
    (answer,) = await world.ask(to_device(asset_id, ONE[0]))
    assert answer.assignment is not None
    assignment_id = answer.assignment.id
    await world.while_open(
        lambda tx: revoke(tx, assignment_id, RevokeReason.EXPIRED),
        lambda: world.revoke(assignment_id),
    )
    (row,) = await world.fetch("SELECT end_reason FROM assignments")
    assert row["end_reason"] == "expired"


async def test_scenario_19_an_answer_for_what_is_not_known_here_changes_nothing(world: World) -> None:
    asset_id, _, device_id = await _installed(world)
    stranger = AssignmentRequested.model_validate(
        {
            "asset_id": asset_id,
            "kind": "vpp_app",
            "assignment_mode": "device",
            "install_mode": "automatic",
            "targets": [{"entitlement_id": new_id(), "serial_number": ONE[0]}],
        }
    )
    for answer in (reserved(stranger), assigned(stranger), released(stranger, asked=False)):
        await world.say(answer)
    (life,) = await world.fetch("SELECT id FROM entitlements")
    await world.say(
        RemovalCompleted(
            enrollment_id=device_id,
            delivery_id=new_id(),
            entitlement_id=life["id"],
            asset_id=asset_id,
            kind="vpp_app",
        )
    )
    assert await world.drain() == []
    assert await world.state_of(device_id) == [("installed", None)]


async def test_scenario_20_a_revoke_of_what_never_held_anything_is_answered_and_closed(
    world: World,
) -> None:
    asset_id = await world.app()
    devices = await world.enroll(ONE)
    group_id = await world.group(ONE)
    assignment_id = await world.assign(asset_id, group_id)
    await world.drain()
    await world.revoke(assignment_id)
    (revoked,) = await world.drain()
    await world.say(released(revoked, held=Held.NONE))
    (completed,) = await world.drain()
    assert completed.totals.states == {"revoked": 1}
    assert await world.state_of(devices[ONE[0]]) == [("revoked", "ended")]


async def test_scenario_20_a_removal_of_what_never_was_installed_closes_the_delivery(world: World) -> None:
    asset_id = await world.app()
    await world.enroll(ONE)
    assignment_id = await world.assign(asset_id, await world.group(ONE))
    (requested,) = await world.drain()
    await world.say(assigned(requested))
    await world.revoke(assignment_id)
    (removal,) = [event for event in await world.drain() if isinstance(event, RemovalRequested)]
    answer = removed(removal, removal.targets[0])
    await world.say(answer.model_copy(update={"was": NothingRemoved.WITHDRAWN}))
    (row,) = await world.fetch("SELECT state, cause FROM deliveries")
    assert dict(row) == {"state": "removed", "cause": "withdrawn"}


@pytest.mark.parametrize("every", [2, 3])
async def test_scenario_25_whatever_was_lost_is_asked_again_until_it_settles(
    world: World, every: int
) -> None:
    asset_id = await world.app()
    await world.enroll(serials(20))
    group_id = await world.group(serials(20))
    assignment_id = await world.assign(asset_id, group_id)
    await _settle_with_losses(world, every)
    assert await world.totals(assignment_id) == {State.INSTALLED: 20}
    await world.revoke(assignment_id)
    await _settle_with_losses(world, every)
    assert await world.totals(assignment_id) == {State.REVOKED: 20}
    assert [row["state"] for row in await world.fetch("SELECT DISTINCT state FROM deliveries")] == ["removed"]


async def _settle_with_losses(world: World, every: int) -> None:
    """Drop every so many-th event, ask again at the deadline, until nothing is open."""
    count = 0
    for _ in range(30):
        for event in await world.drain():
            count += 1
            if count % every:
                await world.answer(event)
        async with world.database.transaction() as tx:
            await make_due(tx)
        async with world.database.transaction() as tx:
            if not await ask_again(tx, before=tx.now, limit=1000):
                return
    raise AssertionError("something stays open")


async def test_a_lost_licence_opens_new_lives_a_bounded_number_of_times(world: World) -> None:
    _, _, device_id = await _installed(world)
    for _ in range(3):
        rows = await world.fetch("SELECT id, asset_id FROM entitlements WHERE ended_at IS NULL")
        target = {"entitlement_id": rows[0]["id"], "serial_number": ONE[0], "asked": False}
        await world.say(
            LicenseReleased.model_validate({"asset_id": rows[0]["asset_id"], "targets": [target]})
        )
        await world.settle()
    assert [state for state, _ in await world.state_of(device_id)] == ["lost", "lost", "lost"]


async def test_an_unenrolled_device_loses_its_licence_and_gets_a_new_life_when_it_returns(
    world: World,
) -> None:
    asset_id, group_id, device_id = await _installed(world)
    await world.unenroll(device_id)
    told = await world.settle()
    assert [type(event) for event in told[:2]] == [AssignmentRevoked, RemovalRequested]
    (refused,) = await world.ask(to_device(asset_id, ONE[0]))
    assert refused.refusal == "not_enrolled"
    await world.leave(group_id, ONE)
    await world.join(group_id, ONE)
    assert await world.state_of(device_id) == [("revoked", "unenrolled"), ("refused", "not_enrolled")]
    await world.say(enrolled_device(device_id, ONE[0], generation=2))
    await world.settle()
    assert (await world.state_of(device_id))[2:] == [("installed", None)]


async def test_a_late_word_of_an_older_generation_is_ignored(world: World) -> None:
    _, _, device_id = await _installed(world)
    await world.say(enrolled_device(device_id, ONE[0], generation=3))
    await world.settle()
    await world.unenroll(device_id, generation=2)
    assert await world.state_of(device_id) == [("installed", None)]


async def test_a_device_that_was_too_old_is_judged_anew_when_it_is_updated(world: World) -> None:
    asset_id = await world.app()
    devices = await world.enroll(ONE, platform=Platform.MACOS, os_version="10.10.5")
    group_id = await world.group(ONE)
    (answer,) = await world.ask(to_group(asset_id, group_id))
    assert answer.outcome is not None
    assert [refusal for _, refusal in answer.outcome.refused] == ["os_too_old"]
    (completed,) = await world.drain()
    assert completed.totals.states == {"refused": 1}
    newer = enrolled_device(devices[ONE[0]], ONE[0], platform=Platform.MACOS, os_version="26.1")
    await world.say(DeviceUpdated(**newer.model_dump()))
    (step,) = await world.fetch("SELECT state FROM steps WHERE what = 'DeviceUpdated'")
    assert step["state"] == "requested"
    await world.settle()
    assert await world.state_of(devices[ONE[0]]) == [("refused", "os_too_old"), ("installed", None)]


async def test_an_install_that_failed_is_tried_again_and_then_left(world: World) -> None:
    asset_id = await world.app()
    devices = await world.enroll(ONE)
    await world.assign(asset_id, await world.group(ONE))
    await world.answer((await world.drain())[0])
    for attempt in (1, 2):
        (install,) = [event for event in await world.drain() if isinstance(event, InstallRequested)]
        done = installed(install, install.targets[0]).model_dump()
        await world.say(InstallFailed(**done, cause="not_found"))
        state = "retrying" if attempt == 1 else "install_failed"
        assert await world.state_of(devices[ONE[0]]) == [(state, "not_found")]
        async with world.database.transaction() as tx:
            await make_due(tx)
        async with world.database.transaction() as tx:
            assert await ask_again(tx, before=tx.now, limit=10) == (1 if attempt == 1 else 0)


async def test_an_assignment_is_complete_once_and_only_when_no_retry_is_due(world: World) -> None:
    names = serials(2)
    await world.enroll(names)
    assignment_id = await world.assign(await world.app(), await world.group(names))
    await world.answer((await world.drain())[0])
    (install,) = await world.drain()
    good, bad = (installed(install, target) for target in install.targets)
    await world.say(good)
    failed = InstallFailed(**bad.model_dump(), cause="not_found")
    await world.hear(heard(failed), heard(failed))
    assert await world.drain() == []
    assert await world.totals(assignment_id) == {State.INSTALLED: 1, State.RETRYING: 1}
    async with world.database.transaction() as tx:
        await make_due(tx)
    async with world.database.transaction() as tx:
        await ask_again(tx, before=tx.now, limit=10)
    told = await world.settle()
    assert [type(event) for event in told] == [InstallRequested, AssignmentCompleted]
    assert (told[-1].round, told[-1].totals.states) == (1, {"installed": 2})
    await world.say(good)
    await world.say(failed)
    assert await world.drain() == []


async def test_an_install_that_was_given_up_settles_its_assignment(world: World) -> None:
    await world.enroll(ONE)
    await world.assign(await world.app(), await world.group(ONE))
    await world.answer((await world.drain())[0])
    for _ in range(2):
        (install,) = await world.drain()
        await world.say(
            InstallFailed(**installed(install, install.targets[0]).model_dump(), cause="no_space")
        )
        async with world.database.transaction() as tx:
            await make_due(tx)
        async with world.database.transaction() as tx:
            await ask_again(tx, before=tx.now, limit=10)
    told = await world.drain()
    assert [type(event) for event in told] == [AssignmentCompleted]
    assert (told[0].round, told[0].totals.states) == (1, {"install_failed": 1})
