"""Associate, disassociate, revoke: what is refused at once. Apple: "Managing assets"."""

from typing import Any

import pytest

from tests.conformance.apple.api import APP, BOOK, OTHER, Admin, Api, serials


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ({"serialNumbers": ["A"]}, 9718),
        ({"assets": [], "serialNumbers": ["A"]}, 9718),
        ({"assets": [APP]}, 9719),
        ({"assets": [APP], "serialNumbers": [], "clientUserIds": []}, 9719),
        ({"assets": [APP], "serialNumbers": None}, 9719),
        ({"assets": [{"adamId": str(number)} for number in range(26)], "serialNumbers": ["A"]}, 9700),
        ({"assets": [APP], "clientUserIds": serials(1001)}, 9701),
        ({"assets": [APP], "serialNumbers": serials(1001)}, 9702),
        ({"assets": [APP, APP], "serialNumbers": ["A"]}, 9703),
        ({"assets": [APP], "clientUserIds": ["anna", "anna"]}, 9704),
        ({"assets": [APP], "serialNumbers": ["A", "B", "A"]}, 9705),
        ({"assets": [{"adamId": "unheard of"}], "serialNumbers": ["A"]}, 9602),
        ({"assets": [{"adamId": 361285480}], "serialNumbers": ["A"]}, 9602),
        ({"assets": [{**APP, "pricingParam": "BEST"}], "serialNumbers": ["A"]}, 9602),
        ({"assets": [{**APP, "pricingParam": ["STDQ"]}], "serialNumbers": ["A"]}, 9602),
        ({"assets": "all", "serialNumbers": ["A"]}, 9602),
        ({"assets": [APP], "serialNumbers": [7]}, 9602),
        ({"assets": [APP], "serialNumbers": "A"}, 9602),
    ],
)
@pytest.mark.parametrize("path", ["assets/associate", "assets/disassociate"])
def test_one_bad_element_refuses_the_whole_request(
    api: Api, path: str, body: dict[str, Any], number: int
) -> None:
    """Section 7: checked before anything is queued."""
    assert api.refused(path, body) == (400, number)


def test_nothing_of_a_refused_request_is_done(admin: Admin) -> None:
    """Section 2: a synchronous error means that nothing at all was queued."""
    api = admin.library(users=["anna"])
    assert api.refused("assets/associate", {"assets": [APP, BOOK], "serialNumbers": ["A"]}) == (400, 9707)
    assert api.get("assignments")["assignments"] == []


def test_a_refusal_names_the_offenders(admin: Admin) -> None:
    """Section 2: errorInfo with assets, clientUserIds or serialNumbers."""
    api = admin.library(users=["anna"])
    twice = api.post("assets/associate", {"assets": [APP], "serialNumbers": ["A", "B", "A"]})
    assert twice["errorInfo"] == {"serialNumbers": ["A"]}
    book = api.post("assets/associate", {"assets": [APP, BOOK], "serialNumbers": ["A"]})
    assert (book["errorNumber"], book["errorInfo"]) == (9707, {"assets": [BOOK]})
    unknown = api.post("assets/associate", {"assets": [APP], "clientUserIds": ["anna", "nobody"]})
    assert (unknown["errorNumber"], unknown["errorInfo"]) == (9609, {"clientUserIds": ["nobody"]})


def test_a_book_in_a_disassociate_refuses_the_whole_request(admin: Admin) -> None:
    """Section 13: rule 1, error 9706."""
    api = admin.library(users=["anna"])
    api.give(["anna"], APP, BOOK)
    body = {"assets": [APP, BOOK], "clientUserIds": ["anna"]}
    assert api.refused("assets/disassociate", body) == (400, 9706)
    assert api.counts() == (10, 9, 1, 0)


def test_an_unknown_user_may_also_fail_in_the_event(admin: Admin) -> None:
    """Section 7: 9609 is in both of Apple's tables; the example of Apple's own: 14 of 16 done."""
    admin.turn(unknown_users="fail")
    api = admin.library(users=["u1", "u2", "u3"])
    body = {
        "assets": [APP, OTHER],
        "clientUserIds": ["u1", "u2", "u3", "nobody"],
        "serialNumbers": serials(4),
    }
    status = api.done("assets/associate", body)
    assert (status["eventStatus"], status["numRequested"], status["numCompleted"]) == ("FAILED", 16, 14)
    (failure,) = status["failures"]
    assert failure["errorNumber"] == 9609
    assert failure["errorInfo"]["clientUserIds"] == ["nobody"]


def test_the_quality_may_be_left_out_for_the_standard_one(admin: Admin) -> None:
    """Section 7: STDQ; fields that are not documented are ignored."""
    api = admin.library()
    api.associate(serials(1), {"adamId": APP["adamId"], "availableCount": 0})
    assert api.counts() == (10, 9, 1, 0)


@pytest.mark.parametrize("serial", ["nonsense", "a\x00b", "\ud800", "é" * 300])
def test_any_text_is_taken_for_a_serial_number_and_charged(admin: Admin, serial: str) -> None:
    """Section 7: serial numbers are not checked."""
    api = admin.library()
    assert api.associate([serial])["eventStatus"] == "COMPLETE"
    assert api.get("assignments")["assignments"][0]["serialNumber"] == serial
    assert api.counts() == (10, 9, 1, 0)


@pytest.mark.parametrize(("policy", "status"), [("silent", "COMPLETE"), ("fail", "FAILED")])
def test_who_holds_a_license_is_given_no_second_one(admin: Admin, policy: str, status: str) -> None:
    """Section 26: silently, or with 9616; never charged."""
    admin.turn(associate_again=policy)
    api = admin.library()
    api.associate(serials(2))
    again = api.associate(serials(3))
    assert (again["eventStatus"], api.counts()) == (status, (10, 7, 3, 0))
    assert [failure["errorNumber"] for failure in again.get("failures", [])] in ([], [9616])


@pytest.mark.parametrize(("policy", "status"), [("silent", "COMPLETE"), ("fail", "FAILED")])
def test_who_holds_none_loses_none(admin: Admin, policy: str, status: str) -> None:
    """Section 26: silently, or with 9619."""
    admin.turn(disassociate_missing=policy)
    api = admin.library()
    api.associate(serials(2))
    back = api.disassociate(serials(2, start=1))
    assert (back["eventStatus"], api.counts()) == (status, (10, 9, 1, 0))
    assert [failure["errorNumber"] for failure in back.get("failures", [])] in ([], [9619])


@pytest.mark.parametrize(
    ("policy", "completed", "counts"), [("first_come", 8, (3, 0, 3, 0)), ("all_or_nothing", 5, (3, 3, 0, 0))]
)
def test_without_enough_licenses_some_or_none_are_given(
    admin: Admin, policy: str, completed: int, counts: tuple[int, ...]
) -> None:
    """Section 26: 9709 per asset, first come first served or not at all; the other asset is given."""
    admin.turn(shortage=policy)
    api = admin.library({"adam_id": APP["adamId"], "total": 3}, {"adam_id": OTHER["adamId"], "total": 9})
    status = api.associate(serials(5), APP, OTHER)
    assert (status["eventStatus"], status["numRequested"]) == ("FAILED", 10)
    assert status["numCompleted"] == completed
    assert [failure["errorNumber"] for failure in status["failures"]] == [9709]
    assert api.counts() == counts
    assert api.counts(OTHER) == (9, 4, 5, 0)


@pytest.mark.parametrize(
    ("answer", "info"),
    [
        ("targets", {"assets": [APP], "serialNumbers": ["B"]}),
        ("assets", {"assets": [APP]}),
    ],
)
def test_what_a_shortage_names_is_open(admin: Admin, answer: str, info: dict[str, Any]) -> None:
    """Section 26: the errorInfo of 9709."""
    admin.turn(shortage_names=answer)
    api = admin.library({"adam_id": APP["adamId"], "total": 1})
    (failure,) = api.associate(["A", "B"])["failures"]
    assert failure["errorInfo"] == info


@pytest.mark.parametrize(("policy", "status"), [("allow", "COMPLETE"), ("fail", "FAILED")])
def test_whether_a_registered_user_can_be_given_a_license_is_open(
    admin: Admin, policy: str, status: str
) -> None:
    """Section 26: before the invitation is accepted."""
    admin.turn(registered_users=policy)
    api = admin.library()
    api.manage("create", {"clientUserId": "new"})
    assert api.give(["new"])["eventStatus"] == status


def test_a_user_with_too_many_devices_may_be_refused(admin: Admin) -> None:
    """Section 26: the cap and its number are open; without one nobody is refused."""
    api = admin.library(users=["anna"])
    signed_in = {"client_user_id": "anna", "devices": 6}
    admin.tell("PUT", f"/libraries/{api.uid}/signed-in", signed_in)
    assert api.give(["anna"], OTHER)["eventStatus"] == "COMPLETE"
    admin.turn(user_device_cap=5, user_device_cap_error=9602)
    assert api.give(["anna"])["failures"][0]["errorNumber"] == 9602


def test_a_device_and_its_user_hold_two_licenses(admin: Admin) -> None:
    """Section 13: rule 4; users and serial numbers may be mixed in one request."""
    api = admin.library(users=["anna"])
    api.done("assets/associate", {"assets": [APP], "clientUserIds": ["anna"], "serialNumbers": ["A"]})
    assert api.counts() == (10, 8, 2, 0)


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ({}, 9719),
        ({"serialNumbers": serials(101)}, 9702),
        ({"clientUserIds": serials(101)}, 9701),
        ({"serialNumbers": ["A", "A"]}, 9705),
        ({"clientUserIds": ["u", "u"]}, 9704),
        ({"clientUserIds": ["nobody"]}, 9609),
    ],
)
def test_a_revoke_has_limits_of_its_own(api: Api, body: dict[str, Any], number: int) -> None:
    """Section 7: 100 each."""
    assert api.refused("assets/revoke", body) == (400, number)


def test_a_revoke_takes_all_that_can_be_taken(admin: Admin) -> None:
    """Section 7: all revocable assets of its targets; books are untouched."""
    api = admin.library(users=["anna"])
    api.associate(serials(2), APP, OTHER)
    api.give(["anna"], APP, BOOK)
    status = api.done("assets/revoke", {"serialNumbers": serials(1), "clientUserIds": ["anna"]})
    assert (status["eventStatus"], status["eventType"]) == ("COMPLETE", "REVOKE")
    assert (api.counts(APP), api.counts(OTHER), api.counts(BOOK)) == (
        (10, 9, 1, 0),
        (10, 9, 1, 0),
        (10, 9, 1, 0),
    )


def test_competing_writes_never_give_more_than_is_owned(admin: Admin) -> None:
    """Section 13: rule 6, counts move when a task is worked."""
    api = admin.library({"adam_id": APP["adamId"], "total": 500})
    admin.turn(task_seconds=0.0001)
    bodies = [{"assets": [APP], "serialNumbers": serials(200, start=150 * part)} for part in range(5)]
    events = [api.post("assets/associate", body) for body in bodies]
    while any(api.get("status", eventId=event["eventId"])["eventStatus"] == "PENDING" for event in events):
        total, available, assigned, _ = api.counts()
        assert total == available + assigned == 500
        assert assigned <= total
    assert api.counts() == (500, 0, 500, 0)
    assert len(api.rows("assignments")) == 500
