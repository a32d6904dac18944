"""What a library owns. Apple: "Get Assets", "Managing assets"."""

import pytest

from tests.conformance.apple.api import APP, BOOK, Admin, Api, serials

UNLIMITED = 2_147_483_647
FREE = {"adam_id": "409183694", "unlimited": True}


def test_a_row_has_all_its_fields(api: Api) -> None:
    """Section 5: adamId is text; total = available + assigned + retired."""
    for row in api.get("assets")["assets"]:
        assert isinstance(row["adamId"], str)
        assert row["pricingParam"] in {"STDQ", "PLUS"}
        assert row["productType"] in {"App", "Book"}
        assert isinstance(row["deviceAssignable"], bool)
        assert isinstance(row["revocable"], bool)
        assert set(row["supportedPlatforms"]) <= {"iOS", "macOS", "tvOS", "watchOS", "visionOS"}
        assert row["totalCount"] == row["availableCount"] + row["assignedCount"] + row["retiredCount"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["1", "2", "3"]),
        ({"adamId": "1"}, ["1"]),
        ({"pricingParam": "PLUS"}, ["3"]),
        ({"productType": "App"}, ["1", "2"]),
        ({"revocable": "false"}, ["3"]),
        ({"deviceAssignable": "true"}, ["1"]),
        ({"minAvailableCount": "5"}, ["2", "3"]),
        ({"maxAvailableCount": "4"}, ["1"]),
        ({"minAssignedCount": "1"}, ["1"]),
        ({"maxAssignedCount": "0"}, ["2", "3"]),
        ({"minAvailableCount": "5", "maxAvailableCount": "5"}, ["2"]),
        ({"unheardOf": "1"}, ["1", "2", "3"]),
    ],
)
def test_every_filter_leaves_over_what_it_says(admin: Admin, query: dict[str, str], found: list[str]) -> None:
    """Section 5: bounds are inclusive."""
    api = admin.library(
        {"adam_id": "1", "total": 5},
        {"adam_id": "2", "total": 5, "device_assignable": False},
        {"adam_id": "3", "total": 6, "pricing_param": "PLUS", "product_type": "Book"},
    )
    api.associate(serials(1), {"adamId": "1"})
    assert [row["adamId"] for row in api.get("assets", **query)["assets"]] == found


@pytest.mark.parametrize(
    "query",
    [{"revocable": "perhaps"}, {"pricingParam": "BEST"}, {"productType": "Film"}, {"minAssignedCount": "x"}],
)
def test_a_filter_that_is_none_is_9602(api: Api, query: dict[str, str]) -> None:
    """Section 12: invalid argument."""
    assert api.get("assets", **query)["errorNumber"] == 9602


def test_one_adam_id_in_both_qualities_is_two_assets(admin: Admin) -> None:
    """Section 5: identity is the pair; STDQ where none is named."""
    api = admin.library({"adam_id": "1", "total": 3}, {"adam_id": "1", "total": 2, "pricing_param": "PLUS"})
    api.associate(serials(2), {"adamId": "1"})
    assert api.counts({"adamId": "1", "pricingParam": "STDQ"}) == (3, 1, 2, 0)
    assert api.counts({"adamId": "1", "pricingParam": "PLUS"}) == (2, 2, 0, 0)


def test_a_book_is_neither_for_devices_nor_revocable(admin: Admin) -> None:
    """Section 13: rule 1."""
    row = admin.library().asset(BOOK)
    assert (row["productType"], row["deviceAssignable"], row["revocable"]) == ("Book", False, False)


def test_an_unlimited_asset_has_the_largest_total_unless_asked_otherwise(admin: Admin) -> None:
    """Section 5: without the parameter 2147483647."""
    api = admin.library(FREE)
    api.associate(serials(3), {"adamId": FREE["adam_id"]})
    answer = api.get("assets")
    (row,) = answer["assets"]
    assert "unlimitedAssets" not in answer
    assert (row["totalCount"], row["assignedCount"]) == (UNLIMITED, 3)


def test_unlimited_assets_are_listed_apart_or_left_out(admin: Admin) -> None:
    """Section 5: `unlimited=true` moves them, without their counts; `unlimited=false` leaves them out."""
    api = admin.library(FREE, {"adam_id": "1", "total": 1})
    apart = api.get("assets", unlimited="true")
    assert [row["adamId"] for row in apart["assets"]] == ["1"]
    (row,) = apart["unlimitedAssets"]
    assert row["adamId"] == FREE["adam_id"]
    assert not {"availableCount", "totalCount", "retiredCount"} & set(row)
    assert apart["size"] == 2
    without = api.get("assets", unlimited="false")
    assert [row["adamId"] for row in without["assets"]] == ["1"]
    assert "unlimitedAssets" not in without


@pytest.mark.parametrize(("answer", "available"), [("rest", UNLIMITED - 2), ("full", UNLIMITED)])
def test_what_is_available_of_an_unlimited_asset_is_one_of_two_numbers(
    admin: Admin, answer: str, available: int
) -> None:
    """Section 26: open."""
    admin.turn(unlimited_available=answer)
    api = admin.library(FREE)
    api.associate(serials(2), {"adamId": FREE["adam_id"]})
    (row,) = api.get("assets")["assets"]
    assert row["availableCount"] == available


def test_purchases_refunds_and_transfers_move_the_counts(admin: Admin) -> None:
    """Section 13: rules 8 and 9, done by people in the portal; only what is not assigned moves."""
    api, other = admin.library(), admin.library({"adam_id": "1", "total": 1})
    pair = {"adam_id": APP["adamId"]}
    admin.tell("POST", f"/libraries/{api.uid}/purchases", {**pair, "count": 4})
    admin.tell("POST", f"/libraries/{api.uid}/refunds", {**pair, "count": 2})
    admin.tell("POST", f"/libraries/{api.uid}/transfers", {**pair, "count": 5, "to": other.uid})
    assert api.counts() == (7, 7, 0, 0)
    assert other.counts() == (5, 5, 0, 0)


def test_the_version_moves_with_every_change_and_rests_otherwise(admin: Admin) -> None:
    """Section 11: versionId."""
    api = admin.library()
    before = api.get("assets")["versionId"]
    assert api.get("assets")["versionId"] == before
    api.associate(serials(1))
    after = api.get("assignments")["versionId"]
    assert after != before
    assert {api.get(path)["versionId"] for path in ("assets", "users")} == {after}
