"""Faults on command, each as a client sees it."""

import time

import pytest

from tests.local.apple.apple_client import AppleBox, Library, app_of


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


async def test_a_body_may_be_garbage(apple: AppleBox, library: Library) -> None:
    await apple.fault("assets", answer="garbage")
    response = await library.ask("GET", "assets")
    assert response.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        response.json()


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
