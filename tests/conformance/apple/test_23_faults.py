"""Faults on command: what a client has to stand, each as it looks on the wire. Apple: "Handling error responses"."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx2
import pytest

from tests.conformance.apple.api import APP, Admin, Api, serials

BODY = {"assets": [APP], "serialNumbers": serials(2)}


def statuses(api: Api, times: int) -> list[int]:
    return [api.ask("GET", "assets").status_code for _ in range(times)]


def test_retry_after_comes_in_seconds_or_as_a_date(admin: Admin) -> None:
    """Section 12: obey it on any status."""
    api = admin.library()
    fault = {"answer": "error", "status": 503, "error_number": 9729, "retry_after_seconds": 7}
    admin.fault("assets", **fault)
    admin.fault("assets", **fault, retry_after_form="date")
    assert api.ask("GET", "assets").headers["retry-after"] == "7"
    before = datetime.now(UTC).replace(microsecond=0)  # the header knows no smaller part of a second
    moment = parsedate_to_datetime(api.ask("GET", "assets").headers["retry-after"])
    assert before <= moment - timedelta(seconds=7) <= datetime.now(UTC)


def test_a_service_that_moved_is_found_by_who_connects_anew(admin: Admin, http: httpx2.Client) -> None:
    """Section 12: 9729, a new connection and fresh DNS."""
    api = admin.library()
    assert statuses(api, 1) == [200]
    time.sleep(0.01)
    admin.fault("assets", answer="error", status=503, error_number=9729, old_connections=True, times=99)
    assert statuses(api, 2) == [503, 503]
    answer = api.ask("GET", "service/config", headers={"Connection": "close"})
    assert answer.status_code == 200
    assert statuses(api, 2) == [200, 200]


def test_a_body_may_be_cut_after_the_work_was_accepted(admin: Admin) -> None:
    """Section 23: the eventId is lost, the work is done."""
    api = admin.library()
    admin.fault("assets/associate", answer="truncated", accepted=True)
    answer = api.ask("POST", "assets/associate", json=BODY)
    assert answer.text.startswith('{"eventId"')
    with pytest.raises(ValueError, match="Unterminated string"):
        answer.json()
    api.associate(["LATER"])
    assert api.counts() == (10, 7, 3, 0)


def test_a_request_may_time_out_after_the_work_was_accepted(admin: Admin) -> None:
    """Section 23: no answer at all, the work is done."""
    api = admin.library()
    admin.fault("assets/associate", answer="nothing", accepted=True, seconds=20)
    with pytest.raises(httpx2.ReadTimeout):
        api.ask("POST", "assets/associate", json=BODY, timeout=httpx2.Timeout(10, read=0.5))
    api.associate(["LATER"])
    assert api.counts() == (10, 7, 3, 0)


def test_a_connection_may_close_before_the_work_was_accepted(admin: Admin) -> None:
    """Section 23: no answer at all, and nothing done."""
    api = admin.library()
    admin.fault("assets/associate", answer="nothing")
    with pytest.raises(httpx2.RemoteProtocolError):
        api.ask("POST", "assets/associate", json=BODY)
    assert api.counts() == (10, 10, 0, 0)


def test_a_body_may_drip(admin: Admin) -> None:
    """Section 23: the head at once, the rest in its own time."""
    api = admin.library()
    admin.fault("assets", answer="slow_body", seconds=3)
    begin = time.monotonic()
    headers = {"Authorization": f"Bearer {api.token}"}
    with api.http.stream("GET", "assets", headers=headers) as answer:
        assert time.monotonic() - begin < 2
        assert len(answer.read()) == int(answer.headers["content-length"])
    assert time.monotonic() - begin >= 3


def test_an_error_body_may_come_with_http_200(admin: Admin) -> None:
    """Section 2: the body says it before the status does."""
    api = admin.library()
    admin.fault("assets/associate", answer="error", status=200, error_number=9622)
    assert api.refused("assets/associate", BODY) == (200, 9622)
    assert api.counts() == (10, 10, 0, 0)
