"""The simulated App and Book service: tokens, lists, client/config. One test per rule of Apple's documentation."""

import base64
import json
from typing import Any

import httpx2
import pytest

from tests.local.apple.apple_client import (
    APP,
    BOOK,
    SECRET,
    AppleBox,
    Library,
    Subscriber,
    app_of,
    book_of,
    serials,
)

MDM_INFO = {"id": "b6f2", "name": "Managed Distribution", "metadata": "https://mdm.example"}


async def test_the_token_is_base64_text_of_its_secret_its_expiry_and_its_organization(
    apple: AppleBox,
) -> None:
    library = await apple.library(organization="École")
    content = json.loads(base64.b64decode(library.token))
    assert set(content) == {"token", "expDate", "orgName"}
    assert content["orgName"] == "École"
    assert content["expDate"].endswith("+0000")


async def test_the_outer_text_is_the_bearer_and_the_inner_secret_is_not(apple: AppleBox) -> None:
    library = await apple.library()
    assert (await library.get("assets"))["uId"] == library.uid
    library.token = json.loads(base64.b64decode(library.token))["token"]
    response = await library.ask("GET", "assets")
    assert (response.status_code, response.json()["errorNumber"]) == (401, 9622)


async def test_a_token_encoded_anew_is_not_the_token(apple: AppleBox) -> None:
    library = await apple.library()
    content = json.loads(base64.b64decode(library.token))
    library.token = base64.b64encode(json.dumps(content, separators=(",", ":")).encode()).decode()
    assert (await library.get("assets"))["errorNumber"] == 9622


async def test_an_invalid_token_may_be_answered_with_http_200(apple: AppleBox) -> None:
    await apple.turn(invalid_token_status=200)
    response = await Library(apple.client, "", "nonsense").ask("GET", "assets")
    assert (response.status_code, response.json()["errorNumber"]) == (200, 9622)


@pytest.mark.parametrize(
    ("header", "number"), [(None, 9601), ("Basic YTpi", 9722), ("Bearer", 9722), ("Bearer a b", 9722)]
)
async def test_a_header_that_is_missing_or_malformed_is_said_so(
    apple: AppleBox, header: str | None, number: int
) -> None:
    response = await apple.client.get("assets", headers={"Authorization": header} if header else {})
    assert (response.status_code, response.json()["errorNumber"]) == (401, number)


async def test_expired_and_revoked_tokens_are_told_apart(apple: AppleBox) -> None:
    library = await apple.library()
    made = await apple.tell("POST", f"/libraries/{library.uid}/tokens", {"expires_in_days": -1})
    expired = Library(apple.client, library.uid, made["token"])
    assert (await expired.get("assets"))["errorNumber"] == 9621
    await apple.tell("DELETE", f"/libraries/{library.uid}/tokens")
    assert (await library.get("assets"))["errorNumber"] == 9625
    fresh = await apple.tell("POST", f"/libraries/{library.uid}/tokens", {})
    assert "assets" in await Library(apple.client, library.uid, fresh["token"]).get("assets")


async def test_two_tokens_of_one_library_share_its_uid_and_its_counts(apple: AppleBox) -> None:
    first = await apple.library(app_of(3))
    made = await apple.tell("POST", f"/libraries/{first.uid}/tokens", {})
    second = Library(apple.client, first.uid, made["token"])
    assert first.token != second.token
    await first.outcome(await first.associate(serials(2)))
    assert await second.counts() == (3, 1, 2)
    assert (await second.get("assets"))["uId"] == first.uid


async def test_service_config_is_open_and_names_limits_urls_errors_and_notification_types(
    apple: AppleBox,
) -> None:
    config = (await apple.client.get("service/config")).json()
    assert config["limits"]["maxAssets"] == 25
    assert config["limits"]["maxSerialNumbers"] == 1000
    assert config["urls"]["associateAssets"] == f"{apple.simulator.url}/assets/associate"
    assert {"errorNumber": 9709, "errorMessage": "Not enough licenses are available"} in config["errorCodes"]
    assert set(config["notificationTypes"]) == {"ASSET_MANAGEMENT", "ASSET_COUNT", "TEST_NOTIFICATION"}


async def test_limits_turned_by_the_admin_are_published_and_enforced(apple: AppleBox) -> None:
    await apple.turn(limits={"maxSerialNumbers": 2})
    assert (await apple.client.get("service/config")).json()["limits"]["maxSerialNumbers"] == 2
    library = await apple.library(app_of(5))
    body = {"assets": [APP], "serialNumbers": serials(3)}
    assert (await library.post("assets/associate", body))["errorNumber"] == 9702


async def test_every_answer_to_a_token_carries_uid_expiry_and_mdm_info(apple: AppleBox) -> None:
    library = await apple.library(app_of(1))
    assert "mdmInfo" not in await library.get("assets")
    await library.post("client/config", {"mdmInfo": MDM_INFO})
    event_id = await library.associate(serials(1))
    for path, query in (
        ("client/config", {}),
        ("assets", {}),
        ("assignments", {}),
        ("status", {"eventId": event_id}),
    ):
        answer = await library.get(path, **query)
        assert answer["uId"] == library.uid
        assert answer["mdmInfo"] == MDM_INFO
        assert "tokenExpirationDate" in answer


async def test_client_config_describes_the_library(apple: AppleBox) -> None:
    library = await apple.library(country="FR", platform="volumestore", location_name="Lycée")
    config = await library.get("client/config")
    assert config["countryISO2ACode"] == "FR"
    assert config["defaultPlatform"] == "volumestore"
    assert config["locationName"] == "Lycée"
    assert config["websiteURL"] == "https://school.apple.com"


@pytest.mark.parametrize(
    ("mdm_info", "number"),
    [
        ({"id": "x", "name": "y"}, 9723),
        ({"id": "x", "name": "y", "metatdata": "misspelt"}, 9723),
        ({"id": "x" * 101, "name": "y", "metadata": "z"}, 9724),
        ({"id": "x", "name": "y" * 101, "metadata": "z"}, 9725),
        ({"id": "x", "name": "y", "metadata": "z" * 256}, 9713),
    ],
)
async def test_mdm_info_needs_its_three_fields_within_their_lengths(
    apple: AppleBox, mdm_info: dict[str, str], number: int
) -> None:
    library = await apple.library()
    assert (await library.post("client/config", {"mdmInfo": mdm_info}))["errorNumber"] == number
    assert "mdmInfo" not in await library.get("client/config")


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ({"notificationUrl": "https://mdm.example/n"}, 9710),
        ({"notificationAuthToken": "secret"}, 9710),
        ({"notificationUrl": "http://mdm.example/n", "notificationAuthToken": "s"}, 9712),
        ({"notificationUrl": "https://mdm.example/n?key=1", "notificationAuthToken": "s"}, 9712),
        ({"notificationUrl": "https://mdm.example/" + "n" * 512, "notificationAuthToken": "s"}, 9711),
        ({"notificationUrl": "https://mdm.example/n", "notificationAuthToken": "s" * 513}, 9711),
        ({"notificationTypes": ["WEATHER"]}, 9602),
    ],
)
async def test_a_subscription_that_breaks_a_rule_is_refused(
    apple: AppleBox, body: dict[str, Any], number: int
) -> None:
    library = await apple.library()
    assert (await library.post("client/config", body))["errorNumber"] == number


async def test_the_subscriber_is_called_during_the_post(apple: AppleBox, subscriber: Subscriber) -> None:
    library = await apple.library()
    config = await library.subscribe(subscriber, "ASSET_COUNT")
    assert [row["notificationType"] for row in subscriber.received] == ["TEST_NOTIFICATION"]
    assert subscriber.received[0]["notification"] == {}
    assert subscriber.received[0]["uId"] == library.uid
    assert subscriber.tokens == [f"Bearer {SECRET}"]
    assert config["notificationUrl"] == subscriber.url
    assert config["notificationAuthToken"] == SECRET
    assert config["subscribedNotificationTypes"] == ["ASSET_COUNT"]


async def test_nothing_of_a_post_is_stored_when_the_subscriber_does_not_answer(
    apple: AppleBox, subscriber: Subscriber
) -> None:
    library = await apple.library()
    subscriber.statuses = [500]
    body = {"mdmInfo": MDM_INFO, "notificationUrl": subscriber.url, "notificationAuthToken": SECRET}
    assert (await library.post("client/config", body))["errorNumber"] == 9728
    config = await library.get("client/config")
    assert "mdmInfo" not in config
    assert "notificationUrl" not in config


async def test_a_url_where_nobody_listens_is_unreachable(apple: AppleBox) -> None:
    library = await apple.library()
    body = {"notificationUrl": "https://127.0.0.1:9/n", "notificationAuthToken": SECRET}
    assert (await library.post("client/config", body))["errorNumber"] == 9728


@pytest.mark.parametrize("secret", ["a\nb", "\x00"])
async def test_a_secret_that_no_header_can_carry_is_refused(
    apple: AppleBox, subscriber: Subscriber, secret: str
) -> None:
    library = await apple.library()
    body = {"notificationUrl": subscriber.url, "notificationAuthToken": secret}
    assert (await library.post("client/config", body))["errorNumber"] == 9728


async def test_an_empty_url_and_token_end_the_subscription(apple: AppleBox, subscriber: Subscriber) -> None:
    library = await apple.library()
    await library.subscribe(subscriber, "ASSET_COUNT")
    config = await library.post("client/config", {"notificationUrl": "", "notificationAuthToken": ""})
    assert "notificationUrl" not in config


async def test_a_wrong_method_and_a_wrong_content_type_are_refused_in_apples_words(apple: AppleBox) -> None:
    library = await apple.library()
    wrong_method = await library.ask("GET", "assets/associate")
    assert (wrong_method.status_code, wrong_method.json()["errorNumber"]) == (405, 9726)
    assert wrong_method.headers["allow"] == "POST"
    assert (await apple.client.post("service/config")).json()["errorNumber"] == 9726
    wrong_type = await apple.client.post(
        "assets/associate",
        content="{}",
        headers={"Authorization": f"Bearer {library.token}", "Content-Type": "text/plain"},
    )
    assert (wrong_type.status_code, wrong_type.json()["errorNumber"]) == (415, 9727)


async def test_the_assets_are_filtered(apple: AppleBox) -> None:
    library = await apple.library(app_of(3), app_of(2, "1", device_assignable=False), book_of(5))

    async def found(**query: str) -> list[str]:
        return [row["adamId"] for row in (await library.get("assets", **query))["assets"]]

    assert await found() == [APP["adamId"], "1", BOOK["adamId"]]
    assert await found(adamId="1") == ["1"]
    assert await found(pricingParam="PLUS") == [BOOK["adamId"]]
    assert await found(productType="App") == [APP["adamId"], "1"]
    assert await found(revocable="false") == [BOOK["adamId"]]
    assert await found(deviceAssignable="true") == [APP["adamId"]]
    assert (await library.get("assets", revocable="perhaps"))["errorNumber"] == 9602


async def test_one_adam_id_in_both_qualities_is_two_assets(apple: AppleBox) -> None:
    library = await apple.library(app_of(3), app_of(2, pricing_param="PLUS"))
    await library.outcome(await library.associate(serials(2)))
    assert await library.counts() == (3, 1, 2)
    assert await library.counts({**APP, "pricingParam": "PLUS"}) == (2, 2, 0)


async def test_a_book_is_neither_for_devices_nor_revocable(apple: AppleBox) -> None:
    library = await apple.library(book_of(5))
    (book,) = (await library.get("assets"))["assets"]
    assert (book["deviceAssignable"], book["revocable"]) == (False, False)


async def test_assignments_are_paged_from_zero_until_no_next_page_is_named(apple: AppleBox) -> None:
    library = await apple.library(app_of(50), app_of(50, "1"))
    both = [APP, {"adamId": "1", "pricingParam": "STDQ"}]
    await library.outcome(await library.associate(serials(25), *both))
    await apple.turn(page_size=20)
    rows: list[dict[str, str]] = []
    pages: list[tuple[int, int, int]] = []
    page: int | None = 0
    while page is not None:
        answer = await library.get("assignments", pageIndex=page)
        pages.append((answer["currentPageIndex"], answer["size"], answer["totalPages"]))
        rows += answer["assignments"]
        page = answer.get("nextPageIndex")
    assert pages == [(0, 20, 3), (1, 20, 3), (2, 10, 3)]
    assert {(row["adamId"], row["serialNumber"]) for row in rows} == {
        (asset["adamId"], serial) for asset in both for serial in serials(25)
    }
    assert (await library.get("assignments", pageIndex=3))["errorNumber"] == 9650
    assert (await library.get("assignments", pageIndex="two"))["errorNumber"] == 9602


async def test_an_empty_list_is_one_empty_page(apple: AppleBox) -> None:
    answer = await (await apple.library()).get("assignments")
    assert (answer["assignments"], answer["totalPages"], answer["size"]) == ([], 1, 0)
    assert "nextPageIndex" not in answer


async def test_assignments_are_filtered_by_asset_and_by_holder(apple: AppleBox) -> None:
    library = await apple.library(app_of(5), app_of(5, "1"), book_of(5), users=["anna", "ben"])
    await library.outcome(await library.associate(serials(2), APP, {"adamId": "1"}))
    given = await library.post("assets/associate", {"assets": [BOOK], "clientUserIds": ["anna"]})
    await library.outcome(given["eventId"])

    async def found(**query: str) -> int:
        return len((await library.get("assignments", **query))["assignments"])

    assert await found() == 5
    assert await found(adamId="1") == 2
    assert await found(pricingParam="PLUS") == 1
    assert await found(serialNumber=serials(1)[0]) == 2
    assert await found(serialNumber=serials(1)[0], adamId="1") == 1
    assert await found(serialNumber="unknown") == 0
    assert await found(clientUserId="anna") == 1
    assert await found(clientUserId="anna", serialNumber=serials(1)[0]) == 0


async def test_the_version_moves_with_every_change_and_rests_otherwise(apple: AppleBox) -> None:
    library = await apple.library(app_of(5))
    before = (await library.get("assets"))["versionId"]
    assert (await library.get("assets"))["versionId"] == before
    await library.outcome(await library.associate(serials(1)))
    after = (await library.get("assignments"))["versionId"]
    assert after != before
    assert (await library.get("assets"))["versionId"] == after


async def test_the_rate_limit_is_counted_per_library(apple: AppleBox) -> None:
    library, other = await apple.library(), await apple.library()
    await apple.turn(rate_limit=True)
    responses = [await library.ask("GET", "assets") for _ in range(16)]
    assert [response.status_code for response in responses] == [200] * 15 + [429]
    assert responses[-1].json()["errorNumber"] == 9646
    assert (await other.ask("GET", "assets")).status_code == 200


async def test_one_seed_and_one_order_of_requests_give_one_trace(apple: AppleBox) -> None:
    async def trace() -> list[Any]:
        await apple.tell("POST", "/reset")
        library = await apple.library(app_of(5))
        event_id = await library.associate(serials(2))
        await library.outcome(event_id)
        return [library.uid, event_id, (await library.get("assets"))["versionId"]]

    assert await trace() == await trace()


async def test_the_log_counts_requests_per_path_and_holds_no_token(apple: AppleBox) -> None:
    library = await apple.library(app_of(5))
    await library.get("assets")
    await library.get("assets")
    await library.associate(serials(1))
    response = await apple.admin.get("/state")
    assert response.json()["requests"] == {"GET assets": 2, "POST assets/associate": 1}
    assert library.token not in response.text
    assert json.loads(base64.b64decode(library.token))["token"] not in response.text


async def test_plain_http_gets_nothing(apple: AppleBox) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx2.HTTPError):
            await client.get(apple.simulator.url.replace("https", "http") + "/service/config")
