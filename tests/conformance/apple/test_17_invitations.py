"""Invitations, as the invited see them. Apple: "Managing users"."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.conformance.apple.api import Admin, Api


@pytest.fixture
def clock(admin: Admin) -> Iterator[Admin]:
    """A service whose state, and with it the clock, is put back."""
    before = admin.tell("GET", "/dump")
    yield admin
    admin.tell("PUT", "/dump", before)


def link(http: httpx2.Client, api: Api, client_user_id: str) -> str:
    """Build the link as Apple says: the code in the place of a literal text."""
    template: str = http.get("service/config").json()["urls"]["invitationEmail"]
    return template.replace("%25inviteCode%25", api.user(client_user_id)["inviteCode"])


def test_whoever_opens_the_link_joins_with_any_account(admin: Admin, http: httpx2.Client) -> None:
    """Section 17: the address of the user is only a label; the link works once."""
    api = admin.library()
    api.manage("create", {"clientUserId": "anna", "email": "anna@school.example"})
    url = link(http, api, "anna")
    assert http.get(url).status_code == 200
    assert api.user("anna")["status"] == "Registered"
    assert http.post(url, data={"account": "stranger@mail.example"}).status_code == 200
    assert api.user("anna")["status"] == "Associated"
    assert http.post(url, data={"account": "anna@mail.example"}).status_code == 404


def test_one_account_cannot_join_as_two(admin: Admin) -> None:
    """Section 17: 9641; the second invitation stays open."""
    api = admin.library()
    api.manage("create", {"clientUserId": "anna"}, {"clientUserId": "ben"})
    assert admin.accept(api, "anna", "shared@mail.example").is_success
    assert admin.accept(api, "ben", "shared@mail.example").json()["errorNumber"] == 9641
    assert api.user("ben")["status"] == "Registered"


def test_one_person_joins_two_libraries_one_after_the_other(admin: Admin) -> None:
    """Section 17: each invitation is accepted separately; the idHash tells that it is one account."""
    hashes = set()
    for api in (admin.library(), admin.library()):
        api.manage("create", {"clientUserId": "anna"})
        assert admin.accept(api, "anna", "anna@mail.example").is_success
        hashes.add(api.user("anna")["idHash"])
    assert len(hashes) == 1


def test_an_account_whose_owner_has_not_agreed_to_the_terms_cannot_join(admin: Admin) -> None:
    """Section 17: 9642."""
    api = admin.library(accounts_without_terms=["new@mail.example"])
    api.manage("create", {"clientUserId": "anna"})
    assert admin.accept(api, "anna", "new@mail.example").json()["errorNumber"] == 9642


def test_an_invitation_of_a_retired_user_is_void(admin: Admin, http: httpx2.Client) -> None:
    """Section 17: wrong account or no more wanted: retire, create anew, send the new code."""
    api = admin.library()
    api.manage("create", {"clientUserId": "anna"})
    url = link(http, api, "anna")
    api.manage("retire", {"clientUserId": "anna"})
    assert http.post(url, data={"account": "anna@mail.example"}).status_code == 404


@pytest.mark.parametrize(("life", "status"), [(None, 200), (7, 404)])
def test_whether_an_invitation_expires_is_open(
    clock: Admin, http: httpx2.Client, life: int | None, status: int
) -> None:
    """Section 26: both answers."""
    clock.turn(invite_life_days=life)
    api = clock.library()
    api.manage("create", {"clientUserId": "anna"})
    url = link(http, api, "anna")
    clock.tell("POST", "/clock", {"days": 8})
    assert http.get(url).status_code == status
