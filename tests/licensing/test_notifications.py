"""Apple's notifications: proven and kept before they are answered, read afterwards, and never believed too much."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from prometheus_client import REGISTRY

from licensing.handlers.intake import MALFORMED_KEPT
from licensing.notification_secret import secret_hash
from licensing.store import notifications
from licensing.store.notifications import Sealed
from tests.licensing.conftest import Call
from tests.licensing.office import AppleAdmin, Office
from tests.licensing.situation import wishes

MALFORMED = "/v1/malformed-notifications"
WITH_OTHER_SECRET = {"authorization": "Bearer guessed"}

Notify = Callable[..., Awaitable[httpx2.Response]]


@pytest.fixture
async def library_id(school: Office) -> str:
    return await school.library()


@pytest.fixture
def notify(library_id: str, admin: AppleAdmin, call: Call) -> Notify:
    """`await notify(body, **said)`: what Apple would send, with the secret that it was told."""
    secret = next(iter(admin.simulator.world.libraries.values())).subscription.auth_token

    async def notify(body: object, **said: Any) -> httpx2.Response:
        return await call(
            "POST",
            f"/apple/notifications/{said.pop('library_id', library_id)}",
            scope=None,
            content=body if isinstance(body, bytes) else json.dumps(body).encode(),
            **{"headers": {"authorization": f"Bearer {secret}"}, **said},
        )

    return notify


def told(kind: str, notification_id: str = "n", **said: Any) -> dict[str, Any]:
    return {"notificationId": notification_id, "notificationType": kind, "notification": {}, **said}


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("apple_notifications_total", {"outcome": outcome}) or 0


async def errands(school: Office) -> list[str]:
    """Let the clock read what came in, and return the kinds of work that came of it."""
    await school.clockwork.read_notifications()
    return [row[0] for row in await school.rows("SELECT kind FROM work ORDER BY kind")]


async def test_a_malformed_notification_can_be_inspected_by_an_administrator(
    school: Office, library_id: str, notify: Notify, call: Call
) -> None:
    before = counted("malformed")
    body = b'{"notificationId": "\xff", "secret": "xyzzy"'
    response = await notify(body)
    assert (response.status_code, response.json()["type"]) == (400, "malformed_notification")
    assert counted("malformed") == before + 1

    (shown,) = (await call("GET", MALFORMED, scope="licenses:read")).json()["items"]
    assert (shown["library_id"], shown["size_bytes"]) == (library_id, len(body))
    assert "xyzzy" not in json.dumps(shown)
    one = f"{MALFORMED}/{shown['malformed_notification_id']}"
    assert (await call("GET", one, scope="licenses:read")).status_code == 403
    assert (await call("GET", one)).json()["body"] == '{"notificationId": "\\xff", "secret": "xyzzy"'
    (stored,) = await school.rows("SELECT sealed FROM malformed_notification")
    assert b"xyzzy" not in stored[0]


async def test_of_malformed_notifications_the_last_ones_are_kept_of_each_library(
    school: Office, library_id: str, notify: Notify, call: Call
) -> None:
    other = await _another_library(school, "guessed")
    await notify(b"of the other", library_id=other, headers=WITH_OTHER_SECRET)
    for number in range(MALFORMED_KEPT + 3):
        await notify(f"number {number}".encode())
    items = (await call("GET", f"{MALFORMED}?library_id={library_id}")).json()["items"]
    assert len(items) == MALFORMED_KEPT
    newest = (await call("GET", f"{MALFORMED}/{items[0]['malformed_notification_id']}")).json()
    assert newest["body"] == f"number {MALFORMED_KEPT + 2}"
    assert len((await call("GET", f"{MALFORMED}?library_id={other}")).json()["items"]) == 1


async def test_malformed_notifications_are_forgotten_with_the_others(
    school: Office, notify: Notify, call: Call
) -> None:
    """They may hold an address or a code of somebody who was erased since."""
    await notify(b"nonsense")
    school.clock.turn(6 * 86_400)
    await school.clockwork.forget_notifications()
    assert len((await call("GET", MALFORMED)).json()["items"]) == 1
    school.clock.turn(2 * 86_400)
    await school.clockwork.forget_notifications()
    assert (await call("GET", MALFORMED)).json()["items"] == []


async def test_replicas_that_are_brought_the_same_in_another_order_do_not_block_each_other(
    school: Office, library_id: str
) -> None:
    first, second = (Sealed(library_id, each, b"") for each in ("a", "b"))

    async def other() -> None:
        async with school.database.transaction() as tx:
            await notifications.store(tx, [second, first])

    async with school.database.transaction() as tx:
        await notifications.store(tx, [first])
        waiting = asyncio.create_task(other())
        while not await school.rows("SELECT FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
        await notifications.store(tx, [second])
    await waiting


async def test_of_what_was_read_no_body_is_kept(school: Office, notify: Notify) -> None:
    """It may name somebody, with their address, who is erased long before it is forgotten (scenario 30)."""
    await notify(told("USER_ASSOCIATED", "n-1"))
    await school.clockwork.read_notifications()
    assert await school.rows("SELECT sealed FROM notification WHERE id = 'n-1'") == [(None,)]
    await notify(told("USER_ASSOCIATED", "n-1"))
    assert await school.rows("SELECT id FROM notification WHERE processed_at IS NULL") == []


async def test_nothing_is_kept_of_who_does_not_know_the_secret(school: Office, notify: Notify) -> None:
    before, kept = counted("wrong_secret"), await school.rows("SELECT id FROM notification")
    assert (await notify(b"nonsense", headers=WITH_OTHER_SECRET)).status_code == 401
    assert (await notify(told("ASSET_COUNT"), headers=WITH_OTHER_SECRET)).status_code == 401
    assert (await notify(told("ASSET_COUNT"), library_id="%00")).status_code == 401
    assert counted("wrong_secret") == before + 3
    assert await school.rows("SELECT id FROM notification") == kept
    assert await school.rows("SELECT id FROM malformed_notification") == []


async def test_of_many_that_come_at_once_each_gets_its_own_answer(school: Office, notify: Notify) -> None:
    before = len(await school.rows("SELECT id FROM notification"))
    answers = await asyncio.gather(
        *[notify(told("NEW", f"n-{number % 60}")) for number in range(120)],
        *[notify(b"nonsense") for _ in range(5)],
        *[notify(told("NEW", "never"), headers=WITH_OTHER_SECRET) for _ in range(40)],
    )
    assert Counter(each.status_code for each in answers) == {200: 120, 400: 5, 401: 40}
    assert [each.status_code for each in answers] == [200] * 120 + [400] * 5 + [401] * 40
    assert len(await school.rows("SELECT id FROM notification")) == before + 60


async def test_what_the_database_does_not_take_is_not_answered_as_taken(
    school: Office, notify: Notify
) -> None:
    await _execute(school, "ALTER TABLE notification RENAME TO away")
    try:
        answers = await asyncio.gather(*[notify(told("NEW", f"n-{number}")) for number in range(3)])
    finally:
        await _execute(school, "ALTER TABLE away RENAME TO notification")
    assert [each.status_code for each in answers] == [500] * 3
    assert (await notify(told("NEW"))).status_code == 200


@pytest.mark.parametrize("kind", ["ASSET_COUNT", "UNLIMITED_ASSET"])
async def test_news_of_purchases_bring_the_reading_of_the_assets_forward_once(
    school: Office, notify: Notify, kind: str
) -> None:
    for number in range(3):
        await notify(told(kind, f"n-{number}", notification={"countDelta": -50}))
    before = await school.pool()
    assert await errands(school) == ["read_assets"]
    assert await school.pool() == before


@pytest.mark.parametrize("kind", ["USER_MANAGEMENT", "USER_ASSOCIATED"])
async def test_news_of_people_bring_the_reading_of_the_apple_users_forward_once(
    school: Office, notify: Notify, kind: str
) -> None:
    for number in range(3):
        await notify(told(kind, f"n-{number}"))
    assert await errands(school) == ["read_users"]


async def test_news_of_all_people_of_an_event_bring_its_status_forward(
    school: Office, library_id: str, notify: Notify
) -> None:
    await _execute(
        school,
        "WITH them AS (INSERT INTO person (user_id, version, state) SELECT gen_random_uuid(), 1, 'active'"
        " FROM generate_series(1, 2) RETURNING user_id),"
        " later AS (INSERT INTO work (id, kind, payload, correlation_id, due_at, created_at)"
        " VALUES (gen_random_uuid(), 'write_users', '{}', gen_random_uuid(), 'infinity', now()) RETURNING id),"
        " sent AS (INSERT INTO user_write (id, library_id, kind, work_id, sent_at, event_id)"
        " SELECT id, $1, 'create', id, now(), 'e' FROM later RETURNING id)"
        " INSERT INTO apple_user (library_id, user_id, client_user_id, state, wants, write_id, correlation_id,"
        " changed_at) SELECT $1, user_id, user_id::text, 'new', 'create', sent.id, user_id, now() FROM them, sent",
        library_id,
    )
    people = [row[0] for row in await school.rows("SELECT client_user_id FROM apple_user")]
    hastened = []
    for number, person in enumerate(people):
        about = {"eventId": "e", "users": [{"clientUserId": person}]}
        await notify(told("USER_MANAGEMENT", f"n-{number}", notification=about))
        await school.clockwork.read_notifications()
        ((due_at,),) = await school.rows("SELECT due_at FROM work WHERE kind = 'write_users'")
        hastened.append(due_at == school.clock.now())
    assert hastened == [False, True]


async def test_a_status_that_apple_asked_us_to_wait_for_is_not_brought_forward(
    school: Office, admin: AppleAdmin
) -> None:
    await admin.knobs(hold_events=True)
    await school.request(*wishes(2))
    await school.work()
    await admin.fault("status", "error", status=503, error_number=9729, retry_after_seconds=40)
    assert await school.pass_time(30) == ["intent!apple_9729"]
    await _execute(
        school, "UPDATE library SET next_request_at = NULL"
    )  # its pause goes by the database's clock

    await admin.knobs(hold_events=False)
    await admin.notified()
    await school.clockwork.read_notifications()
    assert await school.pass_time(39) == []
    assert await school.pass_time(1) == ["intent"]
    assert len(await school.assigned()) == 2


@pytest.mark.parametrize("kind", ["SOMETHING_NEW", "TEST_NOTIFICATION", "SUBSCRIPTION_COUNT"])
async def test_types_that_say_nothing_to_us_are_kept_and_read(
    school: Office, notify: Notify, kind: str
) -> None:
    assert (await notify(told(kind))).status_code == 200
    assert await errands(school) == []


async def test_what_speaks_of_another_library_is_kept_and_not_believed(
    school: Office, library_id: str, notify: Notify
) -> None:
    before = counted("not_believed")
    assert (await notify(told("ASSET_COUNT", uId="another"))).status_code == 200
    assert await errands(school) == []
    assert counted("not_believed") == before + 1
    assert (await notify(told("ASSET_COUNT", "m", uId=library_id))).status_code == 200
    assert await errands(school) == ["read_assets"]


async def test_another_librarys_secret_hastens_nothing_of_ours(
    school: Office, admin: AppleAdmin, notify: Notify
) -> None:
    await admin.knobs(notification_loss=1.0)
    await school.request(*wishes(1))
    await school.work()
    ((event_id,),) = await school.rows("SELECT event_id FROM intent")
    body = told(
        "ASSET_MANAGEMENT", notification={"eventId": event_id, "assignments": [{"serialNumber": "S"}]}
    )
    other = await _another_library(school, "guessed")
    await notify(body, library_id=other, headers=WITH_OTHER_SECRET)
    await school.clockwork.read_notifications()
    await school.work()
    assert await school.assigned() == set()

    await notify(body)
    await school.clockwork.read_notifications()
    await school.work()
    assert len(await school.assigned()) == 1


async def test_one_that_cannot_be_opened_does_not_hold_up_the_others(school: Office, notify: Notify) -> None:
    before = counted("unopened")
    await notify(told("ASSET_COUNT", "broken"))
    await notify(told("ASSET_COUNT", "whole"))
    await _execute(school, "UPDATE notification SET sealed = 'broken' WHERE id = 'broken'")
    assert await errands(school) == ["read_assets"]
    assert counted("unopened") == before + 1
    assert await school.rows("SELECT 1 FROM notification WHERE processed_at IS NULL") == []


async def _another_library(school: Office, secret: str) -> str:
    """Let another library be known here, with this secret."""
    await school.store_library("another")
    await _execute(
        school, "UPDATE library SET notification_hash = $1 WHERE id = 'another'", secret_hash(secret.encode())
    )
    return "another"


async def _execute(school: Office, statement: str, *values: object) -> None:
    async with school.database.transaction() as tx:
        await tx.raw.execute(statement, *values)
