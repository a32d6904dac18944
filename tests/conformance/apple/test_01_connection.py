"""Connection, authentication, common fields. Apple: "Getting started with the management API"."""

import base64
import json
from collections.abc import Callable

import httpx2
import pytest

from tests.conformance.apple.api import APP, Admin, Api, serials


def test_the_token_is_base64_text_of_its_secret_its_expiry_and_its_organization(admin: Admin) -> None:
    """Section 1: three fields, the expiry with a numeric offset without colon."""
    content = json.loads(base64.b64decode(admin.library(organization="École").token))
    assert set(content) == {"token", "expDate", "orgName"}
    assert content["orgName"] == "École"
    assert content["expDate"].endswith("+0000")


def test_the_inner_secret_is_no_token(api: Api) -> None:
    """Section 1: the outer Base64 text is the bearer, whole; anything else is 9622, with 401 or even 200."""
    api.token = json.loads(base64.b64decode(api.token))["token"]
    answer = api.ask("GET", "assets")
    assert (answer.status_code in {200, 401}, answer.json()["errorNumber"]) == (True, 9622)


@pytest.mark.parametrize("status", [200, 401])
def test_an_invalid_token_is_9622_with_either_status(admin: Admin, http: httpx2.Client, status: int) -> None:
    """Section 1: both have been seen."""
    admin.turn(invalid_token_status=status)
    answer = Api(http, "nonsense").ask("GET", "assets")
    assert (answer.status_code, answer.json()["errorNumber"]) == (status, 9622)


@pytest.mark.parametrize(
    ("headers", "number"),
    [
        ({}, 9601),
        ({"Authorization": "Basic YTpi"}, 9722),
        ({"Authorization": "Bearer"}, 9722),
        ({"Authorization": "Bearer a b"}, 9722),
    ],
)
def test_a_header_that_is_missing_or_malformed_is_said_so(
    http: httpx2.Client, headers: dict[str, str], number: int
) -> None:
    """Section 12: 9601 login required, 9722 malformed Authorization header."""
    answer = http.get("assets", headers=headers)
    assert (answer.status_code, answer.json()["errorNumber"]) == (401, number)


def test_a_wrong_method_is_9726_and_names_the_right_ones(api: Api, http: httpx2.Client) -> None:
    """Section 12: 405."""
    answer = api.ask("GET", "assets/associate")
    assert (answer.status_code, answer.json()["errorNumber"]) == (405, 9726)
    assert http.post("service/config").json()["errorNumber"] == 9726


def test_a_wrong_content_type_is_9727(api: Api) -> None:
    """Section 1: application/json on every POST with a body, else 415."""
    answer = api.ask("POST", "assets/associate", content="{}", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["errorNumber"]) == (415, 9727)


@pytest.mark.parametrize("content_type", ["application/json", "application/json;charset=UTF8", None])
def test_content_types_of_clients_in_the_field_are_taken(api: Api, content_type: str | None) -> None:
    """Section 1: with a character set too; one that is not named at all has passed."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = api.ask("POST", "assets/associate", content=b'{"assets": []}', headers=headers)
    assert answer.json()["errorNumber"] == 9718


@pytest.mark.parametrize("text", [b"{", b"", b"\xff", b'"text"', b"[]", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_9602(api: Api, text: bytes) -> None:
    """Section 12: invalid argument."""
    headers = {"Content-Type": "application/json"}
    answer = api.ask("POST", "assets/associate", content=text, headers=headers)
    assert (answer.status_code, answer.json()["errorNumber"]) == (400, 9602)


def test_every_answer_to_a_token_names_the_library(admin: Admin) -> None:
    """Section 2: uId and tokenExpirationDate, and mdmInfo once somebody has set it."""
    api = admin.library()
    mdm_info = {"id": "b6f2", "name": "Managed Distribution", "metadata": "https://mdm.example"}
    assert "mdmInfo" not in api.get("assets")
    api.post("client/config", {"mdmInfo": mdm_info})
    event = api.post("assets/associate", {"assets": [APP], "serialNumbers": serials(1)})
    looks: list[Callable[[], dict[str, object]]] = [
        lambda: event,
        lambda: api.get("client/config"),
        lambda: api.get("assets"),
        lambda: api.get("assignments"),
        lambda: api.get("users"),
        lambda: api.get("status", eventId=event["eventId"]),
    ]
    for look in looks:
        answer = look()
        assert (answer["uId"], answer["mdmInfo"]) == (api.uid, mdm_info)
        assert str(answer["tokenExpirationDate"]).endswith("+0000")


def test_two_tokens_of_one_library_share_its_uid_and_its_counts(admin: Admin) -> None:
    """Section 2: the uId, never the token, is the key of a pool."""
    first = admin.library()
    second = admin.token(first)
    assert first.token != second.token
    first.associate(serials(2))
    assert second.counts() == (10, 8, 2, 0)
    assert second.get("assets")["uId"] == first.uid


def test_a_token_that_may_only_read_lists_and_is_refused_every_write(admin: Admin) -> None:
    """Section 1: it carries the rights of the account that downloaded it; 9637 with 403."""
    api = admin.token(admin.library(), rights="read")
    for path in ("assets", "assignments", "users"):
        assert path in api.get(path)
    assert api.refused("assets/associate", {"assets": [APP], "serialNumbers": ["A"]}) == (403, 9637)


def test_a_legacy_token_is_refused(admin: Admin) -> None:
    """Section 12: 9647 with 403."""
    answer = admin.token(admin.library(), rights="legacy").ask("GET", "assets")
    assert (answer.status_code, answer.json()["errorNumber"]) == (403, 9647)


@pytest.mark.parametrize("path", ["assets/", "/assets", "//assets/"])
def test_slashes_around_a_path_are_no_part_of_it(admin: Admin, path: str) -> None:
    """Section 3: clients join paths to their base in their own ways."""
    api = admin.library()
    assert "assets" in api.http.get(f"{api.http.base_url}{path}", headers=bearer(api)).json()


def bearer(api: Api) -> dict[str, str]:
    return {"Authorization": f"Bearer {api.token}"}
