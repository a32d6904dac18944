import json
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.events import Heard, Unreadable
from shared.events.assignment import AssignmentRequested
from shared.ids import asset_id, new_ids
from shared.targets import cut, divide, halves, joined
from tests.shared.conftest import asked
from tests.shared.records import record_of

ASSET = asset_id("1", "STDQ")
IDS = new_ids(40)


def heard(count: int, *, unreadable: int = 0) -> Heard[AssignmentRequested]:
    """Return an event about so many targets."""
    event = asked(ASSET, *(f"S{number}" for number in range(count)), entitlements=IDS[:count])
    read = record_of(event).heard
    assert read is not None
    return Heard(read.envelope, event, tuple(Unreadable(None, "no id") for _ in range(unreadable)))


def ids(part: Heard[AssignmentRequested] | None) -> list[UUID]:
    return [] if part is None else list(part.event.entitlement_ids())


@given(st.integers(0, 40), st.integers(0, 2))
def test_halves_hold_every_target_and_everything_unreadable_once(count: int, unreadable: int) -> None:
    event = heard(count, unreadable=unreadable)
    parts = halves(event)
    assert bool(parts) == (count + bool(unreadable) > 1)
    if parts:
        assert [each for part in parts for each in ids(part)] == ids(event)
        assert sum(len(part.unreadable) for part in parts) == unreadable
        assert all(ids(part) or part.unreadable for part in parts)
        assert joined(parts).event == event.event


@given(st.integers(0, 40), st.integers(0, 2), st.sets(st.sampled_from(IDS)))
def test_what_waits_is_parted_from_what_goes_on(count: int, unreadable: int, waiting: set[UUID]) -> None:
    event = heard(count, unreadable=unreadable)
    going, staying = divide(event, waiting)
    assert set(ids(staying)) == waiting & set(ids(event))
    assert set(ids(going)) == set(ids(event)) - waiting
    assert going is not None or staying is event
    assert len(going.unreadable if going else event.unreadable) == unreadable


def test_a_cut_keeps_every_field_as_it_came() -> None:
    """A newer publisher may have added some that a later build of ours knows."""
    event = heard(3)
    said = json.loads(event.event.model_dump_json())
    said["added"] = {"later": True}
    said["targets"][1]["added"] = 7
    said["targets"].append({"entitlement_id": "not an id"})
    _, second = divide(event, {IDS[1]})
    assert second is not None
    kept = json.loads(cut(json.dumps(said).encode(), second))
    assert kept == {**said, "targets": [said["targets"][1]]}
