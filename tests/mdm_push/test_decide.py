from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdm_push.certificates import warning_due
from mdm_push.decide import Knowledge, listed
from mdm_push.decide.breaker import LIMIT, Breaker
from mdm_push.decide.pushes import answered, unanswered
from mdm_push.decide.why import Situation, why
from mdm_push.decide.words import slug
from mdm_push.model import (
    App,
    EnrollmentState,
    Intent,
    Patience,
    PushAnswer,
    WakeUp,
    Wish,
    WishState,
)
from shared.events.mdm_push import InstallCompleted, InstallFailed, RemovalCompleted, RemovalFailed
from shared.events.words import AssetKind, NothingRemoved
from shared.ids import new_id
from tests.mdm_push.shelf import PATIENCE, Shelf

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ACCEPTED = PushAnswer(status=200)
MAC = Shelf().enrollment
DELIVERIES = [new_id() for _ in range(3)]

asks = st.tuples(
    st.just("ask"),
    st.sampled_from(DELIVERIES),
    st.sampled_from(Intent),
    st.integers(min_value=1, max_value=3),
)
steps = st.lists(
    st.one_of(
        asks,
        st.tuples(st.just("poll")),
        st.tuples(st.just("answer")),
        st.tuples(st.just("error"), st.sampled_from([9610, 12064, 12025, 1])),
        st.tuples(st.just("unenroll")),
    ),
    max_size=25,
)


def play(shelf: Shelf, script: list[tuple[object, ...]]) -> dict[UUID, tuple[int, bool]]:
    """Play a script; return the newest ask of each delivery."""
    newest: dict[UUID, tuple[int, bool]] = {}
    for step in script:
        match step:
            case ("ask", UUID() as delivery, Intent() as intent, int(version)):
                shelf.ask(delivery, intent, version)
                newest[delivery] = max(newest.get(delivery, (0, False)), (version, intent is Intent.REMOVE))
            case ("poll",):
                shelf.poll()
            case ("answer",):
                shelf.answer()
            case ("error", int(code)):
                shelf.answer(errors=(code,))
            case _:
                shelf.unenroll()
    return newest


@given(steps)
def test_scenario_05_and_06_any_order_keeps_one_open_wish_and_answers_every_delivery(
    script: list[tuple[object, ...]],
) -> None:
    shelf = Shelf()
    newest = play(shelf, script)
    shelf.settle()
    for delivery in newest:
        assert [event for event in shelf.told if getattr(event, "delivery_id", None) == delivery]


@given(steps)
def test_an_ask_repeated_after_the_end_is_answered_again_and_changes_nothing(
    script: list[tuple[object, ...]],
) -> None:
    shelf = Shelf()
    newest = play(shelf, script)
    shelf.settle()
    before = dict(shelf.wishes)
    for delivery, (version, removes) in newest.items():
        intent = Intent.REMOVE if removes else Intent.INSTALL
        first = shelf.ask(delivery, intent, version)
        assert len(first) == 1
        assert shelf.ask(delivery, intent, version) == first
    assert shelf.wishes == before
    assert not shelf.queue or all(each.command.wish_id is None for each in shelf.queue)


@given(
    st.lists(asks, min_size=1, max_size=12),
    st.lists(st.sampled_from([("poll",), ("answer",)]), max_size=12),
)
def test_scenario_05_asks_in_any_order_end_with_the_wish_of_the_newest_delivery(
    asked: list[tuple[object, ...]], between: list[tuple[object, ...]]
) -> None:
    shelf = Shelf()
    mixed = [step for pair in zip_longest(asked, between) for step in pair if step is not None]
    newest = play(shelf, mixed)
    shelf.settle()
    _, removes = newest[max(newest)]
    assert shelf.on_device == (not removes)


def _end(shelf: Shelf, delivery: UUID, intent: Intent, version: int) -> object:
    shelf.ask(delivery, intent, version)
    shelf.settle()
    return [event for event in shelf.told if getattr(event, "delivery_id", None) == delivery][-1]


def test_a_removal_of_an_app_without_a_name_looks_for_it_first() -> None:
    shelf = Shelf()
    shelf.ask(DELIVERIES[0], Intent.INSTALL, 1)
    shelf.answer()
    shelf.ask(DELIVERIES[0], Intent.REMOVE, 1)
    looking = shelf.one({WishState.VERIFYING})
    assert looking is not None
    assert looking.intent is Intent.REMOVE
    shelf.settle()
    assert not shelf.on_device
    assert [type(event) for event in shelf.told] == [RemovalCompleted]


def test_a_removal_that_the_device_refuses_fails_with_its_code_if_the_app_is_still_there() -> None:
    shelf = Shelf()
    assert isinstance(_end(shelf, DELIVERIES[0], Intent.INSTALL, 1), InstallCompleted)
    shelf.ask(DELIVERIES[0], Intent.REMOVE, 1)
    assert shelf.answer(errors=(12021,)) == []
    [failed] = shelf.answer()
    assert isinstance(failed, RemovalFailed)
    assert (failed.cause, failed.error_code) == ("device_error", 12021)


def test_a_removal_of_an_app_that_the_user_deleted_finds_nothing_to_remove() -> None:
    shelf = Shelf()
    assert isinstance(_end(shelf, DELIVERIES[0], Intent.INSTALL, 1), InstallCompleted)
    shelf.on_device = False
    shelf.ask(DELIVERIES[0], Intent.REMOVE, 1)
    assert shelf.answer(errors=(12038,)) == []
    [completed] = shelf.answer()
    assert isinstance(completed, RemovalCompleted)
    assert completed.was is NothingRemoved.NOT_INSTALLED


def test_an_app_that_is_there_already_is_looked_up_and_not_failed() -> None:
    shelf = Shelf()
    shelf.on_device = True
    shelf.ask(DELIVERIES[0], Intent.INSTALL, 1)
    shelf.answer(errors=(12025,))
    shelf.settle()
    assert [type(event) for event in shelf.told] == [InstallCompleted]


def test_a_failed_install_is_tried_anew_for_a_newer_version_only() -> None:
    shelf = Shelf()
    shelf.ask(DELIVERIES[0], Intent.INSTALL, 1)
    shelf.answer(errors=(1,))
    [again] = shelf.ask(DELIVERIES[0], Intent.INSTALL, 1)
    assert isinstance(again, InstallFailed)
    assert shelf.ask(DELIVERIES[0], Intent.INSTALL, 2) == []
    shelf.settle()
    assert shelf.on_device


def wish(asset: UUID, intent: Intent = Intent.INSTALL) -> Wish:
    return Wish(
        id=new_id(),
        delivery_id=new_id(),
        entitlement_id=new_id(),
        version=1,
        enrollment_id=ENROLLMENT,
        generation=1,
        asset_id=asset,
        kind=AssetKind.VPP_APP,
        adam_id="1",
        intent=intent,
        state=WishState.VERIFYING,
        correlation_id=new_id(),
        causation_id=new_id(),
    )


ENROLLMENT = new_id()


def app(asset: UUID, identifier: str | None) -> App:
    return App(enrollment_id=ENROLLMENT, asset_id=asset, present=True, identifier=identifier)


def test_a_nameless_app_takes_the_only_name_that_is_free() -> None:
    mine, other = new_id(), new_id()
    known = Knowledge(MAC, {mine: app(mine, None), other: app(other, "com.other")}, {})
    statuses = {"com.other": "Managed", "com.mine": "Managed"}
    outcome = listed([wish(mine)], statuses, knowledge=known, now=NOW, patience=PATIENCE)
    assert outcome.apps[0].identifier == "com.mine"
    assert [type(each.event) for each in outcome.events] == [InstallCompleted]


def test_two_nameless_apps_are_not_guessed_but_known_names_help() -> None:
    first, second = new_id(), new_id()
    statuses = {"com.a": "Managed", "com.b": "Managed"}
    unknown = Knowledge(MAC, {}, {})
    both = [wish(first), wish(second)]
    assert listed(both, statuses, knowledge=unknown, now=NOW, patience=PATIENCE).events == []
    helped = Knowledge(MAC, {}, {first: "com.b"})
    outcome = listed(both, statuses, knowledge=helped, now=NOW, patience=PATIENCE)
    assert {each.asset_id: each.identifier for each in outcome.apps} == {first: "com.b", second: "com.a"}


@pytest.mark.parametrize(
    ("apps", "statuses", "told"),
    [
        ({}, {"com.a": "Managed", "com.b": "Managed"}, []),
        ({}, {}, [RemovalCompleted]),
        ({}, None, []),
        ({"identifier": "com.mine"}, {"com.a": "Managed"}, [RemovalCompleted]),
        ({"identifier": "com.mine"}, {"com.mine": "Managed"}, []),
    ],
)
def test_nothing_is_said_to_be_gone_that_the_list_may_name(
    apps: dict[str, str], statuses: dict[str, str] | None, told: list[type]
) -> None:
    asset = new_id()
    known = Knowledge(MAC, {asset: app(asset, apps.get("identifier"))}, {})
    outcome = listed([wish(asset, Intent.REMOVE)], statuses, knowledge=known, now=NOW, patience=PATIENCE)
    assert [type(each.event) for each in outcome.events] == told


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("UserRejected", "user_rejected"),
        ("NotAnApp", "not_an_app"),
        ("CouldNotVerifyAppID", "could_not_verify_app_id"),
        ("BadDeviceToken", "bad_device_token"),
        ("PurchaseMethodNotSupportedInMultiUser", "purchase_method_not_supported_in_multi_user"),
    ],
)
def test_apples_words_become_slugs(word: str, expected: str) -> None:
    assert slug(word) == expected


def wake(**changes: object) -> WakeUp:
    values: dict[str, object] = {
        "enrollment_id": ENROLLMENT,
        "topic": "t",
        "token": b"",
        "magic": b"",
        "token_updated_at": NOW,
        "version": 1,
        "attempts": 0,
        "problem": None,
        "correlation_id": new_id(),
    }
    return WakeUp(**(values | changes))  # type: ignore[arg-type]  # a builder for tests


@given(
    status=st.sampled_from([200, 400, 403, 404, 405, 410, 413, 429, 500, 503]),
    reason=st.sampled_from(
        [None, "BadDeviceToken", "Unregistered", "DeviceTokenNotForTopic", "Shutdown", "X"]
    ),
    attempts=st.integers(min_value=0, max_value=20),
    problem=st.sampled_from([None, "too_many_requests", "gone_before_token_update"]),
    gone=st.none() | st.datetimes(timezones=st.just(UTC)),
    doubted=st.booleans(),
)
def test_every_answer_leads_to_a_next_push_or_a_dead_token(
    *,
    status: int,
    reason: str | None,
    attempts: int,
    problem: str | None,
    gone: datetime | None,
    doubted: bool,
) -> None:
    answer = PushAnswer(status=status, reason=reason, gone_since=gone)
    judged = answered(
        wake(attempts=attempts, problem=problem),
        answer,
        doubted=doubted,
        now=NOW,
        patience=Patience(),
        jitter=1.0,
    )
    at = judged.outcome.next_push_at
    assert (judged.outcome.pushed_at is not None) == (status == 200)
    if at is None:
        assert status == 410 or reason in {"BadDeviceToken", "Unregistered"}
        assert not (doubted and reason == "BadDeviceToken"), "a doubted topic costs no token"
    else:
        assert NOW <= at <= NOW + timedelta(days=1)
    if judged.pauses_topic:
        assert at is not None, "no token is given up for a fault of the topic"


def test_a_topic_is_doubted_until_apns_knew_a_token_and_again_after_a_row_of_bad_ones() -> None:
    bad, known, gone = (PushAnswer(status=400, reason="BadDeviceToken"), ACCEPTED, PushAnswer(status=410))
    for proof in (known, gone):
        breaker = Breaker()
        breaker.hear("other", known)
        assert breaker.doubts("t")
        breaker.hear("t", proof)
        for _ in range(LIMIT - 1):
            breaker.hear("t", bad)
            assert not breaker.doubts("t")
        breaker.hear("t", PushAnswer(status=503))
        breaker.hear("t", bad)
        assert (breaker.open("t"), breaker.doubts("t")) == (True, True)
        breaker.hear("t", proof)
        assert (breaker.open("t"), breaker.doubts("t")) == (False, False)


def test_429_doubles_to_an_hour() -> None:
    waits = []
    before = wake()
    for _ in range(8):
        outcome = answered(
            before,
            PushAnswer(status=429, reason="TooManyRequests"),
            doubted=False,
            now=NOW,
            patience=Patience(),
            jitter=1.0,
        ).outcome
        assert outcome.next_push_at is not None
        waits.append((outcome.next_push_at - NOW).total_seconds())
        before = wake(attempts=outcome.attempts, problem=outcome.problem)
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_an_apns_that_names_a_wait_is_obeyed() -> None:
    outcome = unanswered(wake(), "x", retry_after_seconds=40, now=NOW, jitter=1.0)
    assert outcome.next_push_at == NOW + timedelta(seconds=40)


@pytest.mark.parametrize(
    ("days_left", "told", "due"),
    [
        (61, None, None),
        (60, None, 60),
        (45, 60, None),
        (29, 60, 30),
        (0.5, 7, 1),
        (-3, 1, None),
        (-3, None, 1),
    ],
)
def test_the_end_of_a_certificate_is_told_once_at_each_step(
    days_left: float, told: int | None, due: int | None
) -> None:
    assert warning_due(NOW + timedelta(days=days_left), days_told=told, now=NOW) == due


@pytest.mark.parametrize(
    ("changes", "blocked", "action"),
    [
        ({"state": EnrollmentState.UNENROLLED}, "unenrolled", "device_enrolls_again"),
        ({"state": EnrollmentState.AUTHENTICATED}, "no_token_update_yet", "device_sends_token_update"),
        ({"open": 0}, None, None),
        ({"dead": True, "problem": "unregistered"}, "unregistered", "device_sends_token_update"),
        ({"due": 0}, "not_due_yet", "next_command_due"),
        ({"has_certificate": False}, "no_push_certificate", "certificate_is_stored"),
        ({"problem": "too_many_requests"}, "too_many_requests", "wake_up"),
        ({"refused": 1}, "device_said_not_now", "wake_up"),
        ({"last_push_at": None}, "not_pushed_yet", "wake_up"),
        ({}, "device_silent", "wake_up"),
    ],
)
def test_why_names_what_blocks_and_who_moves_next(
    changes: dict[str, object], blocked: str | None, action: str | None
) -> None:
    values: dict[str, object] = {
        "state": EnrollmentState.ENROLLED,
        "open": 1,
        "refused": 0,
        "due": 1,
        "next_due_at": NOW,
        "next_push_at": NOW,
        "last_push_at": NOW,
        "problem": None,
        "dead": False,
        "has_certificate": True,
    }
    said = why(Situation(**(values | changes)))  # type: ignore[arg-type]  # a table of cases
    assert (said.blocked_by, said.next_action) == (blocked, action)
