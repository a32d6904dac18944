"""Who holds what. Apple: "Get Assignments"."""

import pytest

from tests.conformance.apple.api import APP, BOOK, OTHER, Admin, Api, Row, serials


def given(admin: Admin) -> Api:
    """Two apps on two devices, a book and an app for a user."""
    api = admin.library(users=["anna", "ben"])
    api.associate(serials(2), APP, OTHER)
    api.give(["anna"], BOOK, APP)
    return api


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({}, 6),
        ({"adamId": APP["adamId"]}, 3),
        ({"pricingParam": "PLUS"}, 1),
        ({"serialNumber": serials(1)[0]}, 2),
        ({"serialNumber": serials(1)[0], "adamId": APP["adamId"]}, 1),
        ({"serialNumber": "unknown"}, 0),
        ({"clientUserId": "anna"}, 2),
        ({"clientUserId": "anna", "serialNumber": serials(1)[0]}, 0),
    ],
)
def test_every_filter_leaves_over_what_it_says(admin: Admin, query: dict[str, str], count: int) -> None:
    """Section 6: asset, quality, user, device."""
    assert len(given(admin).get("assignments", **query)["assignments"]) == count


def test_a_row_names_a_device_or_a_user_never_both(admin: Admin) -> None:
    """Section 6: there are no license ids."""
    for row in given(admin).get("assignments")["assignments"]:
        assert set(row) in (
            {"adamId", "pricingParam", "serialNumber"},
            {"adamId", "pricingParam", "clientUserId"},
        )


def test_rows_tell_the_state_of_their_user_when_asked(admin: Admin) -> None:
    """Section 6: includeUserState adds userStatus and idHash to the rows of users."""
    api = given(admin)
    rows = api.get("assignments", includeUserState="true", adamId=APP["adamId"])["assignments"]
    told = {row.get("clientUserId"): (row.get("userStatus"), row.get("idHash")) for row in rows}
    assert told == {None: (None, None), "anna": ("Associated", api.user("anna")["idHash"])}


@pytest.mark.parametrize("retired_books", ["retired", "assigned"])
def test_rows_of_retired_users_are_left_out_when_asked(admin: Admin, retired_books: str) -> None:
    """Section 6: excludeInactiveUsers. A book stays with its user for ever, whichever count it is in."""
    admin.turn(retired_books=retired_books)
    api = given(admin)
    api.manage("retire", {"clientUserId": "anna"})
    (row,) = api.get("assignments", clientUserId="anna", includeUserState="true")["assignments"]
    assert (row["adamId"], row["userStatus"]) == (BOOK["adamId"], "Retired")
    assert api.get("assignments", clientUserId="anna", excludeInactiveUsers="true")["assignments"] == []


def changed_since(api: Api, version_id: str) -> list[Row]:
    return list(api.get("assignments", sinceVersionId=version_id)["assignments"])


def test_a_delta_lists_what_was_given_since(admin: Admin) -> None:
    """Section 11: without rows it is no end marker, but an empty page."""
    api = given(admin)
    version_id = api.get("assignments")["versionId"]
    empty = api.get("assignments", sinceVersionId=version_id)
    assert (empty["assignments"], empty["totalPages"]) == ([], 1)
    api.associate(["NEW"], OTHER)
    assert changed_since(api, version_id) == [{**OTHER, "serialNumber": "NEW"}]


@pytest.mark.parametrize(("answer", "listed"), [("absent", 0), ("listed", 1)])
def test_how_removals_show_in_a_delta_is_open(admin: Admin, answer: str, listed: int) -> None:
    """Section 26: not at all, or as rows like any other."""
    admin.turn(removals_in_delta=answer)
    api = given(admin)
    version_id = api.get("assignments")["versionId"]
    api.disassociate(serials(1), APP)
    assert len(changed_since(api, version_id)) == listed


def test_a_version_that_was_never_told_is_9721(api: Api) -> None:
    """Section 12: fall back to a full read."""
    answer = api.ask("GET", "assignments", params={"sinceVersionId": "nonsense"})
    assert (answer.status_code, answer.json()["errorNumber"]) == (400, 9721)
