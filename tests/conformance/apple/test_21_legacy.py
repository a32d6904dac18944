"""Version 1 as its clients in the field use it. Apple: "App and Book Management (Legacy)"."""

import json
from typing import Any

import httpx2
import pytest

from tests.conformance.apple.api import APP, BOOK, Admin, Api, Row, serials

MDM_INFO = {"id": "b6f2", "name": "Managed Distribution", "metadata": "https://mdm.example"}
CONTEXT = json.dumps({"hostname": "mdm.example", "guid": "b6f2"})


def call(api: Api, name: str, **said: Any) -> Row:
    """Post to the address under which version 1 stands, the token in the body."""
    url = api.http.base_url.join(f"/mdm/{name}")
    answer = api.http.post(url, json={"sToken": api.token, **said})
    assert answer.status_code == 200
    return dict(answer.json())


def manage(api: Api, **said: Any) -> Row:
    return call(api, "manageVPPLicensesByAdamIdSrv", adamIdStr=APP["adamId"], pricingParam="STDQ", **said)


@pytest.mark.parametrize(
    "path", ["/mdm/VPPServiceConfigSrv", "/WebObjects/MZFinance.woa/wa/VPPServiceConfigSrv"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_service_config_names_every_address(http: httpx2.Client, path: str, method: str) -> None:
    """Section 21: open, by GET and POST, at both of its addresses."""
    config = http.request(method, http.base_url.join(path)).json()
    assert config["status"] == 0
    assert config["registerUserSrvUrl"].endswith("/mdm/registerVPPUserSrv")
    assert config["maxBatchAssociateLicenseCount"] == 10
    assert "%25inviteCode%25" in config["invitationEmailUrl"]
    assert {code["errorNumber"] for code in config["errorCodes"]} >= {9600, 9616, 9619, 9622}


def test_a_user_is_registered_in_one_call_and_asked_for(admin: Admin) -> None:
    """Section 21: an active record is answered as it is."""
    api = admin.library()
    first = call(api, "registerVPPUserSrv", clientUserIdStr="anna", email="anna@school.example")
    user = first["user"]
    assert (first["status"], user["status"], first["uId"]) == (0, "Registered", api.uid)
    assert user["inviteCode"] in user["inviteUrl"]
    assert call(api, "registerVPPUserSrv", clientUserIdStr="anna")["user"] == user
    assert call(api, "getVPPUserSrv", userId=user["userId"])["user"] == user
    assert call(api, "getVPPUserSrv", clientUserIdStr="anna")["user"] == user
    assert api.user("anna")["inviteCode"] == user["inviteCode"]
    assert [row["userId"] for row in call(api, "getVPPUsersSrv")["users"]] == [user["userId"]]


def test_users_are_asked_for_with_or_without_the_retired_ones(admin: Admin) -> None:
    """Section 21: `includeRetired`, `includeRetiredOnly`."""
    api = admin.library()
    for name in ("anna", "ben"):
        call(api, "registerVPPUserSrv", clientUserIdStr=name)
    api.manage("retire", {"clientUserId": "ben"})

    def told(**said: Any) -> list[str]:
        return [row["clientUserIdStr"] for row in call(api, "getVPPUsersSrv", **said)["users"]]

    assert told() == ["anna"]
    assert told(includeRetired=1) == ["anna", "ben"]
    assert told(includeRetiredOnly=True) == ["ben"]


def test_a_managed_account_is_tied_at_once(admin: Admin) -> None:
    """Section 8: the call that answers with the finished record."""
    api = admin.library()
    made = call(api, "registerVPPUserSrv", clientUserIdStr="anna", managedAppleIDStr="anna@example.com")
    assert made["user"]["status"] == "Associated"
    assert made["user"]["itsIdHash"] == api.user("anna")["idHash"]
    foreign = call(api, "registerVPPUserSrv", clientUserIdStr="ben", managedAppleIDStr="ben@other.example")
    assert (foreign["status"], foreign["errorNumber"]) == (-1, 9635)


def test_licenses_are_managed_in_one_call(admin: Admin) -> None:
    """Section 21: taken first, then given; each target tells its own fate; status 0, -3, -1."""
    api = admin.library({"adam_id": APP["adamId"], "total": 2})
    done = manage(api, associateSerialNumbers=serials(2))
    assert (done["status"], len(done["associations"])) == (0, 2)
    assert all(row["licenseIdStr"] for row in done["associations"])
    moved = manage(api, disassociateSerialNumbers=serials(1), associateSerialNumbers=["A", "B"])
    assert moved["status"] == -3
    assert [row.get("errorNumber") for row in moved["associations"]] == [None, 9610]
    again = manage(api, associateSerialNumbers=["A"])
    assert (again["status"], again["associations"][0]["errorNumber"]) == (-1, 9616)
    assert manage(api, disassociateSerialNumbers=["B"])["disassociations"][0]["errorCode"] == 9619
    by_id = manage(api, disassociateLicenseIdStrs=[moved["associations"][0]["licenseIdStr"]])
    assert by_id["disassociations"][0]["serialNumber"] == "A"
    assert api.counts() == (2, 1, 1, 0)


def test_the_rules_of_version_1_have_numbers_of_their_own(admin: Admin) -> None:
    """Section 12: 9600, 9602, 9604, 9607, 9609, 9628."""
    api = admin.library(users=["anna"])
    api.give(["anna"], BOOK)
    book = {"adamIdStr": BOOK["adamId"], "pricingParam": "PLUS"}
    name = "manageVPPLicensesByAdamIdSrv"
    taken = call(api, name, **book, disassociateClientUserIdStrs=["anna"])
    given = call(api, name, **book, associateSerialNumbers=["A"])
    assert taken["disassociations"][0]["errorNumber"] == 9607
    assert given["associations"][0]["errorNumber"] == 9628
    assert manage(api, associateClientUserIdStrs=["nobody"])["associations"][0]["errorNumber"] == 9609
    assert manage(api, associateSerialNumbers=serials(11))["errorNumber"] == 9602
    assert manage(api)["errorNumber"] == 9600
    assert call(api, name, adamIdStr="unknown", associateSerialNumbers=["A"])["errorNumber"] == 9604
    assert call(api, "getVPPUserSrv", clientUserIdStr="nobody")["errorNumber"] == 9609


def test_the_client_context_is_stored_and_told_in_every_answer(admin: Admin) -> None:
    """Section 14: any text below 256 bytes; an empty one clears it."""
    api = admin.library()
    assert "clientContext" not in call(api, "VPPClientConfigSrv")
    config = call(api, "VPPClientConfigSrv", clientContext=CONTEXT, verbose=True)
    assert (config["clientContext"], config["countryCode"]) == (CONTEXT, "US")
    assert config["appleId"]
    assert call(api, "getVPPUsersSrv")["clientContext"] == CONTEXT
    assert call(api, "VPPClientConfigSrv", clientContext="x" * 256)["errorNumber"] == 9602
    assert "clientContext" not in call(api, "VPPClientConfigSrv", clientContext="")


def test_the_client_context_tells_of_a_claim_by_version_2(admin: Admin) -> None:
    """Section 14: a tool of version 1 sees the takeover."""
    api = admin.library()
    api.post("client/config", {"mdmInfo": MDM_INFO})
    assert call(api, "VPPClientConfigSrv")["clientContext"] == "token being used in v2"


def test_token_errors_come_with_http_200(admin: Admin) -> None:
    """Section 21: status -1."""
    api = admin.library()
    admin.tell("DELETE", f"/libraries/{api.uid}/tokens")
    assert call(api, "VPPClientConfigSrv")["errorNumber"] == 9625
    assert call(api, "VPPClientConfigSrv", sToken="nonsense")["errorNumber"] == 9622
    assert call(api, "VPPClientConfigSrv", sToken="")["errorNumber"] == 9600


@pytest.mark.parametrize("form", ["json", "form", "form called json", "query", "get with a body"])
def test_requests_are_read_as_clients_write_them(admin: Admin, form: str) -> None:
    """Section 21: Go, Python, Ruby, PHP and shell clients all have ways of their own."""
    api = admin.library()
    said = {"sToken": api.token, "clientUserIdStr": "anna"}
    url = api.http.base_url.join("/mdm/registerVPPUserSrv")
    json_type = {"Content-Type": "application/json;charset=UTF8"}
    pairs = str(httpx2.QueryParams(said))
    answers = {
        "json": lambda: api.http.post(url, content=json.dumps(said)),
        "form": lambda: api.http.post(url, data=said),
        "form called json": lambda: api.http.post(url, content=pairs, headers=json_type),
        "query": lambda: api.http.get(url, params=said),
        "get with a body": lambda: api.http.request("GET", url, content=json.dumps(said), headers=json_type),
    }
    assert answers[form]().json()["user"]["clientUserIdStr"] == "anna"


def test_a_list_in_a_form_has_brackets_after_its_name(admin: Admin) -> None:
    """Section 21: as Ruby's rest-client writes the lists of apple_vpp."""
    api = admin.library()
    said = {"sToken": api.token, "adamIdStr": APP["adamId"], "associateSerialNumbers[]": serials(2)}
    answer = api.http.post(api.http.base_url.join("/mdm/manageVPPLicensesByAdamIdSrv"), data=said).json()
    assert [row["serialNumber"] for row in answer["associations"]] == serials(2)


def test_a_client_with_one_base_for_both_versions_finds_it(admin: Admin) -> None:
    """Section 23: version 1 stands under the base of version 2 too."""
    api = admin.library()
    answer = api.http.post("registerVPPUserSrv", json={"sToken": api.token, "clientUserIdStr": "anna"})
    assert answer.json()["user"]["status"] == "Registered"


@pytest.mark.parametrize("name", ["getVPPLicensesSrv", "retireVPPUserSrv", "getAssignments", "unheardOfSrv"])
def test_all_other_calls_answer_as_a_closed_service(admin: Admin, name: str) -> None:
    """Section 12: 9634 with 410."""
    api = admin.library()
    answer = api.http.post(api.http.base_url.join(f"/mdm/{name}"), json={"sToken": api.token})
    assert (answer.status_code, answer.json()["errorNumber"]) == (410, 9634)


def test_the_assets_may_be_asked_for_where_a_client_needs_them(admin: Admin) -> None:
    """Section 21: isIrrevocable is revocable the other way round."""
    api = admin.library()
    url = api.http.base_url.join("/mdm/getVPPAssetsSrv")
    assert api.http.post(url, json={"sToken": api.token}).status_code == 410
    admin.turn(legacy_assets=True)
    rows = call(api, "getVPPAssetsSrv", includeLicenseCounts=True)["assets"]
    told = {row["adamIdStr"]: (row["isIrrevocable"], row["productTypeId"], row["totalCount"]) for row in rows}
    assert told[APP["adamId"]] == (False, 8, 10)
    assert told[BOOK["adamId"]] == (True, 10, 10)
    [book] = call(api, "getVPPAssetsSrv", pricingParam="PLUS")["assets"]
    assert book["adamIdStr"] == BOOK["adamId"]


def test_all_of_version_1_may_be_closed(admin: Admin) -> None:
    """Section 21: deprecated; one day it will be."""
    admin.turn(legacy=False)
    answer = admin.service.get(admin.service.base_url.join("/mdm/VPPServiceConfigSrv"))
    assert (answer.status_code, answer.json()["errorNumber"]) == (410, 9634)
