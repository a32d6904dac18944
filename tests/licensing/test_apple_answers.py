"""Apple's answers, read into words."""

import pytest

from licensing.apple.answers import read_assets, read_assignments, read_client_config, read_event_state
from licensing.model import AssetKey
from shared.errors import Unavailable
from tests.licensing.scripted import KEY


def test_an_unlimited_asset_is_a_flag_and_never_a_number() -> None:
    row = {"adamId": "1", "pricingParam": "STDQ", "productType": "App", "totalCount": 2147483647}
    free = {"adamId": "2", "pricingParam": "STDQ", "productType": "App", "assignedCount": 3}
    first, second = read_assets(
        {"assets": [{**row, "availableCount": 2147483640, "retiredCount": 0}], "unlimitedAssets": [free]}
    ).assets
    assert (first.reading.unlimited, first.reading.total) == (True, 0)
    assert (second.reading.unlimited, second.reading.assigned) == (True, 3)


def test_unknown_platforms_are_left_out_and_half_a_row_is_no_list() -> None:
    row = {"adamId": "1", "productType": "App", "totalCount": 5, "availableCount": 5}
    (asset,) = read_assets({"assets": [{**row, "supportedPlatforms": ["iOS", "carOS"]}]}).assets
    assert asset.facts.platforms == ("iOS",)
    for half in (
        {"assets": [{"adamId": "1"}]},
        {"assets": [{**row, "adamId": "no"}]},
        {"assets": "none"},
        {},
    ):
        with pytest.raises(Unavailable):
            read_assets(half)


def test_the_other_quality_of_an_adam_id_is_another_asset() -> None:
    rows = [
        {"adamId": "1", "pricingParam": "STDQ", "serialNumber": "A"},
        {"adamId": "1", "pricingParam": "PLUS", "serialNumber": "B"},
        {"adamId": "1", "serialNumber": "C"},
        {"adamId": "1", "pricingParam": "STDQ", "clientUserId": "person"},
    ]
    page = read_assignments({"assignments": rows, "versionId": "v"}, AssetKey("1", "STDQ"))
    assert (page.serial_numbers, page.people) == (["A", "C"], 1)
    with pytest.raises(Unavailable):
        read_assignments({}, KEY)


def test_a_status_that_apple_never_says_is_not_believed() -> None:
    with pytest.raises(Unavailable):
        read_event_state({"eventStatus": "COMPLETED"})
    assert read_event_state({"eventStatus": "FAILED", "failures": [{}, 5]}).failures == ()


def test_a_client_config_needs_the_librarys_id_and_little_else() -> None:
    config = read_client_config({"uId": "u", "tokenExpirationDate": "never", "mdmInfo": None})
    assert (config.library_id, config.mdm_info, config.token_expires_at) == ("u", None, None)
    with pytest.raises(Unavailable):
        read_client_config({})
