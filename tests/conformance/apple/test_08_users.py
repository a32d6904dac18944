"""Users. Apple: "Managing users", "Associating an Apple Account with a VPP user"."""

from typing import Any

import pytest

from tests.conformance.apple.api import APP, BOOK, Admin, Api, Row


def failed(status: Row) -> list[int]:
    """Return the numbers that an event failed with."""
    return [failure["errorNumber"] for failure in status.get("failures", [])]


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ({}, 9720),
        ({"users": []}, 9720),
        ({"users": [{"clientUserId": str(n)} for n in range(101)]}, 9714),
        ({"users": [{"clientUserId": "a"}, {"clientUserId": "a"}]}, 9715),
        ({"users": [{"clientUserId": "a", "email": "no address"}]}, 9717),
        ({"users": [{"email": "a@example.com"}]}, 9602),
        ({"users": "all"}, 9602),
    ],
)
@pytest.mark.parametrize("verb", ["create", "update", "retire"])
def test_one_bad_element_refuses_the_whole_request(
    api: Api, verb: str, body: dict[str, Any], number: int
) -> None:
    """Section 8: 9720, 9714, 9715, 9717."""
    assert api.refused(f"users/{verb}", body) == (400, number)


def test_a_new_user_is_registered_and_invited(admin: Admin) -> None:
    """Section 8: created in an event; inviteCode while Registered, no idHash."""
    api = admin.library()
    status = api.manage("create", {"clientUserId": "anna", "email": "anna@school.example"})
    assert (status["eventStatus"], status["eventType"], status["numCompleted"]) == ("COMPLETE", "CREATE", 1)
    user = api.user("anna")
    assert (user["status"], user["email"]) == ("Registered", "anna@school.example")
    assert user["inviteCode"]
    assert "idHash" not in user


def test_a_managed_account_is_tied_at_once(admin: Admin) -> None:
    """Section 8: of the same organization, without an invitation."""
    api = admin.library(managed_accounts=["@school.example"])
    api.manage("create", {"clientUserId": "anna", "managedAppleId": "anna@school.example"})
    user = api.user("anna")
    assert user["status"] == "Associated"
    assert user["idHash"]
    assert "inviteCode" not in user


def test_an_account_of_another_organization_is_9635_and_there_is_no_user(admin: Admin) -> None:
    """Section 8: asynchronously."""
    api = admin.library(managed_accounts=["@school.example"])
    status = api.manage("create", {"clientUserId": "anna", "managedAppleId": "anna@elsewhere.example"})
    assert (status["eventStatus"], failed(status)) == ("FAILED", [9635])
    assert status["failures"][0]["errorInfo"] == {"clientUserIds": ["anna"]}
    assert api.get("users")["users"] == []


def test_one_account_is_active_under_one_user_only(admin: Admin) -> None:
    """Section 8: 9641, asynchronously; the others of the request are made."""
    api = admin.library()
    account = {"managedAppleId": "anna@example.com"}
    status = api.manage("create", {"clientUserId": "a", **account}, {"clientUserId": "b", **account})
    assert (status["numCompleted"], failed(status)) == (1, [9641])
    assert api.user("a")["status"] == "Associated"


def test_an_active_user_is_not_made_twice(admin: Admin) -> None:
    """Section 8: 9716, asynchronously."""
    api = admin.library(users=["anna"])
    status = api.manage("create", {"clientUserId": "anna"}, {"clientUserId": "ben"})
    assert (status["eventStatus"], status["numCompleted"], failed(status)) == ("FAILED", 1, [9716])


@pytest.mark.parametrize("verb", ["update", "retire"])
def test_an_unknown_user_is_9609(admin: Admin, verb: str) -> None:
    """Section 12: asynchronously."""
    assert failed(admin.library().manage(verb, {"clientUserId": "nobody"})) == [9609]


def test_an_update_changes_what_it_names(admin: Admin) -> None:
    """Section 8: the address is a label; a managed account ties a user who is still Registered."""
    api = admin.library()
    api.manage("create", {"clientUserId": "anna", "email": "old@school.example"})
    api.manage("update", {"clientUserId": "anna", "email": "new@school.example"})
    api.manage("update", {"clientUserId": "anna", "managedAppleId": "anna@example.com"})
    user = api.user("anna")
    assert (user["email"], user["status"]) == ("new@school.example", "Associated")


def test_retiring_frees_what_can_come_back_and_a_book_stays_spent(admin: Admin) -> None:
    """Section 8: and total = available + assigned + retired."""
    api = admin.library(users=["anna"])
    api.give(["anna"], APP, BOOK)
    status = api.manage("retire", {"clientUserId": "anna"})
    assert (status["eventStatus"], status["eventType"]) == ("COMPLETE", "RETIRE")
    assert api.user("anna")["status"] == "Retired"
    assert api.counts(APP) == (10, 10, 0, 0)
    assert api.counts(BOOK) == (10, 9, 0, 1)


def test_books_of_retired_users_may_count_as_assigned(admin: Admin) -> None:
    """Section 26: what is in retiredCount is open."""
    admin.turn(retired_books="assigned")
    api = admin.library(users=["anna"])
    api.give(["anna"], BOOK)
    api.manage("retire", {"clientUserId": "anna"})
    assert api.counts(BOOK) == (10, 9, 1, 0)


def test_a_client_user_id_may_have_many_retired_records_and_one_active(admin: Admin) -> None:
    """Section 8: a retired record that had an account stays; the next one is new."""
    api = admin.library()
    for number in range(3):
        api.manage("create", {"clientUserId": "anna", "managedAppleId": f"anna{number}@example.com"})
        api.manage("retire", {"clientUserId": "anna"})
    api.manage("create", {"clientUserId": "anna"})
    records = api.get("users", clientUserId="anna")["users"]
    assert [record["status"] for record in records] == ["Retired"] * 3 + ["Registered"]


def test_a_retired_record_that_never_had_an_account_is_taken_up_again(admin: Admin) -> None:
    """Section 21: with a new invitation."""
    api = admin.library()
    api.manage("create", {"clientUserId": "anna"})
    code = api.user("anna")["inviteCode"]
    api.manage("retire", {"clientUserId": "anna"})
    api.manage("create", {"clientUserId": "anna"})
    (record,) = api.get("users", clientUserId="anna")["users"]
    assert record["status"] == "Registered"
    assert record["inviteCode"] != code


@pytest.mark.parametrize(
    ("answer", "states"),
    [("flip", ["Associated", "Retired"]), ("delete", ["Deleted", "Associated"])],
)
def test_who_comes_back_with_the_same_account_gets_the_old_record_back(
    admin: Admin, answer: str, states: list[str]
) -> None:
    """Sections 8, 21: the records flip, or the old one is Deleted."""
    admin.turn(same_account_again=answer)
    api = admin.library()
    api.manage("create", {"clientUserId": "anna"})
    assert admin.accept(api, "anna", "anna@mail.example").is_success
    api.manage("retire", {"clientUserId": "anna"})
    api.manage("create", {"clientUserId": "anna"})
    assert admin.accept(api, "anna", "anna@mail.example").is_success
    records = api.get("users", clientUserId="anna")["users"]
    assert [record["status"] for record in records] == states
    assert len({record.get("idHash") for record in records} - {None}) == 1


def test_who_lives_again_holds_the_books_it_kept(admin: Admin) -> None:
    """Section 21: the record is the same one."""
    api = admin.library()
    api.manage("create", {"clientUserId": "anna"})
    admin.accept(api, "anna", "anna@mail.example")
    api.give(["anna"], BOOK)
    api.manage("retire", {"clientUserId": "anna"})
    api.manage("create", {"clientUserId": "anna"})
    admin.accept(api, "anna", "anna@mail.example")
    assert api.counts(BOOK) == (10, 9, 1, 0)


def test_users_are_filtered(admin: Admin) -> None:
    """Section 8: clientUserId, activeOnly, retiredOnly."""
    api = admin.library(users=["anna", "ben"])
    api.manage("retire", {"clientUserId": "ben"})

    def found(**query: str) -> list[str]:
        return [row["clientUserId"] for row in api.get("users", **query)["users"]]

    assert found() == ["anna", "ben"]
    assert found(activeOnly="true") == ["anna"]
    assert found(retiredOnly="true") == ["ben"]
    assert found(clientUserId="ben") == ["ben"]
    assert found(clientUserId="nobody") == []


@pytest.mark.parametrize(("honored", "found"), [(False, ["anna", "ben"]), (True, ["anna"])])
def test_filters_that_are_not_documented_may_be_ignored(
    admin: Admin, *, honored: bool, found: list[str]
) -> None:
    """Section 8: managedAppleId and includeRetired."""
    admin.turn(undocumented_filters=honored)
    api = admin.library(users=["anna", "ben"])
    api.manage("retire", {"clientUserId": "ben"})
    assert [row["clientUserId"] for row in api.get("users", includeRetired="0")["users"]] == found
    rows = api.get("users", managedAppleId="anna@people.example")["users"]
    assert [row["clientUserId"] for row in rows] == found


def test_a_delta_lists_the_users_that_changed(admin: Admin) -> None:
    """Section 11: sinceVersionId."""
    api = admin.library(users=["anna", "ben"])
    version_id = api.get("users")["versionId"]
    assert api.get("users", sinceVersionId=version_id)["users"] == []
    api.manage("update", {"clientUserId": "ben", "email": "ben@school.example"})
    (row,) = api.get("users", sinceVersionId=version_id)["users"]
    assert row["email"] == "ben@school.example"
    assert api.get("users", sinceVersionId="nonsense")["errorNumber"] == 9721


def test_a_license_needs_an_active_user(admin: Admin) -> None:
    """Section 8: retired is as good as unknown, 9609."""
    api = admin.library(users=["anna"])
    api.manage("retire", {"clientUserId": "anna"})
    assert api.refused("assets/associate", {"assets": [APP], "clientUserIds": ["anna"]}) == (400, 9609)
