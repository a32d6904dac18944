"""Every error number of Apple's, through a simulated Apple: what the client makes of it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
import structlog

from licensing.apple import Apple
from licensing.apple.wire import Moved, SlowDown
from licensing.model import (
    Access,
    AppleFailure,
    AppleRefused,
    AssetKey,
    EventStatus,
    HolderKind,
    IntentKind,
    MdmIdentity,
    NewAppleUser,
    Subscription,
    TokenRefused,
)
from licensing.model.errors import RULES, Action
from local.simulators.apple.errors import ERRORS
from shared.errors import Unavailable
from shared.retry import delay_seconds
from shared.vault import Secret
from shared.worker import WorkerSettings
from tests.licensing.office import APP, BOOK, AppleAdmin
from tests.licensing.scripted import ACCESS, KEY, Scripted, answering
from tests.licensing.situation import Situation

BOOK_KEY = AssetKey(BOOK, "STDQ")
PERSON = "person-1"
SYNCHRONOUS = (
    *(9601, 9602, 9603, 9609, 9621, 9622, 9623, 9625, 9634, 9637, 9646, 9647, 9650),
    *range(9700, 9716),
    *range(9717, 9730),
    *range(9811, 9819),
)
ASYNCHRONOUS = (9603, 9609, 9635, 9641, 9644, 9709, 9716)
LEGACY = (*range(9600, 9608), *range(9609, 9638), 9642, 9643, 9649)

SUSPENDING = {9601, 9621, 9622, 9625, 9637, 9647, 9722}
AGAIN = {9603, 9612, 9613, 9643, 9644}
MOVING = {9617, 9634, 9729}


def expected(number: int) -> type[Exception]:
    """Say what a whole request refused with a number comes to."""
    if number in SUSPENDING:
        return TokenRefused
    if number in MOVING:
        return Moved
    if number == 9646:
        return SlowDown
    return Unavailable if number in AGAIN else AppleRefused


def test_the_table_knows_every_number_that_apple_documents() -> None:
    assert {*SYNCHRONOUS, *ASYNCHRONOUS, *LEGACY} == set(RULES)


@pytest.mark.parametrize(
    ("number", "action"),
    [
        (9601, Action.STOP),
        (9602, Action.FIX),
        (9603, Action.RETRY),
        (9609, Action.RECONCILE),
        (9634, Action.STOP),
        (9637, Action.REFUSE),
        (9646, Action.RETRY),
        (9706, Action.REFUSE),
        (9708, Action.RECONCILE),
        (9709, Action.REFUSE),
        (9716, Action.RECONCILE),
        (9722, Action.FIX),
        (9729, Action.RETRY),
    ],
)
def test_each_number_asks_for_one_thing(number: int, action: Action) -> None:
    assert RULES[number].action is action


@pytest.fixture
async def people(admin: AppleAdmin, situation: Situation) -> Access:
    """The right to speak for a library with an app, a book, and one person who has joined."""
    uid, text = await admin.open_library(5, users=[PERSON])
    await situation.store_library(uid)
    return Access(uid, Secret(text.encode()))


@pytest.mark.parametrize("number", sorted(RULES))
async def test_a_request_refused_whole_has_the_consequence_of_its_number(
    apple: Apple, admin: AppleAdmin, people: Access, number: int
) -> None:
    status = ERRORS.get(number, (400, ""))[0]
    await admin.fault("assets/associate", "error", status=status, error_number=number)
    with pytest.raises((AppleRefused, Unavailable)) as caught:
        await apple.write(people, IntentKind.ASSOCIATE, KEY, ["S"])
    assert type(caught.value) is expected(number)
    await admin.settled()
    assert not await admin.holders()


@pytest.mark.parametrize("number", [9602, 9622, 9603, 9709, 9729])
@pytest.mark.parametrize("status", [200, 400, 500, 503])
async def test_a_known_number_counts_whatever_the_status(number: int, status: int) -> None:
    with pytest.raises(expected(number)):
        await Scripted(answering(status, errorNumber=number)).write()


@pytest.mark.parametrize(("status", "kind"), [(200, AppleRefused), (400, AppleRefused), (500, Unavailable)])
async def test_an_unknown_number_goes_by_the_status_and_is_said_aloud(
    status: int, kind: type[Exception]
) -> None:
    with structlog.testing.capture_logs() as said, pytest.raises(kind):
        await Scripted(answering(status, errorNumber=9999)).write()
    assert [(each["log_level"], each["number"]) for each in said] == [("error", 9999)]


async def test_an_unknown_number_in_an_event_is_said_aloud_too() -> None:
    failures = [{"errorNumber": 9999}, {"errorNumber": 9709}]
    scripted = Scripted(answering(eventStatus="FAILED", failures=failures))
    with structlog.testing.capture_logs() as said:
        state = await scripted.apple.status(ACCESS, "E")
    assert [failure.number for failure in state.failures] == [9999, 9709]
    assert [each["number"] for each in said] == [9999]


@pytest.mark.parametrize("number", ASYNCHRONOUS)
async def test_a_failed_event_tells_its_number_and_whom_it_names(
    apple: Apple, admin: AppleAdmin, people: Access, number: int
) -> None:
    await admin.fault("assets/associate", "failed", error_number=number, targets=["B"])
    event_id = await apple.write(people, IntentKind.ASSOCIATE, KEY, ["A", "B"])
    await admin.settled()
    state = await apple.status(people, event_id)
    assert state.status is EventStatus.FAILED
    assert state.failures == (AppleFailure(number, frozenset({"B"})),)
    assert await admin.holders() == {"A"}


async def test_a_failure_names_people_by_their_client_user_ids(
    apple: Apple, admin: AppleAdmin, people: Access
) -> None:
    await admin.knobs(unknown_users="fail")
    names = [PERSON, "stranger"]
    event_id = await apple.write(people, IntentKind.ASSOCIATE, KEY, names, holders=HolderKind.CLIENT_USER_IDS)
    await admin.settled()
    (failure,) = (await apple.status(people, event_id)).failures
    assert failure == AppleFailure(9609, client_user_ids=frozenset({"stranger"}))


Write = Callable[[Apple, Access], Awaitable[Any]]


def to_devices(kind: IntentKind, key: AssetKey, *names: str) -> Write:
    return lambda apple, access: apple.write(access, kind, key, names)


def to_people(kind: IntentKind, key: AssetKey, *names: str) -> Write:
    return lambda apple, access: apple.write(access, kind, key, names, holders=HolderKind.CLIENT_USER_IDS)


def creating(*users: NewAppleUser) -> Write:
    return lambda apple, access: apple.create_users(access, users)


def claiming(identity: MdmIdentity, subscription: Subscription | None = None) -> Write:
    return lambda apple, access: apple.claim(access, identity, subscription)


async def reading(apple: Apple, access: Access) -> Sequence[object]:
    return [page async for page in apple.users(access, since="never told")]


ASSOCIATE, DISASSOCIATE = IntentKind.ASSOCIATE, IntentKind.DISASSOCIATE
US = MdmIdentity("id", "name", "metadata")


@pytest.mark.parametrize(
    ("number", "write"),
    [
        (9602, to_devices(ASSOCIATE, AssetKey("1", "STDQ"), "S")),
        (9609, to_people(ASSOCIATE, KEY, "stranger")),
        (9701, to_people(ASSOCIATE, KEY, *map(str, range(1001)))),
        (9702, to_devices(ASSOCIATE, KEY, *map(str, range(1001)))),
        (9704, to_people(ASSOCIATE, KEY, PERSON, PERSON)),
        (9705, to_devices(ASSOCIATE, KEY, "S", "S")),
        (9706, to_people(DISASSOCIATE, BOOK_KEY, PERSON)),
        (9707, to_devices(ASSOCIATE, BOOK_KEY, "S")),
        (9708, lambda apple, access: apple.status(access, "unknown")),
        (9712, claiming(US, Subscription("http://door.test/", Secret(b"s")))),
        (9714, creating(*(NewAppleUser(f"u{number}") for number in range(101)))),
        (9715, creating(NewAppleUser("u"), NewAppleUser("u"))),
        (9717, creating(NewAppleUser("u", email="nowhere"))),
        (9719, to_devices(ASSOCIATE, KEY)),
        (9720, creating()),
        (9721, reading),
        (9724, claiming(MdmIdentity("i" * 101, "name", ""))),
        (9728, claiming(US, Subscription("https://127.0.0.1:9/", Secret(b"s")))),
    ],
)
async def test_apples_own_rules_come_back_as_their_numbers(
    apple: Apple, people: Access, number: int, write: Write
) -> None:
    with pytest.raises(AppleRefused) as caught:
        await write(apple, people)
    assert (type(caught.value), caught.value.failure.number) == (AppleRefused, number)


@pytest.mark.parametrize(
    ("number", "user"),
    [
        (9716, NewAppleUser(PERSON)),
        (9635, NewAppleUser("new", managed_apple_id="somebody@elsewhere.test")),
        (9641, NewAppleUser("new", managed_apple_id="taken@example.com")),
    ],
)
async def test_a_user_who_cannot_be_created_is_named(
    apple: Apple, admin: AppleAdmin, people: Access, number: int, user: NewAppleUser
) -> None:
    await apple.create_users(people, [NewAppleUser("taker", managed_apple_id="taken@example.com")])
    await admin.settled()
    event_id = await apple.create_users(people, [user, NewAppleUser("innocent")])
    await admin.settled()
    state = await apple.status(people, event_id)
    assert state.status is EventStatus.FAILED
    assert state.failures == (AppleFailure(number, client_user_ids=frozenset({user.client_user_id})),)
    assert await apple.user(people, "innocent")


async def test_too_few_licences_fail_an_event_and_name_who_got_none(
    apple: Apple, admin: AppleAdmin, people: Access
) -> None:
    event_id = await apple.write(people, ASSOCIATE, KEY, [f"S{number}" for number in range(6)])
    await admin.settled()
    (failure,) = (await apple.status(people, event_id)).failures
    assert failure.number == 9709
    assert failure.serial_numbers == {f"S{number}" for number in range(6)} - await admin.holders()
    assert len(failure.serial_numbers) == 1


@pytest.mark.parametrize(("rights", "number"), [("read", 9637), ("legacy", 9647)])
async def test_a_token_without_rights_is_refused_at_its_first_write(
    apple: Apple, admin: AppleAdmin, people: Access, rights: str, number: int
) -> None:
    made = await admin.post(f"/libraries/{people.library_id}/tokens", {"rights": rights})
    poor = Access(people.library_id, Secret(made["token"].encode()))
    with pytest.raises(TokenRefused) as caught:
        await apple.write(poor, ASSOCIATE, KEY, ["S"])
    assert caught.value.failure.number == number


async def test_revoked_tokens_are_refused(apple: Apple, admin: AppleAdmin, people: Access) -> None:
    await admin.revoke_tokens()
    with pytest.raises(TokenRefused) as caught:
        await apple.asset(people, AssetKey(APP, "STDQ"))
    assert caught.value.failure.number == 9625


def test_what_is_tried_again_is_tried_five_times_soon_and_then_minutes_apart() -> None:
    pace = WorkerSettings()
    waits = [
        delay_seconds(attempt, first=pace.first_retry_seconds, most=pace.longest_retry_seconds)
        for attempt in range(12)
    ]
    assert sum(waits[:5]) <= 31
    assert all(wait >= 16 for wait in waits[5:])
    assert 450 <= waits[-1] <= 900
