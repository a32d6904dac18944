"""The claim and the subscription. Apple: "Client Config", "Subscribing to notifications"."""

from typing import Any

import pytest

from tests.conformance.apple.api import Admin, Api
from tests.conformance.apple.subscriber import Subscriber

SECRET = "a secret of the subscriber"
MDM_INFO = {"id": "b6f2", "name": "Managed Distribution", "metadata": "https://mdm.example"}


def subscription(subscriber: Subscriber, *types: str) -> dict[str, Any]:
    return {
        "notificationUrl": subscriber.url,
        "notificationAuthToken": SECRET,
        "notificationTypes": list(types),
    }


def test_it_describes_the_library(api: Api) -> None:
    """Section 4: country in upper case, platform, name and web site."""
    config = api.get("client/config")
    assert config["countryISO2ACode"] == config["countryISO2ACode"].upper()
    assert (config["defaultPlatform"], config["websiteURL"]) in {
        ("enterprisestore", "https://business.apple.com"),
        ("volumestore", "https://school.apple.com"),
    }
    assert config["locationName"]


def test_a_school_has_the_educational_store(admin: Admin) -> None:
    """Section 4: volumestore and school.apple.com."""
    config = admin.library(country="fr", platform="volumestore", location_name="Lycée").get("client/config")
    assert (config["countryISO2ACode"], config["defaultPlatform"]) == ("FR", "volumestore")
    assert (config["locationName"], config["websiteURL"]) == ("Lycée", "https://school.apple.com")


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
def test_mdm_info_needs_its_three_fields_within_their_lengths(
    api: Api, mdm_info: dict[str, str], number: int
) -> None:
    """Section 4: id, name and metadata, all three together."""
    before = api.get("client/config").get("mdmInfo")
    assert api.refused("client/config", {"mdmInfo": mdm_info}) == (400, number)
    assert api.get("client/config").get("mdmInfo") == before


@pytest.mark.parametrize(
    ("body", "number"),
    [
        ({"notificationUrl": "https://mdm.example/n"}, 9710),
        ({"notificationAuthToken": "secret"}, 9710),
        ({"notificationUrl": "http://mdm.example/n", "notificationAuthToken": "s"}, 9712),
        ({"notificationUrl": "https://mdm.example/n?key=1", "notificationAuthToken": "s"}, 9712),
        ({"notificationUrl": "https://mdm.example/" + "n" * 512, "notificationAuthToken": "s"}, 9711),
        ({"notificationUrl": "https://mdm.example/n", "notificationAuthToken": "s" * 513}, 9711),
        ({"notificationUrl": "https://127.0.0.1:9/n", "notificationAuthToken": "s"}, 9728),
    ],
)
def test_a_subscription_that_breaks_a_rule_is_refused(api: Api, body: dict[str, Any], number: int) -> None:
    """Section 4: URL and token together, https, host and path only, not too long, reachable now."""
    assert api.refused("client/config", body) == (400, number)


def test_an_unknown_type_is_9602(api: Api) -> None:
    """Section 4: the allowed types are those of the service config."""
    assert api.refused("client/config", {"notificationTypes": ["WEATHER"]}) == (400, 9602)


def test_the_subscriber_is_called_during_the_post(admin: Admin, subscriber: Subscriber) -> None:
    """Section 4: with TEST_NOTIFICATION, an empty object; the secret comes back in clear."""
    api = admin.library()
    config = api.post("client/config", subscription(subscriber, "ASSET_COUNT"))
    (test,) = subscriber.received
    assert (test["notificationType"], test["notification"], test["uId"]) == ("TEST_NOTIFICATION", {}, api.uid)
    assert config["notificationUrl"] == subscriber.url
    assert config["notificationAuthToken"] == SECRET
    assert config["subscribedNotificationTypes"] == ["ASSET_COUNT"]
    assert "notificationTypes" not in config


def test_nothing_is_stored_when_the_subscriber_does_not_answer(admin: Admin, subscriber: Subscriber) -> None:
    """Section 4: without a 2xx the whole configuration is refused."""
    api = admin.library()
    subscriber.statuses.append(500)
    body = subscription(subscriber, "ASSET_COUNT") | {"mdmInfo": MDM_INFO}
    assert api.refused("client/config", body) == (400, 9728)
    assert not {"mdmInfo", "notificationUrl"} & set(api.get("client/config"))


def test_types_replace_those_before(admin: Admin, subscriber: Subscriber) -> None:
    """Section 4: a request names the complete set that is wanted."""
    api = admin.library()
    api.post("client/config", subscription(subscriber, "ASSET_COUNT", "USER_ASSOCIATED"))
    config = api.post("client/config", {"notificationTypes": ["UNLIMITED_ASSET"]})
    assert config["subscribedNotificationTypes"] == ["UNLIMITED_ASSET"]
    assert config["notificationUrl"] == subscriber.url


def test_mdm_info_is_stored_and_a_later_post_without_it_leaves_it(admin: Admin) -> None:
    """Section 4: all fields of a request are optional."""
    api = admin.library()
    assert api.post("client/config", {"mdmInfo": MDM_INFO})["mdmInfo"] == MDM_INFO
    assert api.post("client/config", {"notificationTypes": []})["mdmInfo"] == MDM_INFO


def test_another_server_overwrites_the_claim(admin: Admin) -> None:
    """Section 14: the only sign is another mdmInfo, on every answer."""
    api = admin.library()
    api.post("client/config", {"mdmInfo": MDM_INFO})
    theirs = {"id": "theirs", "name": "Other", "metadata": "m"}
    admin.tell("PUT", f"/libraries/{api.uid}/mdm-info", theirs)
    assert api.get("assets")["mdmInfo"] == theirs
    admin.tell("DELETE", f"/libraries/{api.uid}/mdm-info")
    assert "mdmInfo" not in api.get("assets")
