"""The service's description of itself. Apple: "Service Config"."""

import httpx2
import pytest

from tests.conformance.apple.api import APP, Admin, Api, serials

LIMITS = {
    "maxAssets",
    "maxClientUserIds",
    "maxMdmIdLength",
    "maxMdmMetadataLength",
    "maxMdmNameLength",
    "maxNotificationLength",
    "maxRevokeClientUserIds",
    "maxRevokeSerialNumbers",
    "maxSerialNumbers",
    "maxUsers",
}
URLS = {
    "associateAssets": "assets/associate",
    "clientConfig": "client/config",
    "createUsers": "users/create",
    "disassociateAssets": "assets/disassociate",
    "eventStatus": "status",
    "getAssets": "assets",
    "getAssignments": "assignments",
    "getUsers": "users",
    "retireUsers": "users/retire",
    "revokeAssets": "assets/revoke",
    "updateUsers": "users/update",
}
NUMBERS = {
    *(9601, 9602, 9603, 9609, 9621, 9622, 9623, 9625, 9634, 9635, 9637, 9641, 9644, 9646, 9647, 9650),
    *range(9700, 9730),
    *range(9811, 9819),
}


def test_it_is_open_to_all_and_to_a_token_that_is_none(http: httpx2.Client) -> None:
    """Section 3: it needs no token, and proves nothing about one."""
    assert "limits" in http.get("service/config").json()
    assert "limits" in http.get("service/config", headers={"Authorization": "Bearer nonsense"}).json()


def test_it_names_the_limits(http: httpx2.Client) -> None:
    """Section 3: a map of whole numbers."""
    limits = http.get("service/config").json()["limits"]
    assert set(limits) >= LIMITS
    assert all(isinstance(limit, int) and limit > 0 for limit in limits.values())


def test_it_names_the_address_of_every_call(http: httpx2.Client) -> None:
    """Section 3: full URLs, and the two of metadata and invitations."""
    urls = http.get("service/config").json()["urls"]
    assert all(urls[name].endswith(f"/{path}") for name, path in URLS.items())
    assert "%25inviteCode%25" in urls["invitationEmail"]
    assert urls["contentMetadataLookup"].startswith("https://")


def test_it_names_error_numbers_and_notification_types(http: httpx2.Client) -> None:
    """Sections 3 and 12: errorCodes with number and message, and all types."""
    config = http.get("service/config").json()
    numbers = {code["errorNumber"] for code in config["errorCodes"] if code["errorMessage"]}
    assert numbers >= NUMBERS
    assert set(config["notificationTypes"]) >= {
        "ASSET_COUNT",
        "ASSET_MANAGEMENT",
        "USER_ASSOCIATED",
        "USER_MANAGEMENT",
    }


@pytest.mark.parametrize(
    ("limit", "path", "body", "number"),
    [
        ("maxAssets", "assets/associate", {"assets": [APP], "serialNumbers": ["A"]}, 9700),
        ("maxSerialNumbers", "assets/associate", {"assets": [APP], "serialNumbers": ["A"]}, 9702),
        ("maxClientUserIds", "assets/associate", {"assets": [APP], "clientUserIds": ["u"]}, 9701),
        ("maxRevokeSerialNumbers", "assets/revoke", {"serialNumbers": ["A"]}, 9702),
        ("maxRevokeClientUserIds", "assets/revoke", {"clientUserIds": ["u"]}, 9701),
        ("maxUsers", "users/create", {"users": [{"clientUserId": "u"}]}, 9714),
    ],
)
def test_limits_change_without_notice_and_are_enforced(
    admin: Admin, http: httpx2.Client, limit: str, path: str, body: dict[str, object], number: int
) -> None:
    """Section 3: the published limit is the one that counts, from one request to the next."""
    api = admin.library()
    admin.turn(limits={limit: 0})
    assert http.get("service/config").json()["limits"][limit] == 0
    assert api.refused(path, body) == (400, number)


def test_requests_are_counted_per_library(admin: Admin) -> None:
    """Section 3: above maxRequestPerSecond 9646 with 429."""
    api, other = admin.library(), admin.library()
    admin.turn(rate_limit=True, limits={"maxRequestPerSecond": 5})
    answers = [api.ask("GET", "client/config")]
    while (
        answers[-1].status_code == 200 and len(answers) < 60
    ):  # a slow machine needs more of them to be too fast
        answers.append(api.ask("GET", "client/config"))
    assert [answer.status_code for answer in answers[:5]] == [200] * 5
    assert (answers[-1].status_code, answers[-1].json()["errorNumber"]) == (429, 9646)
    assert other.ask("GET", "client/config").status_code == 200


@pytest.mark.parametrize(("whose", "status"), [("library", 429), ("token", 200)])
def test_two_tokens_of_one_library_may_share_its_requests(admin: Admin, whose: str, status: int) -> None:
    """Section 26: whether the limit is per token or per library is open."""
    api = admin.library()
    second = admin.token(api)
    admin.turn(rate_limit=True, rate_limit_per=whose, limits={"maxRequestPerSecond": 2})
    for _ in range(20):  # a slow machine needs more than one try to be too fast
        for _ in range(2):
            api.ask("GET", "client/config")
        found = second.ask("GET", "client/config").status_code
        if found == status:
            break
    assert found == status


@pytest.mark.parametrize("carried", [True, False])
def test_429_may_carry_a_retry_after(admin: Admin, *, carried: bool) -> None:
    """Section 26: whether it does is open."""
    api = admin.library()
    admin.turn(rate_limit=True, retry_after_on_429=carried, limits={"maxRequestPerSecond": 0})
    assert ("retry-after" in api.ask("GET", "assets").headers) is carried


def test_a_request_within_the_limits_is_taken_whole(admin: Admin) -> None:
    """Section 16: 25 assets and 1,000 serial numbers in one request."""
    assets = [{"adam_id": str(number), "total": 1000} for number in range(1, 26)]
    api: Api = admin.library(*assets)
    status = api.associate(serials(1000), *({"adamId": str(number)} for number in range(1, 26)))
    assert (status["eventStatus"], status["numCompleted"]) == ("COMPLETE", 25_000)
