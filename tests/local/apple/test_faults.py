"""Faults on command, each as a client sees it."""

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2
import pytest

from tests.local.apple.apple_client import APP, AppleBox, Library, app_of, serials

BODY = {"assets": [APP], "serialNumbers": serials(2)}


@pytest.fixture
async def library(apple: AppleBox) -> Library:
    return await apple.library(app_of(5))


async def test_an_error_with_its_status_hits_the_next_requests_and_no_more(
    apple: AppleBox, library: Library
) -> None:
    await apple.fault("assets", answer="error", status=500, error_number=9603, times=2)
    statuses = [(await library.ask("GET", "assets")).status_code for _ in range(3)]
    assert statuses == [500, 500, 200]


async def test_a_fault_may_wait_for_its_turn(apple: AppleBox, library: Library) -> None:
    await apple.fault("assets", answer="error", status=500, skip=1)
    statuses = [(await library.ask("GET", "assets")).status_code for _ in range(3)]
    assert statuses == [200, 500, 200]


async def test_an_error_body_may_come_with_http_200(apple: AppleBox, library: Library) -> None:
    await apple.fault("assets/associate", answer="error", status=200, error_number=9622)
    response = await library.ask("POST", "assets/associate", json=BODY)
    assert (response.status_code, response.json()["errorNumber"]) == (200, 9622)
    assert await library.counts() == (5, 5, 0)


async def test_retry_after_comes_in_seconds_or_as_a_date(apple: AppleBox, library: Library) -> None:
    fault = {"answer": "error", "status": 503, "error_number": 9729, "retry_after_seconds": 7}
    await apple.fault("assets", **fault)
    await apple.fault("assets", **fault, retry_after_form="date")
    assert (await library.ask("GET", "assets")).headers["retry-after"] == "7"
    moment = parsedate_to_datetime((await library.ask("GET", "assets")).headers["retry-after"])
    assert 5 <= (moment - datetime.now(UTC)).total_seconds() <= 7


async def test_a_body_may_be_garbage(apple: AppleBox, library: Library) -> None:
    await apple.fault("assets", answer="garbage")
    response = await library.ask("GET", "assets")
    assert response.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        response.json()


async def test_a_body_may_be_cut_after_the_work_was_accepted(apple: AppleBox, library: Library) -> None:
    await apple.fault("assets/associate", answer="truncated", accepted=True)
    response = await library.ask("POST", "assets/associate", json=BODY)
    assert response.text.startswith('{"eventId"')
    with pytest.raises(ValueError, match="Unterminated string"):
        response.json()
    (event,) = (await apple.state())["events"]
    assert event["numRequested"] == 2


async def test_a_connection_may_close_before_the_work_was_accepted(apple: AppleBox, library: Library) -> None:
    await apple.fault("assets/associate", answer="nothing")
    with pytest.raises(httpx2.RemoteProtocolError):
        await library.ask("POST", "assets/associate", json=BODY)
    assert (await apple.state())["events"] == []


async def test_a_request_may_time_out_after_the_work_was_accepted(apple: AppleBox, library: Library) -> None:
    await apple.fault("assets/associate", answer="nothing", accepted=True, seconds=20)
    with pytest.raises(httpx2.ReadTimeout):
        await library.ask("POST", "assets/associate", json=BODY, timeout=0.1)
    (event,) = (await apple.state())["events"]
    assert (await library.outcome(event["eventId"]))["eventStatus"] == "COMPLETE"


async def test_an_honest_answer_may_be_slow(apple: AppleBox, library: Library) -> None:
    await apple.fault("assets", answer="honest", seconds=0.2)
    begin = time.monotonic()
    assert "assets" in await library.get("assets")
    assert time.monotonic() - begin >= 0.2


async def test_a_fault_may_be_meant_for_one_library_and_for_every_path(
    apple: AppleBox, library: Library
) -> None:
    other = await apple.library()
    await apple.fault("*", answer="error", status=401, error_number=9625, uid=library.uid)
    assert (await other.ask("GET", "assets")).status_code == 200
    assert (await library.get("client/config"))["errorNumber"] == 9625


async def test_service_config_can_fail_too(apple: AppleBox) -> None:
    await apple.fault("service/config", answer="error", status=503, error_number=9729)
    assert (await apple.client.get("service/config")).status_code == 503


async def test_clearing_the_script_makes_all_honest(apple: AppleBox, library: Library) -> None:
    await apple.fault("assets", answer="garbage", times=99)
    assert (await apple.state())["faults"] == [{"path": "assets", "answer": "garbage", "times": 99}]
    await apple.tell("DELETE", "/faults")
    assert "assets" in await library.get("assets")


async def test_a_misspelt_fault_is_refused_by_the_admin_door(apple: AppleBox) -> None:
    response = await apple.admin.post("/faults", json=[{"path": "assets", "answer": "error", "tims": 2}])
    assert response.status_code == 422
