"""What licensing says beside yes: a wait, a failure, a loss, an invitation; how each ends, and how `why` tells it."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assignment.decide.entitlements import Fact, Said, after, is_news, move
from assignment.handlers.people import create_user
from assignment.model import Entitlement, State, User, Wish
from shared.events import Event
from shared.events.assignment import AssignmentCompleted, AssignmentRequested, AssignmentRevoked
from shared.events.licensing import (
    AppleUserAssociated,
    AppleUserRetired,
    LicenseFailed,
    LicenseRefused,
    LicenseReserved,
)
from shared.ids import new_id
from tests.assignment.door import Door
from tests.assignment.world import (
    LIBRARY,
    World,
    assigned,
    heard,
    released,
    reserved,
    serials,
    taken,
    waitlisted,
)

ONE = serials(1)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def _requested(world: World, **wish: Any) -> tuple[UUID, UUID, AssignmentRequested]:
    """Return assignment, device and what was asked for the only member of a group."""
    asset_id = await world.app()
    devices = await world.enroll(ONE)
    assignment_id = await world.assign(asset_id, await world.group(ONE), **wish)
    (requested,) = await world.drain()
    return assignment_id, devices[ONE[0]], requested


def _failed(requested: AssignmentRequested, cause: str, **said: Any) -> LicenseFailed:
    whose = {} if "user_id" in said else {"serial_number": ONE[0]}
    target = {"entitlement_id": requested.targets[0].entitlement_id, "cause": cause, **whose, **said}
    return LicenseFailed.model_validate({"asset_id": requested.asset_id, "targets": [target]})


def _refused(asked: AssignmentRequested | AssignmentRevoked, refusal: str, number: int) -> LicenseRefused:
    target = {**asked.targets[0].model_dump(), "refusal": refusal, "error_number": number}
    return LicenseRefused.model_validate({"asset_id": asked.asset_id, "targets": [target]})


async def _story(door: Door, requested: AssignmentRequested | AssignmentRevoked) -> dict[str, Any]:
    story: dict[str, Any] = await door.get(f"/v1/entitlements/{requested.targets[0].entitlement_id}")
    return story


# A failure.


async def test_a_licence_that_failed_settles_holds_nothing_and_says_why(world: World, door: Door) -> None:
    assignment_id, device_id, requested = await _requested(world)
    await world.say(_failed(requested, "apple_refused", error_number=9602))
    (completed,) = await world.drain()
    assert isinstance(completed, AssignmentCompleted)
    assert completed.totals.states == {"failed": 1}
    story = await _story(door, requested)
    assert (story["state"], story["cause"], story["error_number"]) == ("failed", "apple_refused", 9602)
    assert [cover["ended_at"] for cover in story["covers"]] == [None]
    assert story["why"] == {
        "blocking": "licence",
        "explanation": "the licence could not be got: apple_refused (Apple error 9602)",
        "next_action": "ask_licence_again_when_enrolled_anew",
        "next_at": None,
    }
    await world.revoke(assignment_id)
    assert await world.drain() == []
    assert await world.state_of(device_id) == [("failed", "apple_refused")]
    assert (await _story(door, requested))["why"]["next_action"] is None


# A release that licensing could not do yet.


async def test_a_release_that_is_refused_shows_its_cause_and_is_asked_again(world: World, door: Door) -> None:
    assignment_id, _, requested = await _requested(world)
    await world.say(assigned(requested))
    await world.drain()
    await world.revoke(assignment_id)
    revoked = (await world.drain())[0]
    for _ in range(2):
        await world.say(_refused(revoked, "apple_refused", 9622))
    story = await _story(door, requested)
    assert (story["state"], story["reason"], story["cause"]) == ("revoking", "ended", "apple_refused")
    assert [step["cause"] for step in story["steps"]].count("apple_refused") == 1
    assert story["why"]["explanation"] == (
        "the licence is being given back: ended; licensing could not yet: apple_refused (Apple error 9622)"
    )
    assert story["why"]["next_action"] == "ask_revoke_again"
    assert story["why"]["next_at"] is not None
    await world.say(released(revoked))
    story = await _story(door, requested)
    assert (story["state"], story["cause"], story["error_number"]) == ("revoked", None, None)


# A licence that somebody else took.


async def test_a_licence_that_was_taken_is_asked_for_anew_until_too_many_lives_in_a_row_were_lost(
    world: World, door: Door
) -> None:
    assignment_id, device_id, first = await _requested(world)
    requested = first
    for lives in (1, 2, 3):
        await world.say(assigned(requested))
        await world.drain()
        await world.say(taken(requested.asset_id, requested.targets[0].entitlement_id, ONE[0]))
        told = await world.drain()
        if lives < 3:
            (requested,) = told
    (completed,) = told
    assert completed.totals.states == {"lost": 1}
    assert await world.state_of(device_id) == [("lost", "taken_back")] * 3
    followed, stays = await _story(door, first), await _story(door, requested)
    assert followed["why"]["next_action"] is None
    assert followed["steps"][-1]["cause"] == "taken_back"
    assert stays["losses"] == 2
    assert stays["why"]["explanation"] == "the licence was lost: taken_back; 3 in a row"
    assert stays["why"]["next_action"] == "ask_licence_again_when_enrolled_anew"
    await world.revoke(assignment_id)
    assert await world.drain() == []


async def test_a_taken_licence_of_a_life_that_nobody_covers_any_more_opens_none(world: World) -> None:
    assignment_id, device_id, requested = await _requested(world)
    await world.say(assigned(requested))
    await world.revoke(assignment_id)
    await world.drain()
    await world.say(taken(requested.asset_id, requested.targets[0].entitlement_id, ONE[0]))
    assert await world.drain() == []
    assert await world.state_of(device_id) == [("revoking", "ended")]


async def test_of_a_set_of_licences_that_were_taken_each_opens_its_own_life(world: World) -> None:
    asset_id = await world.app()
    await world.enroll(serials(20))
    assignment_id = await world.assign(asset_id, await world.group(serials(20)))
    (requested,) = await world.drain()
    await world.say(assigned(requested))
    await world.drain()
    await world.say(released(requested, asked=False))
    (again,) = await world.drain()
    assert len(set(again.entitlement_ids()) - set(requested.entitlement_ids())) == 20
    await world.answer(again)
    await world.settle()
    assert await world.totals(assignment_id) == {State.INSTALLED: 20}


# A place in the waitlist.


async def test_a_place_in_the_waitlist_has_its_time_and_never_goes_back_in_time(
    world: World, door: Door
) -> None:
    _, _, requested = await _requested(world)
    for position, minute in ((7, 1), (4, 3), (6, 2), (4, 5), (4, 4)):
        told = waitlisted(requested, first=position)
        await world.say(told.model_copy(update={"as_of": NOON + timedelta(minutes=minute)}))
    story = await _story(door, requested)
    assert (story["position"], story["position_at"]) == (4, "2026-11-22T12:05:00Z")
    assert story["why"]["explanation"] == (
        "no licence is left; place 4 in the waitlist as of 2026-11-22T12:05:00Z"
    )
    assert [step["state"] for step in story["steps"]] == ["requested", "waitlisted"]
    (listed,) = (await door.get("/v1/entitlements", state="waitlisted"))["items"]
    assert (listed["position"], listed["position_at"]) == (4, "2026-11-22T12:05:00Z")
    await world.say(assigned(requested))
    story = await _story(door, requested)
    assert (story["state"], story["position"], story["position_at"]) == ("delivering", None, None)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 20)), min_size=1, unique_by=lambda told: told[1]))
def test_whatever_the_order_the_place_is_the_one_of_the_latest_time(told: list[tuple[int, int]]) -> None:
    life = Entitlement(new_id(), new_id(), new_id(), ONE[0], new_id(), State.REQUESTED, Wish())
    for position, minute in [*told, *told]:
        said = Said("LicenseWaitlisted", position=position, position_at=NOON + timedelta(minutes=minute))
        (made,) = move(life.state, Fact.WAITLISTED, life.wish.install_mode)
        if is_news(life, made, said):
            life = after(life, made, said, ask_again_at=NOON)
    position, minute = max(told, key=lambda one: one[1])
    assert (life.position, life.position_at) == (position, NOON + timedelta(minutes=minute))


# An invitation.


async def test_scenario_29_a_licence_held_for_an_invitation_that_ends_is_asked_for_anew_once_accepted(
    world: World, door: Door
) -> None:
    assignment_id, device_id, requested = await _requested(world)
    user_id = await _person(world, device_id)
    await world.say(_awaiting(requested))
    story = await _story(door, requested)
    assert (story["state"], story["why"]["blocking"]) == ("awaiting_acceptance", "acceptance")
    await world.say(_failed(requested, "invitation_ended", user_id=user_id))
    (completed,) = await world.drain()
    assert completed.totals.states == {"failed": 1}
    why = (await _story(door, requested))["why"]
    assert (why["blocking"], why["next_action"]) == (
        "acceptance",
        "ask_licence_again_once_the_apple_user_is_associated",
    )
    associated = heard(AppleUserAssociated(user_id=user_id, library_id=LIBRARY), sequence=5)
    await world.hear(associated, associated)
    await world.hear(associated)
    (again,) = await world.drain()
    assert isinstance(again, AssignmentRequested)
    assert again.entitlement_ids() != requested.entitlement_ids()
    assert (await _story(door, again))["steps"][0]["what"] == "AppleUserAssociated"
    await world.answer(again)
    await world.settle()
    assert await world.totals(assignment_id) == {State.INSTALLED: 1}
    assert await world.state_of(device_id) == [("failed", "invitation_ended"), ("installed", None)]


async def test_scenario_29_the_end_of_an_invitation_may_be_heard_after_its_acceptance(world: World) -> None:
    _, device_id, requested = await _requested(world)
    user_id = await _person(world, device_id)
    await world.say(AppleUserAssociated(user_id=user_id, library_id=LIBRARY))
    assert await world.drain() == []
    for _ in range(2):
        await world.say(_failed(requested, "invitation_ended", user_id=user_id))
    (again,) = await world.drain()
    assert isinstance(again, AssignmentRequested)
    assert await world.state_of(device_id) == [("failed", "invitation_ended"), ("requested", None)]


async def test_who_is_retired_is_associated_no_more_whatever_comes_late(world: World) -> None:
    _, device_id, requested = await _requested(world)
    user_id = await _person(world, device_id)
    joined = AppleUserAssociated(user_id=user_id, library_id=LIBRARY)
    left = AppleUserRetired(user_id=user_id, library_id=LIBRARY)
    told: list[tuple[Event, int]] = [(joined, 1), (left, 3), (joined, 2)]
    for event, sequence in told:
        await world.hear(heard(event, sequence=sequence))
    await world.say(_failed(requested, "invitation_ended", user_id=user_id))
    await world.hear(heard(joined, sequence=2))
    assert await world.state_of(device_id) == [("failed", "invitation_ended")]
    await world.hear(heard(joined, sequence=4))
    assert await world.state_of(device_id) == [("failed", "invitation_ended"), ("requested", None)]


@pytest.mark.parametrize("known_before", [True, False])
async def test_who_joins_another_library_than_the_one_asked_for_is_not_asked_for(
    world: World, *, known_before: bool
) -> None:
    _, device_id, requested = await _requested(world, library_id=LIBRARY)
    user_id = await _person(world, device_id)
    told: list[Event] = [
        AppleUserAssociated(user_id=user_id, library_id="2049025000431440"),
        _failed(requested, "invitation_ended", user_id=user_id),
    ]
    for event in told if known_before else reversed(told):
        await world.say(event)
    assert await world.state_of(device_id) == [("failed", "invitation_ended")]


@pytest.mark.parametrize("cause", ["expired", "apple_refused"])
async def test_what_failed_for_another_cause_is_not_asked_for_when_somebody_joins(
    world: World, cause: str
) -> None:
    _, device_id, requested = await _requested(world)
    user_id = await _person(world, device_id)
    await world.say(_failed(requested, cause, user_id=user_id))
    await world.say(AppleUserAssociated(user_id=user_id, library_id=LIBRARY))
    assert await world.state_of(device_id) == [("failed", cause)]


async def test_the_end_of_an_invitation_waits_for_the_acceptance_that_is_being_heard(world: World) -> None:
    _, device_id, requested = await _requested(world)
    user_id = await _person(world, device_id)
    joined = heard(AppleUserAssociated(user_id=user_id, library_id=LIBRARY), sequence=1)
    await world.while_open(
        lambda tx: world.hear_in(tx, joined),
        lambda: world.say(_failed(requested, "invitation_ended", user_id=user_id)),
    )
    assert await world.state_of(device_id) == [("failed", "invitation_ended"), ("requested", None)]


async def test_an_acceptance_waits_for_the_end_of_the_invitation_that_is_being_heard(world: World) -> None:
    _, device_id, requested = await _requested(world)
    user_id = await _person(world, device_id)
    ended = heard(_failed(requested, "invitation_ended", user_id=user_id))
    await world.while_open(
        lambda tx: world.hear_in(tx, ended),
        lambda: world.say(AppleUserAssociated(user_id=user_id, library_id=LIBRARY)),
    )
    assert await world.state_of(device_id) == [("failed", "invitation_ended"), ("requested", None)]


# All of it, at random.


@pytest.mark.parametrize("seed", range(12))
async def test_answers_in_any_order_doubled_and_late_leave_lives_and_totals_true(
    world: World, seed: int
) -> None:
    dice, names = random.Random(seed), serials(4)
    devices = await world.enroll(names)
    user_id = await _person(world, *devices.values())
    assignment_id = await world.assign(await world.app(), await world.group(names))
    under_way: list[Event] = [AppleUserAssociated(user_id=user_id, library_id=LIBRARY)]
    ended: dict[UUID, str] = {}
    for _ in range(60):
        for asked in await world.drain():
            for target in asked.targets if isinstance(asked, AssignmentRequested) else ():
                one = asked.model_copy(update={"targets": (target,)})
                under_way += dice.sample(_answers(one, user_id, minute=dice.randrange(60)), 4)
        if not under_way:
            break
        event = dice.choice(under_way)
        if dice.random() < 0.6:
            under_way.remove(event)
        await world.say(event)
        for life in await world.fetch("SELECT id, state FROM entitlements WHERE ended_at IS NOT NULL"):
            assert ended.setdefault(life["id"], life["state"]) == life["state"]
        totals = await world.totals(assignment_id)
        assert sum(totals.values()) == len(names)
        await world.check()


def _answers(one: AssignmentRequested, user_id: UUID, *, minute: int) -> list[Event]:
    waits = waitlisted(one, first=1 + minute)
    return [
        reserved(one),
        _awaiting(one),
        waits.model_copy(update={"as_of": NOON + timedelta(minutes=minute)}),
        assigned(one),
        _refused(one, "apple_refused", 9602),
        _failed(one, "invitation_ended", user_id=user_id),
        released(one, asked=False),
    ]


def _awaiting(requested: AssignmentRequested) -> LicenseReserved:
    targets = [{**target.model_dump(), "awaits": "acceptance"} for target in requested.targets]
    return LicenseReserved.model_validate(
        {"asset_id": requested.asset_id, "library_id": LIBRARY, "targets": targets}
    )


async def _person(world: World, *device_ids: UUID) -> UUID:
    """Make a person whose devices these are, and return the user id."""
    user = User(new_id(), 1, "Camille Martin", None, None, None, device_ids, "active")
    async with world.database.transaction() as tx:
        await create_user(tx, user)
    await world.drain()
    return user.id
