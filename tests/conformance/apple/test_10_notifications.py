"""Notifications. Apple: "Subscribing to notifications"."""

import time

import pytest

from tests.conformance.apple.api import APP, BOOK, OTHER, Admin, Api, Row, serials, wait_for
from tests.conformance.apple.subscriber import Subscriber

SECRET = "a secret of the subscriber"
SETTLE_SECONDS = 0.3  # in which nothing more must come


def subscribe(api: Api, subscriber: Subscriber, *types: str) -> None:
    body = {
        "notificationUrl": subscriber.url,
        "notificationAuthToken": SECRET,
        "notificationTypes": list(types),
    }
    assert "notificationUrl" in api.post("client/config", body)


def told(subscriber: Subscriber, kind: str, count: int) -> list[Row]:
    """Wait for so many notifications of a type, and return what they say."""
    wait_for(lambda: len(subscriber.of(kind)) >= count)
    return [row["notification"] for row in subscriber.of(kind)]


def test_a_worked_event_is_told_in_portions_of_at_most_100(admin: Admin, subscriber: Subscriber) -> None:
    """Section 10: with the secret as bearer and an id of its own each."""
    api = admin.library({"adam_id": APP["adamId"], "total": 300})
    subscribe(api, subscriber, "ASSET_MANAGEMENT")
    event = api.post("assets/associate", {"assets": [APP], "serialNumbers": serials(250)})
    portions = told(subscriber, "ASSET_MANAGEMENT", 3)
    assert sorted(len(portion["assignments"]) for portion in portions) == [50, 100, 100]
    rows = [row for portion in portions for row in portion["assignments"]]
    assert sorted(row["serialNumber"] for row in rows) == serials(250)
    assert all(row.items() >= APP.items() for row in rows)
    assert {(portion["type"], portion["result"], portion["eventId"]) for portion in portions} == {
        ("ASSOCIATE", "SUCCESS", event["eventId"])
    }
    assert {headers["authorization"] for headers in subscriber.headers} == {f"Bearer {SECRET}"}
    assert {headers["content-type"] for headers in subscriber.headers} == {"application/json"}
    assert len({row["notificationId"] for row in subscriber.received}) == len(subscriber.received)


def test_a_partial_failure_is_told_as_a_success_and_a_failure(admin: Admin, subscriber: Subscriber) -> None:
    """Section 10: one error for all elements of a notification."""
    api = admin.library({"adam_id": APP["adamId"], "total": 2})
    subscribe(api, subscriber, "ASSET_MANAGEMENT")
    api.associate(serials(5))
    by_result = {portion["result"]: portion for portion in told(subscriber, "ASSET_MANAGEMENT", 2)}
    assert [row["serialNumber"] for row in by_result["SUCCESS"]["assignments"]] == serials(2)
    assert "error" not in by_result["SUCCESS"]
    assert [row["serialNumber"] for row in by_result["FAILURE"]["assignments"]] == serials(3, start=2)
    assert by_result["FAILURE"]["error"]["errorNumber"] == 9709


def test_a_revoke_tells_what_it_took(admin: Admin, subscriber: Subscriber) -> None:
    """Section 10: type REVOKE."""
    api = admin.library(users=["anna"])
    api.give(["anna"], APP, OTHER, BOOK)
    subscribe(api, subscriber, "ASSET_MANAGEMENT")
    api.done("assets/revoke", {"clientUserIds": ["anna"]})
    (portion,) = told(subscriber, "ASSET_MANAGEMENT", 1)
    assert (portion["type"], portion["result"]) == ("REVOKE", "SUCCESS")
    assert portion["assignments"] == [{**asset, "clientUserId": "anna"} for asset in (APP, OTHER)]


def test_a_change_of_what_is_owned_is_told_as_a_delta(admin: Admin, subscriber: Subscriber) -> None:
    """Section 10: ASSET_COUNT, signed; a transfer tells both sides."""
    api, other = admin.library(), admin.library()
    for each in (api, other):
        subscribe(each, subscriber, "ASSET_COUNT")
    pair = {"adam_id": APP["adamId"]}
    admin.tell("POST", f"/libraries/{api.uid}/purchases", {**pair, "count": 3})
    admin.tell("POST", f"/libraries/{api.uid}/refunds", {**pair, "count": 2})
    admin.tell("POST", f"/libraries/{api.uid}/transfers", {**pair, "count": 4, "to": other.uid})
    rows = told(subscriber, "ASSET_COUNT", 4)
    assert sorted(row["countDelta"] for row in rows) == [-4, -2, 3, 4]
    assert all(row.items() >= APP.items() for row in rows)


def test_users_are_told_with_their_codes_and_their_failures(admin: Admin, subscriber: Subscriber) -> None:
    """Section 10: USER_MANAGEMENT."""
    api = admin.library(users=["anna"])
    subscribe(api, subscriber, "USER_MANAGEMENT")
    api.manage("create", {"clientUserId": "anna"}, {"clientUserId": "ben"})
    by_result = {portion["result"]: portion for portion in told(subscriber, "USER_MANAGEMENT", 2)}
    assert by_result["SUCCESS"]["users"] == [api.user("ben")]
    assert by_result["SUCCESS"]["users"][0]["inviteCode"]
    assert by_result["FAILURE"]["error"]["errorNumber"] == 9716
    assert [user["clientUserId"] for user in by_result["FAILURE"]["users"]] == ["anna"]


def test_an_accepted_invitation_is_told(admin: Admin, subscriber: Subscriber) -> None:
    """Section 10: USER_ASSOCIATED, without an eventId."""
    api = admin.library()
    subscribe(api, subscriber, "USER_ASSOCIATED")
    api.manage("create", {"clientUserId": "anna", "email": "anna@school.example"})
    code = api.user("anna")["inviteCode"]
    admin.accept(api, "anna", "anna@mail.example")
    (portion,) = told(subscriber, "USER_ASSOCIATED", 1)
    assert set(portion) == {"associatedUsers"}
    assert portion["associatedUsers"] == [{**api.user("anna"), "inviteCode": code}]


@pytest.mark.parametrize(("answer", "payload"), [("asset", {**APP, "unlimited": True}), ("empty", {})])
def test_an_asset_that_becomes_unlimited_is_told(
    admin: Admin, subscriber: Subscriber, answer: str, payload: Row
) -> None:
    """Section 26: UNLIMITED_ASSET, its content is open."""
    admin.turn(unlimited_payload=answer)
    api = admin.library()
    subscribe(api, subscriber, "UNLIMITED_ASSET")
    body = {"adam_id": APP["adamId"], "unlimited": True}
    admin.tell("POST", f"/libraries/{api.uid}/unlimited", body)
    assert told(subscriber, "UNLIMITED_ASSET", 1) == [payload]


def test_only_the_types_of_the_last_subscription_are_told(admin: Admin, subscriber: Subscriber) -> None:
    """Section 4: a set replaces the one before."""
    api = admin.library()
    subscribe(api, subscriber, "ASSET_COUNT", "ASSET_MANAGEMENT")
    api.post("client/config", {"notificationTypes": ["ASSET_COUNT"]})
    api.associate(serials(1))
    admin.tell("POST", f"/libraries/{api.uid}/purchases", {"adam_id": APP["adamId"], "count": 1})
    told(subscriber, "ASSET_COUNT", 1)
    assert subscriber.of("ASSET_MANAGEMENT") == []


def test_a_notification_is_tried_three_times_with_one_id(admin: Admin, subscriber: Subscriber) -> None:
    """Section 10: a 2xx ends it, and the third failure."""
    api = admin.library()
    subscribe(api, subscriber, "ASSET_MANAGEMENT")
    subscriber.statuses.extend([500, 404, 302, 500])
    api.associate(serials(1))
    told(subscriber, "ASSET_MANAGEMENT", 3)
    time.sleep(SETTLE_SECONDS)
    assert len({row["notificationId"] for row in subscriber.of("ASSET_MANAGEMENT")}) == 1
    assert len(subscriber.of("ASSET_MANAGEMENT")) == 3


def test_notifications_may_be_lost(admin: Admin, subscriber: Subscriber) -> None:
    """Section 10: best effort."""
    api = admin.library()
    subscribe(api, subscriber, "ASSET_MANAGEMENT")
    admin.turn(notification_loss=1)
    assert api.associate(serials(1))["eventStatus"] == "COMPLETE"
    time.sleep(SETTLE_SECONDS)
    assert subscriber.of("ASSET_MANAGEMENT") == []


def test_notifications_may_come_twice_with_one_id(admin: Admin, subscriber: Subscriber) -> None:
    """Section 10: duplicates included."""
    api = admin.library()
    subscribe(api, subscriber, "ASSET_MANAGEMENT")
    admin.turn(notification_doubling=1)
    api.associate(serials(1))
    told(subscriber, "ASSET_MANAGEMENT", 2)
    assert len({row["notificationId"] for row in subscriber.of("ASSET_MANAGEMENT")}) == 1


def test_notifications_may_come_late_and_out_of_order(admin: Admin, subscriber: Subscriber) -> None:
    """Section 10: no order is promised."""
    api = admin.library({"adam_id": APP["adamId"], "total": 3000})
    subscribe(api, subscriber, "ASSET_MANAGEMENT")
    admin.turn(notification_delay_seconds=0.2, notification_disorder_seconds=2)
    begin = time.monotonic()
    for part in range(10):
        api.associate([f"{part}"])
    portions = told(subscriber, "ASSET_MANAGEMENT", 10)
    assert time.monotonic() - begin >= 0.2
    order = [portion["assignments"][0]["serialNumber"] for portion in portions]
    assert sorted(order) == [str(part) for part in range(10)]
    assert order != sorted(order)
