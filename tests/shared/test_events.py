"""Records become events and back: whatever comes over the wire is an event, or poison, never an accident."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.batches import Place, receive
from shared.errors import Poison
from shared.events import MAX_TARGETS_PER_EVENT, Envelope, Event, Principal, split
from shared.events.assignment import AssignmentRequested, UserChanged, UserDeleted
from shared.events.envelope import read_envelope
from shared.events.registry import REGISTRY, decode, encode, event_type
from shared.events.words import AssetKind, AssignmentMode, InstallMode

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
ENVELOPES = st.builds(
    Envelope,
    event_id=st.uuids(),
    source=TEXTS.filter(lambda text: not text.startswith("/services/")),
    type=TEXTS.filter(lambda text: ":" not in text),
    version=st.integers(1, 99),
    time=st.datetimes(timezones=st.just(UTC)),
    subject=TEXTS,
    correlation_id=st.uuids(),
    causation_id=st.none() | st.uuids(),
    sequence=st.none() | st.integers(0, 2**62),
    traceparent=st.none() | TEXTS,
)
HEADER_NAMES = ["ce_id", "ce_source", "ce_type", "ce_dataschema", "ce_time", "ce_subject", "ce_correlationid"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
SERIALS = st.text("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", min_size=1, max_size=12)
GOOD = st.builds(
    lambda entitlement_id, version, serial: {
        "entitlement_id": str(entitlement_id),
        "version": version,
        "serial_number": serial,
    },
    st.uuids(),
    st.integers(0, 2**40),
    SERIALS,
)
BAD = st.one_of(
    GOOD.map(lambda target: {**target, "serial_number": "C02\x00ZK0"}),
    GOOD.map(lambda target: {**target, "serial_number": None}),
    GOOD.map(lambda target: {**target, "user_id": target["entitlement_id"]}),
    GOOD.map(lambda target: {**target, "version": -1}),
    GOOD.map(lambda target: {name: value for name, value in target.items() if name != "entitlement_id"}),
    JSON.filter(lambda value: not isinstance(value, dict)),
)
ENVELOPE = Envelope(
    event_id=UUID(int=1),
    source="assignment",
    type="AssignmentRequested",
    version=1,
    time=datetime(2026, 11, 22, tzinfo=UTC),
    subject="",
    correlation_id=UUID(int=2),
)


@given(ENVELOPES)
def test_an_envelope_goes_through_its_headers_unchanged(envelope: Envelope) -> None:
    assert read_envelope(envelope.headers()) == envelope


@given(ENVELOPES, st.sampled_from(HEADER_NAMES))
def test_an_envelope_without_a_header_it_needs_is_poison(envelope: Envelope, missing: str) -> None:
    headers = [(name, value) for name, value in envelope.headers() if name != missing]
    with pytest.raises(Poison, match="no_envelope"):
        read_envelope(headers)


@given(st.lists(st.tuples(st.sampled_from(HEADER_NAMES) | st.text(), st.none() | st.binary())))
def test_headers_of_any_kind_are_an_envelope_or_poison(headers: list[tuple[str, bytes | None]]) -> None:
    received = receive(Place("topic", 0, 0), key=b"", headers=headers, value=b"")
    assert received.poison is None or received.poison.reason == "no_envelope"
    assert all(isinstance(value, bytes) for _, value in received.headers)


@given(ENVELOPES, st.sampled_from(HEADER_NAMES), st.none() | st.binary())
def test_one_spoiled_header_is_an_envelope_or_poison(
    envelope: Envelope, name: str, value: bytes | None
) -> None:
    received = receive(Place("topic", 0, 0), key=b"", headers=[*envelope.headers(), (name, value)], value=b"")
    if received.envelope is None:
        assert received.poison is not None
        assert received.poison.reason == "no_envelope"
    else:
        assert received.envelope.time.tzinfo is not None


def test_a_time_without_its_offset_is_poison() -> None:
    headers = [*ENVELOPE.headers(), ("ce_time", b"2026-11-22T18:30:00")]
    with pytest.raises(Poison, match="ce_time"):
        read_envelope(headers)


@given(st.sampled_from(list(REGISTRY.values())), st.binary(), st.none() | st.binary())
def test_any_bytes_are_an_event_or_poison(kind: type[Event], key: bytes, value: bytes | None) -> None:
    _event_or_poison(kind, key, value)


@given(st.sampled_from(list(REGISTRY.values())), JSON)
def test_any_json_is_an_event_or_poison(kind: type[Event], value: Any) -> None:
    _event_or_poison(kind, b"key", json.dumps(value).encode())


@pytest.mark.parametrize("kind", REGISTRY.values(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("opening", [b"[", b'{"targets":', b'{"targets":[{"entitlement_id":'])
def test_json_that_is_nested_without_end_is_poison(kind: type[Event], opening: bytes) -> None:
    _event_or_poison(kind, b"key", opening * 100_000)


@given(st.lists(st.tuples(st.booleans(), GOOD, BAD), max_size=20))
def test_a_target_that_cannot_be_read_is_set_apart_and_the_others_stay_in_order(
    drawn: list[tuple[bool, dict[str, Any], Any]],
) -> None:
    targets = [good if is_good else bad for is_good, good, bad in drawn]
    heard = decode(AssignmentRequested, ENVELOPE, key=b"", value=_requested(targets))
    assert isinstance(heard.event, AssignmentRequested)
    assert [str(target.entitlement_id) for target in heard.event.targets] == [
        good["entitlement_id"] for is_good, good, _ in drawn if is_good
    ]
    assert [each.entitlement_id for each in heard.unreadable] == [
        _id_of(bad) for is_good, _, bad in drawn if not is_good
    ]


@pytest.mark.parametrize("bad", [None, {"entitlement_id": 7}])
def test_more_targets_than_an_event_may_have_are_not_looked_at_one_by_one(bad: Any) -> None:
    good = {"entitlement_id": str(UUID(int=7)), "serial_number": "C02", "version": 1}
    targets = [good] * MAX_TARGETS_PER_EVENT + [good if bad is None else bad]
    with pytest.raises(Poison) as caught:
        decode(AssignmentRequested, ENVELOPE, key=b"", value=_requested(targets))
    assert caught.value.reason == "unreadable"


def test_targets_that_are_no_list_are_poison() -> None:
    with pytest.raises(Poison):
        decode(AssignmentRequested, ENVELOPE, key=b"", value=_requested("abc"))


def test_the_complaint_about_a_target_never_repeats_what_it_said() -> None:
    bad = {"entitlement_id": str(UUID(int=7)), "serial_number": "zoe@school.example", "version": 1}
    heard = decode(AssignmentRequested, ENVELOPE, key=b"", value=_requested([bad]))
    assert heard.unreadable[0].entitlement_id == UUID(int=7)
    assert "zoe" not in heard.unreadable[0].detail


def test_the_complaint_about_an_event_never_repeats_what_it_said() -> None:
    value = json.dumps({"user_id": "zoe@school.example", "state": ["Zoë"]}).encode()
    with pytest.raises(Poison) as caught:
        decode(UserChanged, ENVELOPE, key=b"", value=value)
    said = f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"
    assert not any(word in said for word in ("zoe", "Zoë"))


def test_an_event_whose_own_fields_cannot_be_read_is_poison_as_a_whole() -> None:
    with pytest.raises(Poison) as caught:
        decode(AssignmentRequested, ENVELOPE, key=b"", value=_requested([], kind="boat"))
    assert caught.value.reason == "unreadable"


@given(st.uuids(), st.none() | st.binary())
def test_a_tombstone_says_all_by_its_key(user_id: UUID, value: bytes | None) -> None:
    event = UserDeleted(user_id=user_id)
    assert encode(event) is None
    assert decode(UserDeleted, ENVELOPE, key=event.key().encode(), value=value).event == event


@given(st.binary())
def test_a_tombstone_of_nobody_is_poison(key: bytes) -> None:
    try:
        decode(UserDeleted, ENVELOPE, key=key, value=None)
    except Poison as poison:
        assert poison.reason == "unreadable"  # noqa: PT017 - only a uuid is anybody


def test_an_event_without_a_value_is_poison_unless_it_is_a_tombstone() -> None:
    with pytest.raises(Poison):
        decode(UserChanged, ENVELOPE, key=b"", value=None)


@given(ENVELOPES)
def test_a_type_that_nobody_knows_is_no_fault(envelope: Envelope) -> None:
    if envelope.type not in REGISTRY:
        assert event_type(envelope) is None


@given(st.integers(0, 3500))
def test_sets_are_cut_into_what_one_event_carries(count: int) -> None:
    target = Principal(entitlement_id=UUID(int=1), serial_number="C02")
    sets = split([target] * count)
    assert sum(map(len, sets)) == count
    assert all(0 < len(each) <= MAX_TARGETS_PER_EVENT for each in sets)


def _event_or_poison(kind: type[Event], key: bytes, value: bytes | None) -> None:
    try:
        decode(kind, ENVELOPE, key=key, value=value)
    except Poison as poison:
        assert poison.reason == "unreadable"  # noqa: PT017 - either outcome is right


def _requested(targets: Any, *, kind: str = AssetKind.VPP_APP) -> bytes:
    said = {
        "asset_id": str(UUID(int=3)),
        "kind": kind,
        "assignment_mode": AssignmentMode.DEVICE,
        "install_mode": InstallMode.AUTOMATIC,
        "targets": targets,
    }
    return json.dumps(said).encode()


def _id_of(target: Any) -> UUID | None:
    if isinstance(target, dict) and "entitlement_id" in target:
        return UUID(target["entitlement_id"])
    return None
