from hypothesis import given
from hypothesis import strategies as st

from shared.batches import Received, to_batches
from shared.events import Event
from shared.events.assignment import AssignmentRequested, AssignmentRevoked
from shared.events.words import AssetKind, RevokeReason
from shared.ids import asset_id
from tests.shared.conftest import asked
from tests.shared.records import record_of

HANDLERS: dict[type[Event], object] = {AssignmentRequested: None, AssignmentRevoked: None}
ASSETS = [asset_id(str(number), "STDQ") for number in range(3)]


def requested(asset: int) -> Received:
    return record_of(asked(ASSETS[asset], "S1"))


def revoked(asset: int) -> Received:
    targets = asked(ASSETS[asset], "S1").targets
    return record_of(
        AssignmentRevoked(
            asset_id=ASSETS[asset], kind=AssetKind.VPP_APP, reason=RevokeReason.ENDED, targets=targets
        )
    )


def grouped(records: list[Received], *, most_events: int = 100) -> list[list[int]]:
    batches = to_batches(records, HANDLERS, most_events=most_events, most_targets=1000)
    return [[records.index(record) for record in batch.records] for batch in batches]


def test_records_of_one_type_join_over_records_of_other_keys() -> None:
    assert grouped([requested(0), revoked(1), requested(0), revoked(1)]) == [[0, 2], [1, 3]]


def test_a_record_does_not_overtake_one_of_its_key() -> None:
    assert grouped([requested(0), revoked(0), requested(0)]) == [[0], [1], [2]]


def test_types_that_are_not_heard_are_dropped() -> None:
    batches = to_batches([requested(0), revoked(0)], {AssignmentRevoked: None}, most_events=9, most_targets=9)
    assert [batch.kind for batch in batches] == [AssignmentRevoked]


def test_a_record_that_cannot_be_read_keeps_its_poison() -> None:
    broken = record_of(asked(ASSETS[0], "S1"), value=b"{")
    batches = to_batches([broken], HANDLERS, most_events=9, most_targets=9)
    assert batches[0].kind is None
    assert batches[0].records[0].poison is not None
    assert batches[0].records[0].poison.reason == "unreadable"


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=40),
    st.integers(min_value=1, max_value=5),
)
def test_the_order_of_every_key_is_kept_and_nothing_is_lost(
    drawn: list[tuple[bool, int]], most_events: int
) -> None:
    records = [requested(asset) if asks else revoked(asset) for asks, asset in drawn]
    groups = grouped(records, most_events=most_events)
    flat = [index for group in groups for index in group]
    assert sorted(flat) == list(range(len(records)))
    assert all(len(group) <= most_events for group in groups)
    for asset in range(3):
        of_key = [index for index in flat if drawn[index][1] == asset]
        assert of_key == sorted(of_key)
