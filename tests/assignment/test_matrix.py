"""The help page's table (R1), cell by cell, and its floors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assignment.matrix import refuse_platform, refuse_target_type, version_numbers
from assignment.model import TargetType
from shared.events.words import AssetKind, Platform, Refusal

APPS = [AssetKind.IN_HOUSE_APP, AssetKind.VPP_APP]
KINDS = st.sampled_from(AssetKind)
PLATFORMS = st.sampled_from(Platform)
VERSIONS = st.lists(st.integers(0, 99), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("kind", "platform", "refusal"),
    [
        (AssetKind.IN_HOUSE_APP, Platform.MACOS, None),
        (AssetKind.IN_HOUSE_APP, Platform.IOS, None),
        (AssetKind.IN_HOUSE_BOOK, Platform.MACOS, Refusal.KIND_NOT_FOR_PLATFORM),
        (AssetKind.IN_HOUSE_BOOK, Platform.IOS, None),
        (AssetKind.VPP_APP, Platform.MACOS, None),
        (AssetKind.VPP_APP, Platform.IOS, None),
        (AssetKind.VPP_BOOK, Platform.MACOS, Refusal.KIND_NOT_FOR_DEVICE),
        (AssetKind.VPP_BOOK, Platform.IOS, Refusal.KIND_NOT_FOR_DEVICE),
    ],
)
def test_each_kind_goes_to_the_devices_that_r1_names(
    kind: AssetKind, platform: Platform, refusal: Refusal | None
) -> None:
    assert refuse_platform(kind, platform, "99") is refusal


@pytest.mark.parametrize(
    ("platform", "os_version", "refusal"),
    [
        (Platform.MACOS, "10.10.5", Refusal.OS_TOO_OLD),
        (Platform.MACOS, "10.11", None),
        (Platform.MACOS, "10.9", Refusal.OS_TOO_OLD),
        (Platform.MACOS, "26.1", None),
        (Platform.IOS, "8.4.1", Refusal.OS_TOO_OLD),
        (Platform.IOS, "9.0", None),
        (Platform.IOS, "17.4", None),
        (Platform.IOS, "", Refusal.OS_TOO_OLD),
    ],
)
def test_a_vpp_app_has_its_floors(platform: Platform, os_version: str, refusal: Refusal | None) -> None:
    assert refuse_platform(AssetKind.VPP_APP, platform, os_version) is refusal


@given(KINDS, st.sampled_from([TargetType.USER, TargetType.USER_GROUP]))
def test_people_may_have_every_kind(kind: AssetKind, target_type: TargetType) -> None:
    assert refuse_target_type(kind, target_type) is None


@given(KINDS, st.sampled_from([TargetType.DEVICE, TargetType.DEVICE_GROUP]))
def test_a_kind_is_for_devices_unless_it_is_a_vpp_book(kind: AssetKind, target_type: TargetType) -> None:
    expected = Refusal.KIND_NOT_FOR_DEVICE if kind is AssetKind.VPP_BOOK else None
    assert refuse_target_type(kind, target_type) is expected


@given(KINDS, PLATFORMS, VERSIONS)
def test_a_newer_system_is_never_refused_where_an_older_is_not(
    kind: AssetKind, platform: Platform, numbers: list[int]
) -> None:
    older = ".".join(map(str, numbers))
    newer = ".".join(map(str, [numbers[0] + 1, *numbers[1:]]))
    if refuse_platform(kind, platform, older) is None:
        assert refuse_platform(kind, platform, newer) is None


@given(KINDS, st.sampled_from([Platform.TVOS, Platform.WATCHOS, Platform.VISIONOS]))
def test_a_platform_that_r1_does_not_name_gets_nothing(kind: AssetKind, platform: Platform) -> None:
    assert refuse_platform(kind, platform, "99") is not None


@given(st.text(max_size=20))
def test_any_text_can_be_read_as_a_version(text: str) -> None:
    assert all(number >= 0 for number in version_numbers(text))


def test_a_beta_is_read_up_to_its_letters() -> None:
    assert version_numbers("17.4.1b2") == (17, 4)
