"""One seed and one order of requests, one trace; and a state that can be taken away and put back."""

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from local.simulators.apple import AppleSettings, AppleSimulator
from local.simulators.authority import Authority
from local.simulators.serving import Serving
from tests.local.apple.apple_client import (
    APP,
    BOOK,
    SECRET,
    AppleBox,
    Library,
    Subscriber,
    app_of,
    book_of,
    eventually,
    serials,
)


async def test_one_seed_and_one_order_of_requests_give_one_trace(apple: AppleBox) -> None:
    async def trace() -> list[Any]:
        await apple.tell("POST", "/reset")
        library = await apple.library(app_of(5))
        event_id = await library.associate(serials(2))
        await library.outcome(event_id)
        return [library.uid, event_id, (await library.get("assets"))["versionId"]]

    assert await trace() == await trace()


async def test_the_log_counts_requests_per_path_and_holds_no_token(apple: AppleBox) -> None:
    library = await apple.library(app_of(5))
    await library.get("assets")
    await library.get("assets")
    await library.associate(serials(1))
    response = await apple.admin.get("/state")
    assert response.json()["requests"] == {"GET assets": 2, "POST assets/associate": 1}
    assert library.token not in response.text
    assert json.loads(base64.b64decode(library.token))["token"] not in response.text


async def test_requests_can_be_watched_as_they_come(apple: AppleBox) -> None:
    library = await apple.library(app_of(5))
    await library.get("assets")
    seen = await apple.tell("GET", "/requests")
    await library.get("users")
    (new,) = (await apple.tell("GET", "/requests", after=seen["last"]))["requests"]
    assert (new["method"], new["path"], new["uid"], new["status"]) == ("GET", "users", library.uid, 200)


async def test_a_state_that_is_put_back_is_the_state_that_was_dumped(apple: AppleBox) -> None:
    library = await apple.library(app_of(5), book_of(3), users=["anna", "ben"])
    given = await library.post("assets/associate", {"assets": [APP, BOOK], "clientUserIds": ["anna", "ben"]})
    await library.outcome(given["eventId"])
    retired = await library.post("users/retire", {"users": [{"clientUserId": "anna"}]})
    await library.outcome(retired["eventId"])
    await library.outcome(await library.associate(serials(9)))
    await apple.fault("assets", answer="error", status=500, times=3)
    await apple.turn(page_size=7)
    before = await apple.tell("GET", "/dump")
    await apple.tell("POST", "/reset")
    await apple.tell("PUT", "/dump", before)
    assert await apple.tell("GET", "/dump") == before
    await apple.tell("DELETE", "/faults")
    assert (await library.get("assignments"))["size"] == 7


async def test_half_a_character_that_came_through_apples_door_can_be_told_and_put_back(
    apple: AppleBox,
) -> None:
    library = await apple.library(app_of(5))
    headers = {"Authorization": f"Bearer {library.token}", "Content-Type": "application/json"}
    body = json.dumps({"users": [{"clientUserId": "\ud800"}]})
    created = await apple.client.post("users/create", content=body, headers=headers)
    await library.outcome(created.json()["eventId"])
    [user] = (await apple.admin.get(f"/libraries/{library.uid}/users")).json()
    assert user["clientUserId"] == "\ud800"
    before = (await apple.admin.get("/dump")).content
    put = await apple.admin.put("/dump", content=before, headers={"Content-Type": "application/json"})
    assert put.is_success
    assert (await apple.admin.get("/dump")).content == before


async def test_an_open_event_goes_on_where_it_was_dumped(apple: AppleBox) -> None:
    library = await apple.library(app_of(500))
    await apple.turn(hold_events=True)
    event_id = await library.associate(serials(250))
    half = await apple.tell("GET", "/dump")
    half["events"][0]["worked"] = half["events"][0]["completed"] = 100
    half["knobs"]["hold_events"] = False
    await apple.tell("PUT", "/dump", half)
    status = await library.outcome(event_id)
    assert (status["numCompleted"], status["numRequested"]) == (250, 250)
    assert await library.counts() == (500, 350, 150)


async def test_a_notification_under_way_goes_on_where_it_was_dumped(
    apple: AppleBox, subscriber: Subscriber
) -> None:
    library = await apple.library(app_of(5))
    await library.subscribe(subscriber, "ASSET_MANAGEMENT")
    await apple.turn(notification_retry_seconds=[60, 120], notification_doubling=1)
    subscriber.statuses = [503, 200]
    await library.outcome(await library.associate(serials(2)))
    await eventually(lambda: apple.simulator.world.notifications["delivered"] == 1)
    await apple.tell("POST", "/clock", {"frozen": True, "seconds": 30})
    assert (await apple.state())["notifications"]["underWay"] == 1
    state = await apple.tell("GET", "/dump")
    await apple.tell("POST", "/reset")
    await apple.tell("PUT", "/dump", state)
    assert await apple.tell("GET", "/dump") == state
    await apple.tell("POST", "/clock", {"seconds": 29})
    assert len(subscriber.of("ASSET_MANAGEMENT")) == 2
    await apple.tell("POST", "/clock", {"seconds": 2})
    await eventually(lambda: apple.simulator.world.notifications["delivered"] == 2)
    assert len({row["notificationId"] for row in subscriber.of("ASSET_MANAGEMENT")}) == 1
    assert subscriber.tokens[-1] == f"Bearer {SECRET}"
    assert (await apple.tell("GET", "/dump"))["deliveries"] == []


def has_worked(apple: AppleBox, count: int) -> Callable[[], bool]:
    """Tell whether so many tasks of the one event are worked."""
    [event] = apple.simulator.world.events.values()
    return lambda: event.worked == count


async def test_a_dump_amid_an_event_loses_neither_its_time_nor_what_was_not_told_yet(
    apple: AppleBox, subscriber: Subscriber
) -> None:
    library = await apple.library(app_of(2))
    await library.subscribe(subscriber, "ASSET_MANAGEMENT")
    await apple.turn(event_delay_seconds=100, task_seconds=10)
    await apple.tell("POST", "/clock", {"frozen": True})
    event_id = await library.associate(serials(4))
    for seconds, worked in ((90, 0), (10, 0), (10, 1), (10, 2), (10, 3), (10, 4)):
        state = await apple.tell("GET", "/dump")
        await apple.tell("POST", "/reset")
        await apple.tell("PUT", "/dump", state)
        await asyncio.sleep(0.02)
        await apple.tell("POST", "/clock", {"seconds": seconds})
        await eventually(has_worked(apple, worked))
    assert (await library.outcome(event_id))["numCompleted"] == 2
    await eventually(lambda: len(subscriber.of("ASSET_MANAGEMENT")) == 2)
    told = {
        row["notification"]["result"]: [each["serialNumber"] for each in row["notification"]["assignments"]]
        for row in subscriber.of("ASSET_MANAGEMENT")
    }
    assert told == {"SUCCESS": serials(2), "FAILURE": serials(2, start=2)}


async def test_what_a_revoke_took_is_told_though_it_was_dumped_in_between(
    apple: AppleBox, subscriber: Subscriber
) -> None:
    library = await apple.library(app_of(2))
    await library.outcome(await library.associate(serials(2)))
    await library.subscribe(subscriber, "ASSET_MANAGEMENT")
    await apple.turn(task_seconds=10)
    await apple.tell("POST", "/clock", {"frozen": True})
    revoke = await library.post("assets/revoke", {"serialNumbers": serials(2)})
    await apple.tell("POST", "/clock", {"seconds": 10})
    await eventually(lambda: apple.simulator.world.events[revoke["eventId"]].worked == 1)
    state = await apple.tell("GET", "/dump")
    await apple.tell("PUT", "/dump", state)
    await asyncio.sleep(0.02)
    await apple.tell("POST", "/clock", {"seconds": 10})
    await eventually(lambda: len(subscriber.of("ASSET_MANAGEMENT")) == 1)
    [told] = subscriber.of("ASSET_MANAGEMENT")
    assert [row["serialNumber"] for row in told["notification"]["assignments"]] == serials(2)


async def test_a_state_goes_on_in_another_simulator(apple: AppleBox, certificate: tuple[Path, Path]) -> None:
    library = await apple.library(app_of(5))
    await library.outcome(await library.associate(serials(2)))
    state = await apple.tell("GET", "/dump")
    settings = AppleSettings(certificate_file=certificate[0], key_file=certificate[1], seed=7)
    async with AppleSimulator(settings) as other:
        answer = await apple.admin.put(f"{other.admin_url}/dump", json=state)
        assert answer.is_success
        moved = Library(apple.client, library.uid, library.token)
        rows = await apple.client.get(
            f"{other.url}/assignments", headers={"Authorization": f"Bearer {moved.token}"}
        )
        assert len(rows.json()["assignments"]) == 2
        assert other.world.new_id() == apple.simulator.world.new_id()


WRONG: list[tuple[str, Any]] = [
    ("form", 0),
    ("dice", {}),
    ("clock", {"turned": 1e300, "frozen_at": None}),
    ("libraries", []),  # of tokens and events
    ("libraries", [1]),
    ("tokens", [{"text": "t"}]),
    ("events", [{"event_id": "e"}]),
    ("deliveries", [{"due_at": 0, "failures": 0, "notification": {}}]),
    ("titles", {"1": {"name": 5}}),
    ("log", [[]]),
    ("requests", {"GET /users": "often"}),
]


@pytest.mark.parametrize(("part", "value"), WRONG)
async def test_what_is_no_state_is_refused_and_leaves_the_one_there_is(
    apple: AppleBox, part: str, value: Any
) -> None:
    library = await apple.library(app_of(5))
    await library.outcome(await library.associate(serials(2)))
    state = await apple.tell("GET", "/dump")
    answer = await apple.admin.put("/dump", json={**state, part: value})
    assert answer.status_code == 422
    assert "this is no state" in answer.json()["detail"]
    assert await apple.tell("GET", "/dump") == state


@pytest.mark.parametrize(
    ("where", "value"),
    [("total", "many"), ("holders", {"serialNumber": {"S1": 99}, "clientUserId": {}}), ("kept", [[1]])],
)
async def test_an_asset_that_cannot_be_is_refused(apple: AppleBox, where: str, value: Any) -> None:
    await apple.library(app_of(5))
    state = await apple.tell("GET", "/dump")
    state["libraries"][0]["assets"][0][where] = value
    assert (await apple.admin.put("/dump", json=state)).status_code == 422


async def test_a_device_sees_its_license_after_the_lag(apple: AppleBox) -> None:
    library = await apple.library(app_of(5))
    await apple.turn(license_lag_seconds=60)
    await library.outcome(await library.associate(["A"]))
    asked = {"serial_number": "A", "adam_id": APP["adamId"]}
    assert (await apple.admin.get("/licenses", params=asked)).status_code == 404
    await apple.tell("POST", "/clock", {"seconds": 61})
    assert (await apple.admin.get("/licenses", params=asked)).status_code == 200


async def test_the_clock_stands_and_runs_on(apple: AppleBox) -> None:
    stood = await apple.tell("POST", "/clock", {"frozen": True})
    assert await apple.tell("GET", "/clock") == stood
    turned = await apple.tell("POST", "/clock", {"days": 1, "frozen": False})
    assert turned["frozen"] is False
    assert turned["now"] > stood["now"]


async def test_a_subscriber_with_a_certificate_of_an_unknown_authority_is_unreachable(
    apple: AppleBox, tmp_path: Path
) -> None:
    stranger = Authority.create("Stranger").issue_server(hosts=["127.0.0.1"])
    certificate_file, key_file = stranger.write(tmp_path, "stranger")
    subscriber = Subscriber()
    serving = await Serving.start(subscriber.app(), certificate_file=certificate_file, key_file=key_file)
    subscriber.url = f"https://127.0.0.1:{serving.port}/apple/notifications"
    library = await apple.library()
    assert (await library.subscribe(subscriber, "ASSET_COUNT"))["errorNumber"] == 9728
    assert subscriber.received == []
    await serving.stop()


@pytest.mark.parametrize("secret", ["a\nb", "\x00"])
async def test_a_secret_that_no_header_can_carry_is_refused(
    apple: AppleBox, subscriber: Subscriber, secret: str
) -> None:
    library = await apple.library()
    body = {"notificationUrl": subscriber.url, "notificationAuthToken": secret}
    assert (await library.post("client/config", body))["errorNumber"] == 9728


async def test_after_the_third_failure_a_notification_is_given_up(
    apple: AppleBox, subscriber: Subscriber
) -> None:
    library = await apple.library(app_of(5))
    await library.subscribe(subscriber, "ASSET_MANAGEMENT")
    subscriber.statuses = [500] * 9
    await library.outcome(await library.associate(serials(1)))
    while not apple.simulator.world.notifications["abandoned"]:
        await apple.simulator.world.clock.sleep(0.01)
    assert len(subscriber.of("ASSET_MANAGEMENT")) == 3


async def test_plain_http_gets_nothing(apple: AppleBox) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx2.HTTPError):
            await client.get(apple.simulator.url.replace("https", "http") + "/service/config")
