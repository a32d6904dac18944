"""Associate, disassociate and status: what is refused at once, and what becomes of the rest."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.local.apple.apple_client import APP, BOOK, AppleBox, app_of, book_of, serials

OTHER = {"adamId": "1", "pricingParam": "STDQ"}


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ({"serialNumbers": ["A"]}, 9718),
        ({"assets": [], "serialNumbers": ["A"]}, 9718),
        ({"assets": [APP]}, 9719),
        ({"assets": [APP], "serialNumbers": []}, 9719),
        ({"assets": [{"adamId": str(number)} for number in range(26)], "serialNumbers": ["A"]}, 9700),
        ({"assets": [APP], "clientUserIds": serials(1001)}, 9701),
        ({"assets": [APP], "serialNumbers": serials(1001)}, 9702),
        ({"assets": [APP, {"adamId": APP["adamId"]}], "serialNumbers": ["A"]}, 9703),
        ({"assets": [APP], "clientUserIds": ["anna", "anna"]}, 9704),
        ({"assets": [APP], "serialNumbers": ["A", "B", "A"]}, 9705),
        ({"assets": [BOOK], "serialNumbers": ["A"]}, 9707),
        ({"assets": [APP], "clientUserIds": ["nobody"]}, 9609),
        ({"assets": [{"adamId": "unheard of"}], "serialNumbers": ["A"]}, 9602),
        ({"assets": [{"adamId": 361285480}], "serialNumbers": ["A"]}, 9602),
        ({"assets": [{**APP, "pricingParam": "BEST"}], "serialNumbers": ["A"]}, 9602),
        ({"assets": [{**APP, "pricingParam": ["STDQ"]}], "serialNumbers": ["A"]}, 9602),
        ({"assets": "all", "serialNumbers": ["A"]}, 9602),
        ({"assets": [APP], "serialNumbers": [7]}, 9602),
        ({"assets": [APP], "serialNumbers": "A"}, 9602),
        ([], 9602),
    ],
)
async def test_one_bad_element_refuses_the_whole_request(apple: AppleBox, body: Any, number: int) -> None:
    library = await apple.library(app_of(10), book_of(10), users=["anna"])
    response = await library.ask("POST", "assets/associate", json=body)
    assert (response.status_code, response.json()["errorNumber"]) == (400, number)
    assert await library.counts() == (10, 10, 0)
    assert (await apple.state())["events"] == []


async def test_a_refusal_names_the_offenders(apple: AppleBox) -> None:
    library = await apple.library(app_of(10), book_of(10))
    twice = await library.post("assets/associate", {"assets": [APP], "serialNumbers": ["A", "B", "A"]})
    assert twice["errorInfo"] == {"serialNumbers": ["A"]}
    book = await library.post("assets/associate", {"assets": [APP, BOOK], "serialNumbers": ["A"]})
    assert book["errorInfo"] == {"assets": [BOOK]}


async def test_a_book_in_a_disassociate_refuses_the_whole_request(apple: AppleBox) -> None:
    library = await apple.library(app_of(10), book_of(10), users=["anna"])
    body = {"assets": [APP, BOOK], "clientUserIds": ["anna"]}
    await library.outcome((await library.post("assets/associate", body))["eventId"])
    assert (await library.post("assets/disassociate", body))["errorNumber"] == 9706
    assert await library.counts() == (10, 9, 1)


@pytest.mark.parametrize("text", [b"{", b"", b"\xff", b'"text"', b"[" * 100_000])
async def test_a_body_that_is_no_json_object_is_an_invalid_argument(apple: AppleBox, text: bytes) -> None:
    library = await apple.library(app_of(1))
    headers = {"Authorization": f"Bearer {library.token}", "Content-Type": "application/json"}
    response = await apple.client.post("assets/associate", content=text, headers=headers)
    assert (response.status_code, response.json()["errorNumber"]) == (400, 9602)


async def test_a_write_is_queued_and_counts_move_when_it_is_worked(apple: AppleBox) -> None:
    library = await apple.library(app_of(10))
    await apple.turn(hold_events=True)
    event_id = await library.associate(serials(4))
    status = await library.get("status", eventId=event_id)
    assert (status["eventStatus"], status["numCompleted"], status["numRequested"]) == ("PENDING", 0, 4)
    assert await library.counts() == (10, 10, 0)
    await apple.turn(hold_events=False)
    status = await library.outcome(event_id)
    assert (status["eventStatus"], status["numCompleted"], status["numRequested"]) == ("COMPLETE", 4, 4)
    assert status["eventType"] == "ASSOCIATE"
    assert "failures" not in status
    assert await library.counts() == (10, 6, 4)


async def test_the_work_is_the_cross_product_of_assets_and_targets(apple: AppleBox) -> None:
    library = await apple.library(app_of(10), app_of(10, "1"), users=["u1", "u2", "u3", "u4"])
    users = ["u1", "u2", "u3", "u4"]
    body = {"assets": [APP, OTHER], "clientUserIds": users, "serialNumbers": serials(4)}
    status = await library.outcome((await library.post("assets/associate", body))["eventId"])
    assert (status["numRequested"], status["numCompleted"]) == (16, 16)
    assert await library.counts() == await library.counts(OTHER) == (10, 2, 8)


async def test_the_pricing_parameter_may_be_left_out_for_the_standard_quality(apple: AppleBox) -> None:
    library = await apple.library(app_of(10))
    await library.outcome(await library.associate(serials(1), {"adamId": APP["adamId"]}))
    assert await library.counts() == (10, 9, 1)


async def test_without_enough_licenses_the_first_come_are_served(apple: AppleBox) -> None:
    library = await apple.library(app_of(3), app_of(10, "1"))
    status = await library.outcome(await library.associate(serials(5), APP, OTHER))
    assert (status["eventStatus"], status["numCompleted"], status["numRequested"]) == ("FAILED", 8, 10)
    (failure,) = status["failures"]
    assert failure["errorNumber"] == 9709
    assert failure["errorInfo"] == {"assets": [APP], "serialNumbers": serials(2, start=3)}
    rows = (await library.get("assignments", adamId=APP["adamId"]))["assignments"]
    assert [row["serialNumber"] for row in rows] == serials(3)
    assert await library.counts() == (3, 0, 3)


async def test_a_repeated_association_costs_nothing(apple: AppleBox) -> None:
    library = await apple.library(app_of(3))
    await library.outcome(await library.associate(serials(3)))
    status = await library.outcome(await library.associate(serials(3)))
    assert (status["eventStatus"], status["numCompleted"]) == ("COMPLETE", 3)
    assert await library.counts() == (3, 0, 3)


async def test_disassociating_gives_licenses_back_and_what_was_not_held_is_no_failure(
    apple: AppleBox,
) -> None:
    library = await apple.library(app_of(3))
    await library.outcome(await library.associate(serials(3)))
    status = await library.outcome(await library.disassociate(serials(4, start=1)))
    assert (status["eventStatus"], status["eventType"], status["numCompleted"]) == (
        "COMPLETE",
        "DISASSOCIATE",
        4,
    )
    assert await library.counts() == (3, 2, 1)


@pytest.mark.parametrize("serial", ["nonsense", "a\x00b", "\ud800", "é" * 300])
async def test_any_text_is_taken_for_a_serial_number_and_charged(apple: AppleBox, serial: str) -> None:
    library = await apple.library(app_of(3))
    await library.outcome(await library.associate([serial]))
    assert (await library.get("assignments"))["assignments"][0]["serialNumber"] == serial
    assert await library.counts() == (3, 2, 1)


async def test_a_device_and_its_user_hold_two_licenses(apple: AppleBox) -> None:
    library = await apple.library(app_of(3), users=["anna"])
    body = {"assets": [APP], "clientUserIds": ["anna"], "serialNumbers": ["A"]}
    await library.outcome((await library.post("assets/associate", body))["eventId"])
    assert await library.counts() == (3, 1, 2)


async def test_an_unknown_event_and_one_of_another_library_are_not_found(apple: AppleBox) -> None:
    library, other = await apple.library(app_of(3)), await apple.library(app_of(3))
    event_id = await library.associate(serials(1))
    for owner, asked in ((library, "unknown"), (other, event_id)):
        assert (await owner.get("status", eventId=asked))["errorNumber"] == 9708
    assert (await library.get("status"))["errorNumber"] == 9708


async def test_events_wait_for_their_delay_and_each_kind_may_have_its_own(apple: AppleBox) -> None:
    library = await apple.library(app_of(1))
    await apple.turn(disassociate_delay_seconds=0.3)
    await library.outcome(await library.associate(["A"]))
    back = await library.disassociate(["A"])
    status = await library.outcome(await library.associate(["B"]))
    assert (status["eventStatus"], status["failures"][0]["errorNumber"]) == ("FAILED", 9709)
    assert (await library.get("status", eventId=back))["eventStatus"] == "PENDING"
    assert (await library.outcome(back))["eventStatus"] == "COMPLETE"
    assert await library.counts() == (1, 1, 0)


async def test_progress_grows_task_by_task_and_counts_add_up_at_every_instant(apple: AppleBox) -> None:
    library = await apple.library(app_of(50))
    await apple.turn(task_seconds=0.01)
    event_id = await library.associate(serials(30))
    seen: list[int] = []
    while not seen or seen[-1] < 30:
        await library.counts()
        seen.append((await library.get("status", eventId=event_id))["numCompleted"])
        await asyncio.sleep(0.01)
    assert seen == sorted(seen)
    assert len(set(seen)) > 5


async def test_competing_writes_never_give_more_than_is_owned(apple: AppleBox) -> None:
    library = await apple.library(app_of(500))
    events = [await library.associate(serials(200, start=150 * part)) for part in range(5)]
    back = await library.disassociate(serials(50))
    outcomes = [await library.outcome(event_id) for event_id in (*events, back)]
    total, available, assigned = await library.counts()
    assert total == available + assigned == 500
    assert sum(status["eventStatus"] == "FAILED" for status in outcomes) == 2
    assert assigned == len((await library.get("assignments"))["assignments"])


async def test_an_event_goes_on_when_the_client_never_heard_of_it(apple: AppleBox) -> None:
    library = await apple.library(app_of(3))
    await apple.fault("assets/associate", answer="nothing", accepted=True)
    with pytest.raises(httpx2.RemoteProtocolError):
        await library.associate(serials(2))
    (event,) = (await apple.state())["events"]
    await library.outcome(event["eventId"])
    assert await library.counts() == (3, 1, 2)
