"""The rules, drawn at random: who is refused, and where facts in any order lead."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assignment.decide import deliveries, entitlements
from assignment.decide.deliveries import DeliveryFact
from assignment.decide.entitlements import Effect, Fact, Said, after, move
from assignment.decide.refusals import (
    EXPLANATIONS,
    OWN_REFUSALS,
    Proposal,
    judge_of,
    refuse_assignment,
    refuse_device,
)
from assignment.decide.why import explain
from assignment.matrix import refuse_platform, refuse_target_type
from assignment.model import (
    LIVING,
    SETTLED,
    Asset,
    DeliveryState,
    Device,
    Entitlement,
    State,
    TargetType,
    Wish,
)
from shared.events.words import AssetKind, AssignmentMode, EnrollmentKind, InstallMode, Platform, Refusal
from shared.ids import new_id

NOW = datetime(2026, 11, 22, tzinfo=UTC)
FACTS = st.lists(st.sampled_from(Fact), max_size=12)
MODES = st.sampled_from(InstallMode)

assets = st.builds(
    Asset,
    id=st.uuids(),
    kind=st.sampled_from(AssetKind),
    adam_id=st.just("1"),
    device_assignable=st.booleans(),
    platforms=st.frozensets(st.sampled_from(Platform)),
    library_ids=st.frozensets(st.sampled_from(["one", "two"])),
)
wishes = st.builds(
    Wish,
    assignment_mode=st.sampled_from(AssignmentMode),
    install_mode=MODES,
    library_id=st.sampled_from([None, "one", "three"]),
)
devices = st.builds(
    Device,
    id=st.uuids(),
    serial_number=st.sampled_from([None, "C02X"]),
    platform=st.sampled_from(Platform),
    os_version=st.sampled_from(["8.4", "9", "10.10", "10.11", "26.1"]),
    kind=st.sampled_from(EnrollmentKind),
    enrolled=st.booleans(),
    generation=st.just(1),
)
proposals = st.builds(
    Proposal,
    target_type=st.sampled_from(TargetType),
    wish=wishes,
    acknowledge_no_catalogue=st.booleans(),
)


def life(state: State, mode: InstallMode = InstallMode.AUTOMATIC) -> Entitlement:
    """Return an entitlement in a state."""
    ids = [new_id() for _ in range(4)]
    return Entitlement(ids[0], ids[1], ids[2], "C02X", ids[3], state, Wish(install_mode=mode))


def lived(state: State, facts: list[Fact], mode: InstallMode = InstallMode.AUTOMATIC) -> State:
    """Return where facts lead from a state."""
    for fact in facts:
        for made in move(state, fact, mode):
            state = made.state
    return state


# Refusals.


@given(assets, proposals)
def test_r1s_own_no_comes_before_all_others(asset: Asset, proposal: Proposal) -> None:
    if refusal := refuse_target_type(asset.kind, proposal.target_type):
        assert refuse_assignment(asset, proposal) is refusal


@given(assets, proposals)
def test_what_is_not_carried_yet_is_never_accepted(asset: Asset, proposal: Proposal) -> None:
    carried = (
        asset.kind is AssetKind.VPP_APP
        and proposal.target_type in {TargetType.DEVICE, TargetType.DEVICE_GROUP}
        and proposal.wish.assignment_mode is AssignmentMode.DEVICE
    )
    if not carried:
        assert refuse_assignment(asset, proposal) is not None


@given(assets, proposals)
def test_what_is_carried_is_refused_only_for_its_licence(asset: Asset, proposal: Proposal) -> None:
    refusal = refuse_assignment(asset, proposal)
    if refusal is None:
        assert asset.device_assignable
        assert asset.library_ids
        manual = proposal.wish.install_mode is InstallMode.MANUAL
        assert proposal.acknowledge_no_catalogue or not manual
    assert refusal is None or refusal in EXPLANATIONS


@pytest.mark.parametrize(
    ("kind", "target_type", "mode", "install", "refusal"),
    [
        (AssetKind.VPP_BOOK, "device", "device", "automatic", Refusal.KIND_NOT_FOR_DEVICE),
        (AssetKind.VPP_BOOK, "device_group", "apple_id", "manual", Refusal.KIND_NOT_FOR_DEVICE),
        (AssetKind.VPP_BOOK, "user", "apple_id", "automatic", Refusal.NOT_OFFERED_YET),
        (AssetKind.VPP_BOOK, "user", "device", "automatic", Refusal.MODES_CONTRADICT),
        (AssetKind.IN_HOUSE_APP, "device", "device", "manual", Refusal.MODES_CONTRADICT),
        (AssetKind.IN_HOUSE_APP, "device", "device", "automatic", Refusal.NOT_OFFERED_YET),
        (AssetKind.VPP_APP, "user_group", "apple_id", "automatic", Refusal.NOT_OFFERED_YET),
        (AssetKind.VPP_APP, "device", "apple_id", "automatic", Refusal.NOT_OFFERED_YET),
        (AssetKind.VPP_APP, "device", "device", "manual", Refusal.MANUAL_DEVICE_LICENCE_UNSEEN),
        (AssetKind.VPP_APP, "device", "device", "automatic", None),
    ],
)
def test_the_no_of_a_whole_assignment_has_its_word(
    kind: AssetKind, target_type: str, mode: str, install: str, refusal: Refusal | None
) -> None:
    asset = Asset(new_id(), kind, "1", True, frozenset(), frozenset({"one"}))
    wish = Wish(assignment_mode=AssignmentMode(mode), install_mode=InstallMode(install))
    assert refuse_assignment(asset, Proposal(TargetType(target_type), wish)) is refusal


def test_an_asset_without_a_pool_or_in_another_library_is_refused() -> None:
    here = Asset(new_id(), AssetKind.VPP_APP, "1", True, frozenset(), frozenset({"one"}))
    nowhere = Asset(new_id(), AssetKind.VPP_APP, "1", True, frozenset(), frozenset())
    elsewhere = Proposal(TargetType.DEVICE, Wish(library_id="two"))
    assert refuse_assignment(nowhere, Proposal(TargetType.DEVICE, Wish())) is Refusal.NO_POOL
    assert refuse_assignment(here, elsewhere) is Refusal.NO_POOL
    assert refuse_assignment(None, elsewhere) is Refusal.UNKNOWN_ASSET


@given(assets, wishes, devices)
def test_a_device_is_accepted_only_enrolled_by_serial_and_within_r1(
    asset: Asset, wish: Wish, device: Device
) -> None:
    if refuse_device(asset, wish, device) is None:
        assert device.enrolled
        assert refuse_platform(asset.kind, device.platform, device.os_version) is None
        assert not asset.platforms or device.platform in asset.platforms
        if wish.assignment_mode is AssignmentMode.DEVICE:
            assert device.serial_number is not None
            assert device.kind is not EnrollmentKind.USER
        else:
            assert device.kind is not EnrollmentKind.SHARED_IPAD


@given(assets, wishes, st.lists(devices, max_size=20))
def test_judging_a_fleet_is_judging_each(asset: Asset, wish: Wish, fleet: list[Device]) -> None:
    judge = judge_of({asset.id: asset})
    assert [judge(asset.id, wish, device) for device in fleet] == [
        refuse_device(asset, wish, device) for device in fleet
    ]


# The life of an entitlement.


@given(st.sampled_from(State), FACTS, MODES)
def test_an_ended_life_never_lives_again(state: State, facts: list[Fact], mode: InstallMode) -> None:
    if state not in LIVING:
        assert lived(state, facts, mode) not in LIVING


@given(FACTS, MODES)
def test_scenario_05_a_revoke_ends_revoked_whatever_comes_around_its_answer(
    noise: list[Fact], mode: InstallMode
) -> None:
    end = lived(State.REVOKING, noise, mode)
    assert end is (State.REVOKED if Fact.RELEASED in noise else State.REVOKING)


@given(st.permutations([Fact.RESERVED, Fact.ASSIGNED, Fact.RESERVED, Fact.ASSIGNED]))
def test_a_confirmed_licence_goes_to_the_device_in_any_order_and_doubled(facts: list[Fact]) -> None:
    assert lived(State.REQUESTED, facts) is State.DELIVERING
    assert lived(State.REQUESTED, facts, InstallMode.MANUAL) is State.AVAILABLE


@given(st.sampled_from(State), st.sampled_from(Fact), MODES)
def test_a_fact_told_twice_is_told_once(state: State, fact: Fact, mode: InstallMode) -> None:
    assert lived(state, [fact, fact], mode) is lived(state, [fact], mode)


@given(st.sampled_from(State), FACTS, MODES)
def test_nothing_is_delivered_before_the_licence_is_confirmed(
    state: State, facts: list[Fact], mode: InstallMode
) -> None:
    if state not in {State.REQUESTED, State.RESERVED, State.WAITLISTED, State.AWAITING_ACCEPTANCE}:
        return
    confirmed = False
    for fact in facts:
        confirmed |= fact is Fact.ASSIGNED
        for made in move(state, fact, mode):
            state = made.state
            assert confirmed or made.effect is not Effect.DELIVER


@given(st.sampled_from(State), st.sampled_from(Fact), MODES)
def test_an_open_ask_has_a_deadline_and_nothing_else_has(state: State, fact: Fact, mode: InstallMode) -> None:
    for made in move(state, fact, mode):
        moved = after(life(state, mode), made, Said("told"), ask_again_at=NOW)
        asks = moved.state in {
            State.RESERVED,
            State.AWAITING_ACCEPTANCE,
            State.WAITLISTED,
            State.REVOKING,
        }
        assert (moved.ask_deadline_at is not None) == asks


def test_every_state_has_its_row_and_is_settled_or_on_its_way() -> None:
    assert entitlements.TABLE.keys() == set(State)
    assert deliveries.TABLE.keys() == set(DeliveryState)
    assert set(State) - SETTLED == {
        State.REQUESTED,
        State.RESERVED,
        State.AWAITING_ACCEPTANCE,
        State.LICENSED,
        State.DELIVERING,
        State.RETRYING,
        State.REVOKING,
    }


# The life of a delivery.


@given(st.lists(st.sampled_from(DeliveryFact), max_size=12))
def test_a_removal_that_was_asked_wins_over_every_later_word(facts: list[DeliveryFact]) -> None:
    state = DeliveryState.REMOVING
    for fact in facts:
        state = deliveries.TABLE[state].get(fact, state)
    assert state in {DeliveryState.REMOVING, DeliveryState.REMOVED, DeliveryState.KEPT}
    assert (state is DeliveryState.REMOVED) == (DeliveryFact.REMOVED in facts)


# Why.


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_explained(state: State) -> None:
    why = explain(life(state), delivery_asks_again_at=NOW, covered=True)
    assert why.explanation
    assert (why.blocking is None) == (state in {State.INSTALLED, State.AVAILABLE, State.REVOKED})


def test_every_own_refusal_has_a_sentence() -> None:
    for refusal in OWN_REFUSALS:
        refused = Entitlement(
            new_id(), new_id(), new_id(), "C02X", new_id(), State.REFUSED, Wish(), cause=refusal
        )
        assert (
            explain(refused, delivery_asks_again_at=None, covered=True).explanation == EXPLANATIONS[refusal]
        )


# What the README says.

README = Path(__file__).parents[2] / "services" / "assignment" / "README.md"


def test_the_readme_holds_the_table_of_entitlements() -> None:
    text = README.read_text()
    for state, row in entitlements.TABLE.items():
        cells = [_cell(row[fact]) if fact in row else "ignored" for fact in Fact]
        assert f"| `{state}` | {' | '.join(cells)} |" in text


def test_the_readme_holds_the_table_of_deliveries() -> None:
    text = README.read_text()
    for state, row in deliveries.TABLE.items():
        cells = [f"`{row[fact]}`" if fact in row else "ignored" for fact in DeliveryFact]
        assert f"| `{state}` | {' | '.join(cells)} |" in text


def _cell(made: entitlements.Move) -> str:
    return f"`{made.state}`" + (f": {made.effect}" if made.effect else "")
