"""What people do in Apple's portal: buy, refund, transfer; and the knobs of the admin door."""

import pytest

from tests.local.apple.apple_client import APP, AppleBox, app_of, serials

PAIR = {"adam_id": APP["adamId"]}


async def test_an_asset_may_be_bought_later(apple: AppleBox) -> None:
    library = await apple.library()
    await apple.tell("POST", f"/libraries/{library.uid}/assets", app_of(4))
    assert await library.counts() == (4, 4, 0)


@pytest.mark.parametrize(
    ("assigned", "counts", "kept"),
    [("take_back", (3, 0, 3), 3), ("keep", (3, 0, 4), 4)],
)
async def test_a_refund_of_assigned_licenses_does_as_its_policy_says(
    apple: AppleBox, assigned: str, counts: tuple[int, int, int], kept: int
) -> None:
    library = await apple.library(app_of(5))
    await library.outcome(await library.associate(serials(4)))
    refund = {**PAIR, "count": 2, "assigned": assigned}
    row = await apple.tell("POST", f"/libraries/{library.uid}/refunds", refund)
    assert (row["totalCount"], row["availableCount"], row["assignedCount"]) == counts
    rows = (await library.get("assignments"))["assignments"]
    assert [row["serialNumber"] for row in rows] == serials(kept)


async def test_a_refund_of_assigned_licenses_is_refused_by_default(apple: AppleBox) -> None:
    library = await apple.library(app_of(5))
    await library.outcome(await library.associate(serials(4)))
    response = await apple.admin.post(f"/libraries/{library.uid}/refunds", json={**PAIR, "count": 2})
    assert response.status_code == 409
    assert await library.counts() == (5, 1, 4)


async def test_free_licenses_move_from_one_library_to_another(apple: AppleBox) -> None:
    source, target = await apple.library(app_of(5)), await apple.library()
    await source.outcome(await source.associate(serials(2)))
    transfer = {**PAIR, "count": 3, "to": target.uid}
    await apple.tell("POST", f"/libraries/{source.uid}/transfers", transfer)
    assert await source.counts() == (2, 0, 2)
    assert await target.counts() == (3, 3, 0)
    response = await apple.admin.post(f"/libraries/{source.uid}/transfers", json=transfer)
    assert response.status_code == 409
    assert await target.counts() == (3, 3, 0)


async def test_what_the_admin_door_does_not_know_is_not_found(apple: AppleBox) -> None:
    library = await apple.library()
    unknown = await apple.admin.post("/libraries/unknown/tokens", json={})
    not_owned = await apple.admin.post(f"/libraries/{library.uid}/purchases", json={**PAIR, "count": 1})
    assert (unknown.status_code, not_owned.status_code) == (404, 404)


async def test_a_library_is_not_opened_twice(apple: AppleBox) -> None:
    library = await apple.library()
    assert (await apple.admin.post("/libraries", json={"uid": library.uid})).status_code == 409


@pytest.mark.parametrize(
    "knobs", [{"dely": 1}, {"invalid_token_status": 500}, {"page_size": 0}, {"limits": 3}]
)
async def test_a_knob_that_is_none_is_refused_and_changes_nothing(
    apple: AppleBox, knobs: dict[str, int]
) -> None:
    before = apple.simulator.world.knobs
    assert (await apple.admin.patch("/knobs", json=knobs)).status_code == 422
    assert apple.simulator.world.knobs == before


async def test_a_reset_forgets_all_and_open_events_never_run(apple: AppleBox) -> None:
    library = await apple.library(app_of(5))
    await apple.turn(hold_events=True)
    await library.associate(serials(2))
    await apple.tell("POST", "/reset")
    assert (await library.get("assets"))["errorNumber"] == 9622
    state = await apple.state()
    assert (state["libraries"], state["events"]) == ({}, [])


async def test_a_device_may_ask_whether_it_holds_a_license(apple: AppleBox) -> None:
    library = await apple.library(app_of(5))
    await library.outcome(await library.associate(serials(1)))
    asked = [{"serial_number": serial, "adam_id": APP["adamId"]} for serial in serials(2)]
    answers = [await apple.admin.get("/licenses", params=query) for query in asked]
    assert [answer.status_code for answer in answers] == [200, 404]
    assert 0 <= answers[0].json()["held_seconds"] < 5


async def test_a_device_may_ask_for_the_account_that_is_signed_in(apple: AppleBox) -> None:
    library = await apple.library(app_of(5), users=["anna"])
    event = await library.post("assets/associate", {"assets": [APP], "clientUserIds": ["anna"]})
    await library.outcome(event["eventId"])
    accounts = ("anna@people.example", "ben@people.example")
    asked = [{"account": account, "adam_id": APP["adamId"]} for account in accounts]
    assert [(await apple.admin.get("/licenses", params=query)).status_code for query in asked] == [200, 404]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", "subscriptions"), ("GET", "subscriptions/assignments"), ("GET", "subscriptions/admins")),
        *(("POST", "subscriptions/enable"), ("POST", "subscriptions/associate")),
    ],
)
async def test_subscriptions_are_not_served(apple: AppleBox, method: str, path: str) -> None:
    library = await apple.library(app_of(1))
    assert (await library.ask(method, path)).status_code == 404
