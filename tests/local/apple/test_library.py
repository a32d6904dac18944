"""The counting rules alone, in any order of events."""

import contextlib
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from local.simulators.apple.assets import (
    Asset,
    AssetKey,
    AssignedOnRefund,
    CountError,
    HolderKind,
    ProductType,
    Quality,
)
from local.simulators.apple.assignments import AssignmentFilter, count_assignments, slice_assignments
from local.simulators.apple.library import Library

NAMES = st.lists(st.sampled_from("ABCDEFGH"), unique=True)
NO_MORE_THAN_OWNED = st.sampled_from([AssignedOnRefund.REFUSE, AssignedOnRefund.TAKE_BACK])
STEPS = st.one_of(
    st.builds(
        lambda kind, names: lambda asset: asset.associate(kind, names), st.sampled_from(HolderKind), NAMES
    ),
    st.builds(
        lambda kind, names: lambda asset: asset.disassociate(kind, names), st.sampled_from(HolderKind), NAMES
    ),
    st.builds(
        lambda count, policy: lambda asset: refund(asset, count, policy),
        st.integers(1, 9),
        NO_MORE_THAN_OWNED,
    ),
)


def an_asset(total: int, adam_id: str = "1") -> Asset:
    key = AssetKey(adam_id, Quality.STANDARD)
    return Asset(key, ProductType.APP, ("iOS",), device_assignable=True, revocable=True, total=total)


def refund(asset: Asset, count: int, policy: AssignedOnRefund) -> None:
    with contextlib.suppress(CountError):
        asset.refund(count, assigned=policy)


@given(st.integers(0, 12), st.lists(STEPS))
def test_the_counts_add_up_after_every_step(total: int, steps: list[Callable[[Asset], None]]) -> None:
    asset = an_asset(total)
    for step in steps:
        step(asset)
        assert asset.total == asset.available + asset.assigned + asset.retired
        assert min(asset.total, asset.available, asset.assigned) >= 0


@given(st.integers(0, 12), NAMES, NAMES)
def test_whoever_asks_first_is_served_and_the_rest_are_named(
    total: int, first: list[str], second: list[str]
) -> None:
    asset = an_asset(total)
    refused = [*asset.associate(HolderKind.SERIAL, first), *asset.associate(HolderKind.SERIAL, second)]
    wanted = list(dict.fromkeys(first + second))
    assert list(asset.holders[HolderKind.SERIAL]) == wanted[:total]
    assert set(refused) == set(wanted[total:])


@given(st.lists(NAMES, max_size=4), st.integers(1, 5))
def test_pages_put_together_are_the_whole_list(groups: list[list[str]], size: int) -> None:
    library = Library("uid", "US", "enterprisestore", "Headquarters", "version")
    for number, names in enumerate(groups):
        asset = an_asset(len(names), str(number))
        asset.associate(HolderKind.SERIAL, names)
        library.assets[asset.key] = asset
    everything = AssignmentFilter()
    total = count_assignments(library, everything)
    rows = [
        row for start in range(0, total, size) for row in slice_assignments(library, everything, start, size)
    ]
    assert [(row["adamId"], row["serialNumber"]) for row in rows] == [
        (str(number), name) for number, names in enumerate(groups) for name in names
    ]
