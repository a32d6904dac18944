"""Events followed to their end. Apple: "Event Status"."""

import time

import pytest

from tests.conformance.apple.api import APP, OTHER, Admin, Api, serials, wait_for


@pytest.mark.parametrize("query", [{"eventId": "unknown"}, {}])
def test_an_unknown_event_is_9708(api: Api, query: dict[str, str]) -> None:
    """Section 9: 400."""
    answer = api.ask("GET", "status", params=query)
    assert (answer.status_code, answer.json()["errorNumber"]) == (400, 9708)


def test_an_event_of_another_library_is_unknown(admin: Admin) -> None:
    """Section 9: 9708."""
    event = admin.library().post("assets/associate", {"assets": [APP], "serialNumbers": ["A"]})
    assert admin.library().get("status", eventId=event["eventId"])["errorNumber"] == 9708


def test_a_write_is_queued_and_counts_move_when_it_is_worked(admin: Admin) -> None:
    """Section 7: HTTP 200 means queued, nothing more."""
    api = admin.library()
    admin.turn(hold_events=True)
    event = api.post("assets/associate", {"assets": [APP], "serialNumbers": serials(4)})
    status = api.get("status", eventId=event["eventId"])
    assert (status["eventStatus"], status["numCompleted"], status["numRequested"]) == ("PENDING", 0, 4)
    assert api.counts() == (10, 10, 0, 0)
    admin.turn(hold_events=False)
    status = api.outcome(event)
    assert (status["eventStatus"], status["eventType"], status["numCompleted"]) == (
        "COMPLETE",
        "ASSOCIATE",
        4,
    )
    assert "failures" not in status
    assert api.counts() == (10, 6, 4, 0)


def test_the_work_is_the_cross_product_of_assets_and_targets(admin: Admin) -> None:
    """Section 7: two assets, four users and four devices are 16 tasks."""
    api = admin.library(users=["u1", "u2", "u3", "u4"])
    body = {
        "assets": [APP, OTHER],
        "clientUserIds": ["u1", "u2", "u3", "u4"],
        "serialNumbers": serials(4),
    }
    status = api.done("assets/associate", body)
    assert (status["numRequested"], status["numCompleted"]) == (16, 16)
    assert api.counts() == api.counts(OTHER) == (10, 2, 8, 0)


def test_progress_grows_task_by_task_and_counts_add_up_at_every_instant(admin: Admin) -> None:
    """Section 9: numCompleted."""
    api = admin.library({"adam_id": APP["adamId"], "total": 50})
    admin.turn(task_seconds=0.1)
    event = api.post("assets/associate", {"assets": [APP], "serialNumbers": serials(30)})
    seen: list[int] = []
    while not seen or seen[-1] < 30:
        total, available, assigned, retired = api.counts()
        assert total == available + assigned + retired
        seen.append(api.get("status", eventId=event["eventId"])["numCompleted"])
    assert seen == sorted(seen)
    assert len(set(seen)) > 5


def test_an_event_under_way_may_say_so(admin: Admin) -> None:
    """Section 9: Apple documents PENDING only; a client that waits has to stand another word for it."""
    api = admin.library()
    admin.turn(task_seconds=0.4, report_processing=True)
    event = api.post("assets/associate", {"assets": [APP], "serialNumbers": serials(5)})
    wait_for(lambda: api.get("status", eventId=event["eventId"])["eventStatus"] == "PROCESSING")
    assert api.outcome(event)["eventStatus"] == "COMPLETE"


def test_failed_means_finished_with_at_least_one_failure(admin: Admin) -> None:
    """Section 9: the others are done; failures are grouped by error."""
    api = admin.library({"adam_id": APP["adamId"], "total": 3})
    status = api.associate(serials(5))
    assert (status["eventStatus"], status["numCompleted"], status["numRequested"]) == ("FAILED", 3, 5)
    (failure,) = status["failures"]
    assert failure["errorNumber"] == 9709
    assert failure["errorInfo"] == {"assets": [APP], "serialNumbers": serials(2, start=3)}
    rows = api.get("assignments")["assignments"]
    assert [row["serialNumber"] for row in rows] == serials(3)


@pytest.mark.parametrize("number", [9603, 9644])
def test_tasks_fail_for_reasons_of_apples_own(admin: Admin, number: int) -> None:
    """Section 12: internal error and maintenance, in the event; only for those they name."""
    api = admin.library()
    admin.fault("assets/associate", answer="failed", error_number=number, targets=serials(1))
    status = api.associate(serials(3))
    assert (status["eventStatus"], status["numCompleted"]) == ("FAILED", 2)
    assert [failure["errorNumber"] for failure in status["failures"]] == [number]
    assert status["failures"][0]["errorInfo"]["serialNumbers"] == serials(1)


def test_an_event_may_be_stuck(admin: Admin) -> None:
    """Section 9: after ten minutes of PENDING the request is sent again."""
    api = admin.library()
    admin.fault("assets/associate", answer="stuck")
    event = api.post("assets/associate", {"assets": [APP], "serialNumbers": ["A"]})
    assert api.associate(["A"])["eventStatus"] == "COMPLETE"
    assert api.get("status", eventId=event["eventId"])["eventStatus"] == "PENDING"


def test_an_old_event_may_be_forgotten(admin: Admin) -> None:
    """Section 26: how long an eventId is known is open."""
    api = admin.library()
    event = api.post("assets/associate", {"assets": [APP], "serialNumbers": ["A"]})
    api.outcome(event)
    admin.turn(event_life_seconds=0.05)
    time.sleep(0.06)
    assert api.get("status", eventId=event["eventId"])["errorNumber"] == 9708
