"""The road of an entitlement through the handlers, one transaction each, in PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from assignment.handlers.facts import Patience, delivery_fact
from assignment.handlers.targets import Asked, TargetNamed
from assignment.model import Delivery, State, TargetType, Wish
from assignment.schedule import jobs
from shared.events.assignment import (
    AssignmentCompleted,
    AssignmentRequested,
    AssignmentRevoked,
    InstallRequested,
    RemovalRequested,
)
from shared.events.licensing import LicenseRefused
from shared.events.mdm_push import DeviceUnenrolled, InstallFailed
from shared.events.words import AssetKind, InstallMode, Platform, RevokeReason, UnenrollReason
from shared.ids import new_id
from tests.assignment.world import (
    LIBRARY,
    World,
    asset_told,
    enrolled_device,
    heard,
    serials,
    to_device,
    to_group,
    waitlisted,
)


async def test_a_group_gets_its_app_and_the_assignment_closes(world: World) -> None:
    asset_id = await world.app()
    await world.enroll(serials(40))
    group_id = await world.group(serials(40))
    assignment_id = await world.assign(asset_id, group_id)
    told = await world.settle()
    assert [type(event) for event in told] == [AssignmentRequested, InstallRequested, AssignmentCompleted]
    assert await world.totals(assignment_id) == {State.INSTALLED: 40}
    completed = told[-1]
    assert (completed.round, completed.totals.targets) == (1, 40)
    assert completed.totals.states == {"installed": 40}


async def test_an_empty_group_is_accepted_and_complete_at_once(world: World) -> None:
    asset_id = await world.app()
    group_id = await world.group()
    (answer,) = await world.ask(to_group(asset_id, group_id))
    assert (answer.refusal, answer.targets) == (None, 0)
    (completed,) = await world.drain()
    assert completed.totals.targets == 0


async def test_a_member_who_leaves_loses_the_app(world: World) -> None:
    asset_id = await world.app()
    devices = await world.enroll(serials(3))
    group_id = await world.group(serials(3))
    assignment_id = await world.assign(asset_id, group_id)
    await world.settle()
    await world.leave(group_id, serials(1))
    told = await world.settle()
    assert [type(event) for event in told] == [AssignmentRevoked, RemovalRequested, AssignmentCompleted]
    assert told[0].reason is RevokeReason.LEFT_GROUP
    assert await world.state_of(devices[serials(1)[0]]) == [("revoked", "left_group")]
    assert await world.totals(assignment_id) == {State.INSTALLED: 2, State.REVOKED: 1}
    assert told[-1].round == 2


async def test_a_member_who_joins_gets_what_the_group_was_assigned(world: World) -> None:
    asset_id = await world.app()
    await world.enroll(serials(3))
    group_id = await world.group(serials(2))
    assignment_id = await world.assign(asset_id, group_id)
    await world.settle()
    membership = await world.join(group_id, [*serials(3), "NOBODYS"])
    assert (membership.moved, membership.unmoved, membership.refused) == (1, 2, {"NOBODYS": "unknown_target"})
    await world.settle()
    assert await world.totals(assignment_id) == {State.INSTALLED: 3}


async def test_revoking_an_assignment_gives_every_licence_back(world: World) -> None:
    asset_id = await world.app()
    await world.enroll(serials(5))
    assignment_id = await world.assign(asset_id, await world.group(serials(5)))
    await world.settle()
    await world.revoke(assignment_id)
    told = await world.settle()
    assert [type(event) for event in told] == [AssignmentRevoked, RemovalRequested, AssignmentCompleted]
    assert told[0].reason is RevokeReason.ENDED
    assert await world.totals(assignment_id) == {State.REVOKED: 5}
    await world.revoke(assignment_id)
    assert await world.drain() == []


async def test_a_manual_licence_is_offered_and_nothing_is_pushed_until_somebody_wants_it(
    world: World,
) -> None:
    asset_id = await world.app()
    await world.enroll(serials(1))
    group_id = await world.group(serials(1))
    asked = to_group(asset_id, group_id, install_mode=InstallMode.MANUAL, acknowledged=True)
    await world.ask(asked)
    told = await world.settle()
    assert [type(event) for event in told] == [AssignmentRequested, AssignmentCompleted]
    assert await world.states() == {State.AVAILABLE: 1}
    await world.ask(to_device(asset_id, serials(1)[0]))
    told = await world.settle()
    assert [type(event) for event in told][:1] == [InstallRequested]
    assert await world.states() == {State.INSTALLED: 1}


async def test_a_waiting_entitlement_shows_its_place_and_settles_its_assignment(world: World) -> None:
    asset_id = await world.app()
    await world.enroll(serials(2))
    assignment_id = await world.assign(asset_id, await world.group(serials(2)))
    (requested,) = await world.drain()
    for first in (1, 4):
        await world.say(waitlisted(requested, first=first))
    (completed,) = await world.drain()
    assert completed.totals.states == {"waitlisted": 2}
    rows = await world.fetch(
        "SELECT position, cardinality(steps) AS steps FROM entitlements ORDER BY position"
    )
    assert [tuple(row) for row in rows] == [(4, 2), (5, 2)]
    await world.answer(requested)
    await world.settle()
    assert await world.totals(assignment_id) == {State.INSTALLED: 2}


async def test_a_waiter_that_is_covered_more_urgently_is_told_of_again(world: World) -> None:
    asset_id = await world.app()
    await world.enroll(serials(1))
    group_id = await world.group(serials(1))
    await world.assign(asset_id, group_id, priority=1)
    (requested,) = await world.drain()
    await world.say(waitlisted(requested))
    await world.drain()
    (urgent,) = await world.ask(to_device(asset_id, serials(1)[0], priority=9))
    again, completed = await world.drain()
    assert completed.totals.states == {"waitlisted": 1}
    assert (again.priority, again.targets[0].version) == (9, 2)
    assert again.entitlement_ids() == requested.entitlement_ids()
    assert urgent.assignment is not None
    await world.revoke(urgent.assignment.id)
    (once_more,) = [event for event in await world.drain() if isinstance(event, AssignmentRequested)]
    assert (once_more.priority, once_more.targets[0].version) == (1, 3)


async def test_whatever_is_wished_of_a_licence_is_told_to_licensing(world: World) -> None:
    await world.enroll(serials(1))
    until = datetime(2030, 1, 1, tzinfo=UTC)
    wish = Wish(priority=3, expires_at=until, no_wait=True, library_id=LIBRARY)
    target = TargetNamed(TargetType.DEVICE, serial_number=serials(1)[0])
    await world.ask(Asked(await world.app(), target, wish))
    (told,) = await world.drain()
    assert (told.priority, told.expires_at, told.no_wait, told.library_id) == (3, until, True, LIBRARY)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 60), (2, 120), (3, None)])
def test_each_wait_for_a_failed_install_is_twice_the_one_before(attempt: int, seconds: int | None) -> None:
    delivery = Delivery(new_id(), new_id(), new_id(), new_id(), new_id(), attempt=attempt)
    failed = InstallFailed(
        enrollment_id=delivery.enrollment_id,
        delivery_id=delivery.id,
        entitlement_id=delivery.entitlement_id,
        asset_id=delivery.asset_id,
        kind=AssetKind.VPP_APP,
        cause="not_found",
    )
    now = datetime.now(UTC)
    _, said = delivery_fact(heard(failed), delivery, Patience(installs=3, retry_seconds=60), now)
    assert said.retry_at == (None if seconds is None else now + timedelta(seconds=seconds))


async def test_a_refusal_of_licensing_ends_the_life_and_needs_no_revoke(world: World) -> None:
    asset_id = await world.app()
    devices = await world.enroll(serials(1))
    assignment_id = await world.assign(asset_id, await world.group(serials(1)), no_wait=True)
    (requested,) = await world.drain()
    targets = [
        {
            "entitlement_id": target.entitlement_id,
            "serial_number": target.serial_number,
            "refusal": "no_licence_left",
        }
        for target in requested.targets
    ]
    await world.say(LicenseRefused.model_validate({"asset_id": asset_id, "targets": targets}))
    (completed,) = await world.drain()
    assert completed.totals.states == {"refused": 1}
    await world.revoke(assignment_id)
    assert await world.drain() == []
    assert await world.state_of(devices[serials(1)[0]]) == [("refused", "no_licence_left")]


async def test_an_assignment_that_expires_is_revoked_with_its_reason(world: World) -> None:
    asset_id = await world.app()
    devices = await world.enroll(serials(1))
    soon = datetime.now(UTC) + timedelta(seconds=2)
    await world.assign(asset_id, await world.group(serials(1)), expires_at=soon)
    await world.settle()
    await asyncio.sleep((soon - datetime.now(UTC)).total_seconds() + 0.05)
    job, _, _ = jobs(world.database, keep_ended_days=90)
    await job.run()
    await world.settle()
    assert await world.state_of(devices[serials(1)[0]]) == [("revoked", "expired")]
    await job.run()
    assert await world.drain() == []


async def test_devices_and_assets_keep_what_was_told_last(world: World) -> None:
    devices = await world.enroll(serials(1))
    device_id = devices[serials(1)[0]]
    newer = enrolled_device(device_id, serials(1)[0], os_version="18.1")
    older = enrolled_device(device_id, serials(1)[0], os_version="18.0")
    await world.hear(heard(newer, sequence=90), heard(older, sequence=80))
    await world.hear(heard(older, sequence=85))
    (row,) = await world.fetch("SELECT os_version, sequence FROM devices")
    assert tuple(row) == ("18.1", 90)
    asset_id = await world.app()
    (now,) = await world.fetch("SELECT sequence FROM assets")
    told = asset_told(asset_id, platforms=(Platform.MACOS,))
    await world.hear(heard(told, sequence=now["sequence"] - 1))
    (row,) = await world.fetch("SELECT platforms FROM assets")
    assert row["platforms"] == ["iOS", "macOS"]


async def test_a_device_whose_beginning_is_heard_after_its_end_stays_gone(world: World) -> None:
    """Its beginning was parked, and is replayed after its end; only a later one brings it to life."""
    device_id, (serial,) = new_id(), serials(1)
    gone = DeviceUnenrolled(
        enrollment_id=device_id, generation=1, serial_number=serial, reason=UnenrollReason.REMOVED
    )
    await world.hear(heard(gone, sequence=2))
    await world.hear(heard(enrolled_device(device_id, serial), sequence=1))
    assert await world.fetch("SELECT id FROM devices") == []
    await world.hear(heard(enrolled_device(device_id, serial), sequence=3))
    assert [row["enrolled"] for row in await world.fetch("SELECT enrolled FROM devices")] == [True]


async def test_a_large_set_is_told_in_events_of_a_thousand(world: World) -> None:
    asset_id = await world.app()
    await world.enroll(serials(2500))
    await world.assign(asset_id, await world.group(serials(2500)))
    told = await world.drain()
    assert [len(event.targets) for event in told] == [1000, 1000, 500]
    assert len(await world.fetch("SELECT id FROM steps")) == 1
