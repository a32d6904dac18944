"""Notifications: what is told, in which portions, with which secret, and how often it is tried."""

from pathlib import Path

from local.simulators.authority import Authority
from local.simulators.serving import Serving
from tests.local.apple.apple_client import APP, SECRET, AppleBox, Subscriber, app_of, eventually, serials


async def test_a_worked_event_is_told_in_portions_of_at_most_100(
    apple: AppleBox, subscriber: Subscriber
) -> None:
    library = await apple.library(app_of(300))
    await library.subscribe(subscriber, "ASSET_MANAGEMENT")
    event_id = await library.associate(serials(250))
    await eventually(lambda: len(subscriber.of("ASSET_MANAGEMENT")) == 3)
    portions = [row["notification"] for row in subscriber.of("ASSET_MANAGEMENT")]
    assert sorted(len(portion["assignments"]) for portion in portions) == [50, 100, 100]
    told = [row for portion in portions for row in portion["assignments"]]
    assert sorted(row["serialNumber"] for row in told) == serials(250)
    assert all(row["adamId"] == APP["adamId"] and row["pricingParam"] == "STDQ" for row in told)
    assert {(portion["type"], portion["result"], portion["eventId"]) for portion in portions} == {
        ("ASSOCIATE", "SUCCESS", event_id)
    }
    assert set(subscriber.tokens) == {f"Bearer {SECRET}"}
    assert len({row["notificationId"] for row in subscriber.received}) == len(subscriber.received)


async def test_a_partial_failure_is_told_as_a_success_and_a_failure(
    apple: AppleBox, subscriber: Subscriber
) -> None:
    library = await apple.library(app_of(2))
    await library.subscribe(subscriber, "ASSET_MANAGEMENT")
    await library.associate(serials(5))
    await eventually(lambda: len(subscriber.of("ASSET_MANAGEMENT")) == 2)
    by_result = {
        row["notification"]["result"]: row["notification"] for row in subscriber.of("ASSET_MANAGEMENT")
    }
    assert [row["serialNumber"] for row in by_result["SUCCESS"]["assignments"]] == serials(2)
    assert "error" not in by_result["SUCCESS"]
    assert [row["serialNumber"] for row in by_result["FAILURE"]["assignments"]] == serials(3, start=2)
    assert by_result["FAILURE"]["error"]["errorNumber"] == 9709


async def test_a_change_of_what_is_owned_is_told_as_a_delta(apple: AppleBox, subscriber: Subscriber) -> None:
    library = await apple.library(app_of(5))
    await library.subscribe(subscriber, "ASSET_COUNT")
    pair = {"adam_id": APP["adamId"]}
    await apple.tell("POST", f"/libraries/{library.uid}/purchases", {**pair, "count": 3})
    await apple.tell("POST", f"/libraries/{library.uid}/refunds", {**pair, "count": 2})
    await eventually(lambda: len(subscriber.of("ASSET_COUNT")) == 2)
    told = [row["notification"] for row in subscriber.of("ASSET_COUNT")]
    assert sorted(row["countDelta"] for row in told) == [-2, 3]
    assert all(row["adamId"] == APP["adamId"] for row in told)


async def test_only_the_types_of_the_last_subscription_are_told(
    apple: AppleBox, subscriber: Subscriber
) -> None:
    library = await apple.library(app_of(5))
    await library.subscribe(subscriber, "ASSET_COUNT", "ASSET_MANAGEMENT")
    await library.post("client/config", {"notificationTypes": ["ASSET_COUNT"]})
    await library.outcome(await library.associate(serials(1)))
    purchase = {"adam_id": APP["adamId"], "count": 3}
    await apple.tell("POST", f"/libraries/{library.uid}/purchases", purchase)
    await eventually(lambda: bool(subscriber.of("ASSET_COUNT")))
    assert subscriber.of("ASSET_MANAGEMENT") == []


async def test_a_notification_is_tried_three_times_with_one_id(
    apple: AppleBox, subscriber: Subscriber
) -> None:
    library = await apple.library(app_of(5))
    await library.subscribe(subscriber, "ASSET_MANAGEMENT")
    subscriber.statuses = [500, 404, 200]
    await library.associate(serials(1))
    await eventually(lambda: len(subscriber.of("ASSET_MANAGEMENT")) == 3)
    assert len({row["notificationId"] for row in subscriber.of("ASSET_MANAGEMENT")}) == 1


async def test_after_the_third_failure_a_notification_is_given_up(
    apple: AppleBox, subscriber: Subscriber
) -> None:
    library = await apple.library(app_of(5))
    await library.subscribe(subscriber, "ASSET_MANAGEMENT")
    subscriber.statuses = [500] * 9
    await library.associate(serials(1))
    counts = apple.simulator.world.notifications
    await eventually(lambda: counts["abandoned"] == 1)
    assert len(subscriber.of("ASSET_MANAGEMENT")) == 3


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
