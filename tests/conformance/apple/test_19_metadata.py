"""Names and bundle ids. Apple: "Getting app and book information", "Apps and books metadata for organizations"."""

import time
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.conformance.apple.api import Admin, Api, Row

SOLD_IN_FRANCE = {"adam_id": "11", "total": 1, "name": "Mots", "storefronts": ["fr"]}
CUSTOM = {"adam_id": "12", "total": 1, "name": "Ours", "custom": True, "bundle_id": "com.ours"}
QUERY: dict[str, Any] = {
    "version": 2,
    "p": "mdm-lockup",
    "caller": "MDM",
    "platform": "enterprisestore",
    "l": "en",
}


def lookup(http: httpx2.Client, token: str = "", **query: Any) -> Row:
    """Ask at the address that the service config names; HTTP 200 whatever comes of it."""
    url = http.get("service/config").json()["urls"]["contentMetadataLookup"]
    headers = {"Cookie": f"itvt={token}"} if token else {}
    answer = http.get(url, params={**QUERY, **query}, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["isAuthenticated"] is False
    return dict(answer.json()["results"])


def test_a_title_is_known_in_the_storefronts_that_sell_it(admin: Admin, http: httpx2.Client) -> None:
    """Section 19: a wrong country looks just like no access: no result."""
    admin.library(SOLD_IN_FRANCE)
    assert lookup(http, id="11", cc="fr")["11"]["name"] == "Mots"
    assert lookup(http, id="11", cc="us") == {}
    assert lookup(http, id="unknown", cc="fr") == {}


def test_a_custom_app_is_known_to_who_owns_it(admin: Admin, http: httpx2.Client) -> None:
    """Section 19: by the cookie itvt."""
    owner, stranger = admin.library(CUSTOM), admin.library()
    assert lookup(http, owner.token, id="12", cc="us")["12"]["bundleId"] == "com.ours"
    assert lookup(http, stranger.token, id="12", cc="us") == {}
    assert lookup(http, id="12", cc="us") == {}


def test_the_page_is_called_lockup(admin: Admin, http: httpx2.Client) -> None:
    """Section 19: mdm-lookup was a misprint."""
    admin.library(SOLD_IN_FRANCE)
    assert lookup(http, id="11", cc="fr", p="mdm-lookup") == {}


def test_the_public_lookup_knows_many_at_once_and_no_custom_app(admin: Admin, http: httpx2.Client) -> None:
    """Section 19: the US store unless told otherwise."""
    admin.library(SOLD_IN_FRANCE, CUSTOM, {"adam_id": "13", "total": 1})
    url = http.base_url.join("/lookup")
    found = http.get(url, params={"id": "11,12,13"}).json()
    assert [row["trackId"] for row in found["results"]] == [13]
    assert http.get(url, params={"id": "11,12,13", "country": "fr"}).json()["resultCount"] == 2


class Developer:
    """An MDM vendor with a key."""

    def __init__(self, admin: Admin) -> None:
        self.key = ECKey.generate_key("P-256")
        self.claims: Row = {"iss": "TEAM123456", "iat": int(time.time()), "exp": int(time.time()) + 600}
        public = self.key.as_pem(private=False).decode()
        body = {"team_id": "TEAM123456", "key_id": "KEY1234567", "public_key_pem": public}
        admin.tell("POST", "/developer-keys", body)

    def token(self, *, kid: str = "KEY1234567", **claims: Any) -> str:
        return jwt.encode({"alg": "ES256", "kid": kid}, {**self.claims, **claims}, self.key)


def catalog(
    api: Api, resource: str, developer_token: str, *, cookie: bool = True, **query: str
) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {developer_token}"}
    if cookie:
        headers["Cookie"] = f"itvt={api.token}"
    url = api.http.base_url.join(f"/v1/catalog/{resource}")
    return api.http.get(url, params=query, headers=headers)


def test_the_catalog_tells_what_the_storefront_sells(admin: Admin) -> None:
    """Section 19: ids that it does not know are missing; custom apps only with the cookie."""
    api, token = admin.library(SOLD_IN_FRANCE, CUSTOM), Developer(admin).token()
    rows = catalog(api, "us/stoken-authenticated-apps", token, ids="11,12").json()["data"]
    assert [(row["id"], row["type"], row["attributes"]["name"]) for row in rows] == [("12", "apps", "Ours")]
    assert catalog(api, "us/apps/12", token, cookie=False).json()["data"] == []
    assert len(catalog(api, "fr/stoken-authenticated-apps", token, ids="11,12").json()["data"]) == 2


@pytest.mark.parametrize(
    "claims",
    [
        {"kid": "UNKNOWNKEY"},
        {"iss": "ANOTHERTEA"},
        {"exp": 1},
        {"iat": 0, "exp": 2**33},
        {"exp": None},
    ],
)
def test_a_developer_token_that_is_not_valid_is_refused(admin: Admin, claims: Row) -> None:
    """Section 19: ES256, a known key of this team, at most six months; 401 with errors."""
    api, developer = admin.library(CUSTOM), Developer(admin)
    answer = catalog(api, "us/stoken-authenticated-apps", developer.token(**claims), ids="12")
    assert (answer.status_code, answer.json()["errors"][0]["status"]) == (401, "401")


def test_what_is_owned_needs_the_cookie(admin: Admin) -> None:
    """Section 19: stoken-authenticated paths."""
    api, token = admin.library(CUSTOM), Developer(admin).token()
    assert catalog(api, "us/stoken-authenticated-apps", token, cookie=False, ids="12").status_code == 401
    assert catalog(api, "us/stoken-authenticated-apps", "nonsense", ids="12").status_code == 401
