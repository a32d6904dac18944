"""The HTTP door: assignments and their answers, groups, people, lists, why, and who may ask."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI

from assignment import api
from assignment.api.progress import HEARTBEAT_SECONDS, progress_stream
from shared.clock import TurnedClock
from shared.database import Database
from shared.events.words import AssetKind, EnrollmentKind, Platform
from shared.ids import new_id
from tests.assignment.door import Door
from tests.assignment.world import World, serials

ONE = serials(1)[0]


def to_device(asset_id: Any, serial: str, **said: Any) -> dict[str, Any]:
    """Return an assignment on a device."""
    target = {"type": "device", "serial_number": serial}
    return {"asset_id": str(asset_id), "target": target, **said}


def to_group(asset_id: Any, group_id: Any, **said: Any) -> dict[str, Any]:
    """Return an assignment on a device group."""
    target = {"type": "device_group", "id": str(group_id)}
    return {"asset_id": str(asset_id), "target": target, **said}


async def test_a_group_is_made_filled_and_given_an_app(world: World, door: Door) -> None:
    asset_id = await world.app()
    await world.enroll(serials(4))
    group = await door.post("/v1/device-groups", {"name": "iPads of 3B"}, expect=201)
    members = f"/v1/device-groups/{group['id']}/members"
    changed = await door.post(members, {"serial_numbers": [*serials(3), "NOBODYS"]})
    assert changed == {
        "added": 3,
        "removed": 0,
        "unchanged": 0,
        "unfolding": False,
        "refused": {"unknown_target": 1},
        "refusals": [{"serial_number": "NOBODYS", "refusal": "unknown_target"}],
    }
    answer = await door.assign(to_group(asset_id, group["id"]))
    (made,) = answer["assignments"]
    assert made["counts"] == {"targets": 3, "requested": 3, "covered": 0, "refused": {}}
    assert (made["refusal"], made["unfolding"], answer["refusals"]) == (None, False, [])
    await world.settle()
    progress = await door.get(made["links"]["progress"])
    assert (progress["states"], progress["completed"]) == ({"installed": 3}, True)
    assert (await door.post(f"{members}/remove", {"serial_numbers": serials(2)}))["removed"] == 2
    await world.settle()
    assignment = await door.get(made["links"]["self"])
    assert assignment["progress"]["states"] == {"installed": 1, "revoked": 2}
    listed = await door.get(members)
    assert [member["serial_number"] for member in listed["items"]] == [serials(3)[2]]
    assert (await door.get(f"/v1/device-groups/{group['id']}"))["member_count"] == 1


async def test_a_refused_assignment_is_answered_beside_those_that_go_on(world: World, door: Door) -> None:
    app, book = await world.app(), await world.app(kind=AssetKind.VPP_BOOK)
    poolless = await world.app(pools=())
    devices = await world.enroll(serials(1))
    await world.enroll(["OLDMAC"], platform=Platform.MACOS, os_version="10.10.5")
    await world.enroll(["WATCH"], platform=Platform.WATCHOS)
    await world.enroll(["BYOD"], kind=EnrollmentKind.USER)
    group_id = await world.group(serials(1))
    same = {"asset_id": str(app), "target": {"type": "device", "id": str(devices[ONE])}}
    answer = await door.assign(
        to_device(app, ONE),
        same,
        to_device(book, ONE),
        to_device(new_id(), ONE),
        to_device(poolless, ONE),
        to_device(app, "NOBODYS"),
        to_device(app, "OLDMAC"),
        to_device(app, "WATCH"),
        to_device(app, "BYOD"),
        to_device(app, ONE, install_mode="manual"),
        to_device(app, ONE, library_id="another"),
        to_group(app, new_id()),
        to_group(app, group_id, assignment_mode="apple_id"),
        {"asset_id": str(app), "target": {"type": "user", "id": str(new_id())}},
        {"asset_id": str(app), "target": {"type": "user", "id": str(new_id())}, "assignment_mode": "device"},
    )
    assert [one["refusal"] for one in answer["assignments"]] == [
        None,
        "duplicate_target",
        "kind_not_for_device",
        "unknown_asset",
        "no_pool",
        "unknown_target",
        "os_too_old",
        "kind_not_for_platform",
        "enrollment_takes_user_licences_only",
        "manual_device_licence_unseen",
        "no_pool",
        "unknown_target",
        "not_offered_yet",
        "not_offered_yet",
        "modes_contradict",
    ]
    assert answer["counts"]["targets"] == 15
    assert answer["counts"]["requested"] == 1
    assert len(answer["refusals"]) == 14
    assert all(refused["explanation"] for refused in answer["refusals"])
    request = await door.get(answer["links"]["request"])
    assert (len(request["assignments"]), len(request["refused"])) == (1, 14)


async def test_scenario_22_a_serial_with_a_nul_is_refused_alone(world: World, door: Door) -> None:
    asset_id = await world.app()
    await world.enroll(serials(9))
    wanted = [*serials(9), "C02X\x00"]
    group_id = await world.group()
    members = f"/v1/device-groups/{group_id}/members"
    changed = await door.post(members, {"serial_numbers": wanted})
    assert (changed["added"], changed["refused"]) == (9, {"unknown_target": 1})
    answer = await door.assign(*(to_device(asset_id, serial) for serial in wanted))
    assert answer["counts"] == {
        "targets": 10,
        "requested": 9,
        "covered": 0,
        "refused": {"unknown_target": 1},
    }
    assert answer["refusals"][0]["target"]["serial_number"] == "C02X\ufffd"


async def test_a_group_beyond_the_limit_is_refused(world: World, door: Door) -> None:
    asset_id = await world.app()
    await world.enroll(serials(51))
    answer = await door.assign(to_group(asset_id, await world.group(serials(51))))
    assert answer["assignments"][0]["refusal"] == "too_many_targets"


async def test_a_repeated_request_gets_the_first_answer_and_opens_nothing_twice(
    world: World, door: Door
) -> None:
    asset_id = await world.app()
    await world.enroll(serials(1))
    body = {"assignments": [to_device(asset_id, ONE)]}
    headers = door.headers(**{"idempotency-key": "monday"})
    first = await door.call("POST", "/v1/assignments", json=body, headers=headers)
    again = await door.call("POST", "/v1/assignments", json=body, headers=headers)
    assert (again.status_code, again.json()) == (first.status_code, first.json()) == (202, again.json())
    assert sum((await world.states()).values()) == 1
    body["assignments"][0]["priority"] = 5
    other = await door.call("POST", "/v1/assignments", json=body, headers=headers)
    assert other.status_code == 422


async def test_a_group_never_grows_beyond_the_limit_and_the_last_named_are_refused(
    world: World, door: Door
) -> None:
    await world.enroll(serials(60))
    group_id = await world.group(serials(45))
    members = f"/v1/device-groups/{group_id}/members"
    changed = await door.post(members, {"serial_numbers": [*serials(3), *serials(10, first=50), "NOBODYS"]})
    assert (changed["added"], changed["unchanged"]) == (5, 3)
    assert changed["refused"] == {"too_many_targets": 5, "unknown_target": 1}
    late = [each["serial_number"] for each in changed["refusals"] if each["refusal"] == "too_many_targets"]
    assert late == serials(5, first=55)
    assert (await door.get(f"/v1/device-groups/{group_id}"))["member_count"] == 50


async def test_a_hundred_thousand_members_are_one_request(world: World, door: Door) -> None:
    await world.enroll(serials(1))
    members = f"/v1/device-groups/{await world.group()}/members"
    changed = await door.post(members, {"serial_numbers": serials(100_000)})
    assert (changed["added"], changed["refused"]) == (1, {"unknown_target": 99_999})
    assert len(changed["refusals"]) == 100
    removed = await door.post(f"{members}/remove", {"serial_numbers": serials(100_000)})
    assert removed["removed"] == 1


async def test_revoking_is_answered_at_once_and_twice_is_once(world: World, door: Door) -> None:
    asset_id = await world.app()
    await world.enroll(serials(2))
    answer = await door.assign(to_group(asset_id, await world.group(serials(2))))
    here = answer["assignments"][0]["links"]["self"]
    await world.settle()
    first = await door.call("DELETE", here)
    assert first.status_code == 202
    assert (first.json()["state"], first.json()["progress"]["states"]) == ("ended", {"revoking": 2})
    await world.settle()
    second = await door.call("DELETE", here)
    assert (second.status_code, second.json()["progress"]["states"]) == (202, {"revoked": 2})
    assert second.json()["ended_at"] == first.json()["ended_at"]


async def test_an_entitlement_says_every_step_and_what_it_waits_for(world: World, door: Door) -> None:
    asset_id = await world.app()
    devices = await world.enroll(serials(1))
    answer = await door.assign(to_device(asset_id, ONE))
    (waiting,) = (await door.get("/v1/entitlements", serial_number=ONE, state="requested"))["items"]
    story = await door.get(f"/v1/entitlements/{waiting['id']}")
    assert story["why"]["blocking"] == "licensing"
    assert story["why"]["next_action"] == "ask_licence_again"
    assert datetime.fromisoformat(story["why"]["next_at"]) > datetime.now(UTC)
    await world.settle()
    story = await door.get(f"/v1/entitlements/{waiting['id']}")
    assert [(step["what"], step["state"]) for step in story["steps"]] == [
        ("AssignmentRequested", "requested"),
        ("LicenseReserved", "reserved"),
        ("LicenseAssigned", "licensed"),
        ("InstallRequested", "delivering"),
        ("InstallCompleted", "installed"),
    ]
    assert story["why"]["blocking"] is None
    assert [cover["assignment_id"] for cover in story["covers"]] == [answer["assignments"][0]["id"]]
    (delivery,) = story["deliveries"]
    assert (delivery["state"], delivery["enrollment_id"]) == ("installed", str(devices[ONE]))


async def test_all_lives_of_a_device_are_listed_and_a_list_comes_in_pages(world: World, door: Door) -> None:
    asset_id = await world.app()
    devices = await world.enroll(serials(5))
    group_id = await world.group(serials(5))
    answer = await door.assign(to_group(asset_id, group_id))
    await world.leave(group_id, serials(1))
    await world.join(group_id, serials(1))
    lives = await door.get("/v1/entitlements", device_id=str(devices[ONE]), asset_id=str(asset_id))
    assert [life["state"] for life in lives["items"]] == ["revoking", "requested"]
    path, seen = answer["assignments"][0]["links"]["entitlements"], []
    page = await door.get(path, limit=2)
    seen += page["items"]
    while page["next_cursor"]:
        page = await door.get(path, limit=2, cursor=page["next_cursor"])
        seen += page["items"]
    assert sorted(life["serial_number"] for life in seen) == serials(5)
    assert {life["state"] for life in seen} == {"requested"}


async def test_a_user_is_made_told_and_found(world: World, door: Door) -> None:
    devices = await world.enroll(serials(1))
    body = {"name": "Zoë", "mail_address": "zoe@school.example", "enrollment_ids": [str(devices[ONE])]}
    user = await door.post("/v1/users", body, expect=201)
    (told,) = await world.drain()
    assert (str(told.user_id), told.name, told.enrollment_ids) == (user["id"], "Zoë", (devices[ONE],))
    assert await door.get(f"/v1/users/{user['id']}") == user
    assert (await door.get("/v1/users"))["items"] == [user]
    unknown = {"name": "Ada", "enrollment_ids": [str(new_id())]}
    answer = await door.post("/v1/users", unknown, expect=422)
    assert "enrollment_ids" in json.dumps(answer)


async def test_assets_and_devices_are_listed_as_they_were_told_last(world: World, door: Door) -> None:
    asset_id = await world.app()
    devices = await world.enroll(serials(2))
    (asset,) = (await door.get("/v1/assets", kind="vpp_app"))["items"]
    assert (asset["id"], asset["pools"][0]["available"]) == (str(asset_id), 50)
    assert await door.get(f"/v1/assets/{asset_id}") == asset
    (device,) = (await door.get("/v1/devices", serial_number=ONE))["items"]
    assert (device["id"], device["enrolled"]) == (str(devices[ONE]), True)
    await world.unenroll(devices[ONE])
    assert len((await door.get("/v1/devices", enrolled="true"))["items"]) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"assignments": []}, "assignments"),
        (
            {"assignments": [{"target": {"type": "device", "serial_number": "C02X"}}]},
            "assignments.0.asset_id",
        ),
        ({"assignments": [{"asset_id": "x", "target": {}}]}, "assignments.0.asset_id"),
        ({"assignments": [to_device(new_id(), ONE, surprise=1)]}, "assignments.0.surprise"),
        ({"assignments": [to_device(new_id(), ONE, expires_at="2020-01-01T00:00:00Z")]}, "expires_at"),
        (
            {"assignments": [to_device(new_id(), ONE, expires_at="9999-12-31T23:59:59-23:59")]},
            "assignments.0.expires_at",
        ),
        (
            {"assignments": [{"asset_id": str(new_id()), "target": {"type": "device"}}]},
            "assignments.0.target",
        ),
    ],
)
async def test_a_body_that_cannot_be_read_is_answered_422_with_the_field(
    door: Door, body: Any, field: str
) -> None:
    answer = await door.call("POST", "/v1/assignments", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/v1/assignments/{id}",
        "/v1/assignments/{id}/entitlements",
        "/v1/assignments/{id}/progress",
        "/v1/entitlements/{id}",
        "/v1/requests/{id}",
        "/v1/users/{id}",
        "/v1/devices/{id}",
        "/v1/device-groups/{id}",
        "/v1/device-groups/{id}/members",
        "/v1/assets/{id}",
    ],
)
async def test_an_unknown_id_in_a_path_is_answered_404(door: Door, path: str) -> None:
    answer = await door.call("GET", path.format(id=new_id()))
    assert answer.status_code == 404


async def test_whoever_lacks_the_scope_is_answered_403_and_without_token_401(door: Door) -> None:
    body = {"assignments": [to_device(new_id(), ONE)]}
    reader = door.headers("assignments:read")
    assert (await door.call("POST", "/v1/assignments", json=body, headers=reader)).status_code == 403
    assert (await door.call("GET", "/v1/assignments", headers=door.headers(None))).status_code == 401


def test_every_body_and_every_answer_has_an_example(database: Database) -> None:
    app = FastAPI()
    app.include_router(api.router(database, max_targets=50))
    document = app.openapi()
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            answers = [answer for status, answer in route["responses"].items() if status.startswith("2")]
            for said in [*answers, *([route["requestBody"]] if "requestBody" in route else [])]:
                name = said["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                item = name.removeprefix("Page_").removesuffix("_")
                assert "examples" in schemas[item], f"{method} {path}: {item}"


async def test_a_listener_hears_every_change_and_a_heartbeat_in_between(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = TurnedClock(datetime(2026, 11, 22, tzinfo=UTC))
    monkeypatch.setattr(database, "clock", clock)
    asset_id = await world.app()
    await world.enroll(serials(2))
    assignment_id = await world.assign(asset_id, await world.group(serials(2)))
    going = True
    stream = progress_stream(database, assignment_id, goes_on=lambda: going)
    assert _states(await anext(stream)) == {"requested": 2}
    await world.settle()
    assert _states(await _turning(clock, 1.0, anext(stream))) == {"installed": 2}
    assert await _turning(clock, HEARTBEAT_SECONDS, anext(stream)) == ": heartbeat\n\n"
    going = False
    assert await _turning(clock, 1.0, anext(stream, None)) is None


async def _turning(clock: TurnedClock, seconds: float, awaited: Any) -> Any:
    """Turn the clock while something sleeps by it."""
    task = asyncio.ensure_future(awaited)
    while not task.done():
        await asyncio.sleep(0.01)
        clock.turn(seconds)
    return await task


def _states(event: str) -> Any:
    kind, told = event.rstrip("\n").split("\n")
    assert kind == "event: progress"
    return json.loads(told.removeprefix("data: "))["states"]
