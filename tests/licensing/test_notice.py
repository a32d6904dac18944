"""What a notification says, read leniently."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licensing.decide.notice import Notice, name, notification_id, read_notice

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["assignments", "serialNumber", "eventId"]) | st.text(), inner)
    ),
)


def _body(about: Any, kind: str = "ASSET_MANAGEMENT") -> bytes:
    return json.dumps(
        {"notificationId": "n", "notificationType": kind, "uId": "lib", "notification": about}
    ).encode()


def test_a_notification_says_what_it_is_called() -> None:
    assert notification_id(_body({})) == "n"


def test_devices_and_people_are_told_of_alike() -> None:
    rows = [{"serialNumber": "S1"}, {"clientUserId": "u-1"}, {"adamId": "1"}, {"serialNumber": "S1"}]
    notice = read_notice(_body({"eventId": "e", "assignments": rows}))
    assert notice == Notice("ASSET_MANAGEMENT", "lib", "e", ["S1", "u-1", "S1"])


def test_people_are_told_of_as_users_too() -> None:
    notice = read_notice(_body({"eventId": "e", "users": [{"clientUserId": "u-1"}]}, "USER_MANAGEMENT"))
    assert notice == Notice("USER_MANAGEMENT", "lib", "e", ["u-1"])


def test_other_news_are_about_no_event() -> None:
    notice = read_notice(_body({"eventId": "e", "associatedUsers": []}, "USER_ASSOCIATED"))
    assert notice == Notice("USER_ASSOCIATED", "lib")


@pytest.mark.parametrize(("uid", "believed"), [("lib", True), (None, True), ("other", False), (5, False)])
def test_a_notice_may_name_no_library_but_ours(uid: object, believed: bool) -> None:  # noqa: FBT001 - a case
    notice = read_notice(json.dumps({"notificationId": "n", "notificationType": "X", "uId": uid}).encode())
    assert notice.believed_of("lib") is believed


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"[]", b"1", b'{"notificationId": "n"}', b'{"notificationType": "X"}', b"[" * 10**5],
)
def test_what_lacks_an_id_or_a_type_is_none(body: bytes) -> None:
    assert notification_id(body) is None


@given(ANYTHING)
def test_whatever_it_tells_of_it_can_be_stored(about: Any) -> None:
    notice = read_notice(_body(about))
    assert notice.event_id is None or name(notice.event_id)
    assert all(name(holder) == holder for holder in notice.holders)


@given(st.binary())
def test_no_bytes_do_harm(body: bytes) -> None:
    assert notification_id(body) is None
    assert read_notice(body).event_id is None
