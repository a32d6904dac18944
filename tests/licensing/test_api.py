"""HTTP: content tokens in, pools and licences and waitlists out, and Apple's own door."""

import base64
import json
from typing import Any

import pytest

from licensing.apple import NOTIFICATION_TYPES
from licensing.apple.token import read_content_token
from licensing.model import AppleFailure, TokenRefused
from shared.events.licensing import AssetChanged, ContentTokenResumed, ContentTokenSuspended
from shared.ids import new_id
from tests.licensing.conftest import Call
from tests.licensing.office import APP, BOOK, AppleAdmin, Office
from tests.licensing.situation import NOON, wish, wishes

TOKENS = "/v1/content-tokens"


def vpptoken(**said: Any) -> str:
    content = {"token": "inner", "expDate": "2099-11-08T22:33:22+0000", "orgName": "School", **said}
    return base64.b64encode(json.dumps(content).encode()).decode()


async def test_a_content_token_is_claimed_and_its_purchases_appear(
    office: Office, admin: AppleAdmin, call: Call
) -> None:
    uid, text = await admin.open_library(50, location_name="Lycée")
    response = await call("POST", TOKENS, json={"content_token": f"\n{text} \n"})

    assert response.status_code == 201
    body = response.json()
    assert (body["library_id"], body["state"], body["location_name"]) == (uid, "claiming", "Lycée")
    assert text not in response.text
    await office.settle_all()
    await office.clockwork.tell_assets()
    shown = (await call("GET", f"{TOKENS}/{body['content_token_id']}")).json()
    assert (shown["state"], shown["notifications_arrive"]) == ("active", True)

    changed = {event.adam_id: event for _, event in await office.told() if isinstance(event, AssetChanged)}
    assert changed[APP].pools[0].available == 50
    assert (changed[APP].device_assignable, changed[BOOK].device_assignable) == (True, False)
    library = admin.simulator.world.libraries[uid]
    assert library.mdm_info is not None
    assert library.subscription.url == f"{office.door}/apple/notifications/{uid}"
    assert library.subscription.types == NOTIFICATION_TYPES


async def test_the_text_of_a_token_is_nowhere_in_the_database(school: Office, admin: AppleAdmin) -> None:
    (text,) = admin.simulator.world.tokens
    secret = next(iter(admin.simulator.world.libraries.values())).subscription.auth_token
    dumped = await school.rows(
        "SELECT t::text FROM content_token AS t UNION ALL SELECT t::text FROM library AS t"
        " UNION ALL SELECT t::text FROM notification AS t UNION ALL SELECT t::text FROM outbox AS t"
        " UNION ALL SELECT t::text FROM idempotency AS t"
    )
    assert dumped
    for hidden in (text, secret):
        assert not any(hidden in row[0] or hidden.encode().hex() in row[0] for row in dumped)


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("", "token_not_readable"),
        ("not base64!", "token_not_base64"),
        ("é", "token_not_base64"),
        (base64.b64encode(b"no json").decode(), "token_not_readable"),
        (base64.b64encode(b'{"token": "x"}').decode(), "token_not_readable"),
        (vpptoken(token=""), "token_not_readable"),
        (vpptoken(expDate="soon"), "token_not_readable"),
        (vpptoken(expDate="9999-12-31T23:59:59-2359"), "token_not_readable"),
        (base64.b64encode(b"[" * 12_000).decode(), "token_not_readable"),
        (vpptoken(expDate="2020-01-01T00:00:00+0000"), "token_expired"),
        (vpptoken(expDate="2099-01-01T00:00:00+02:00"), "token_refused"),
    ],
)
async def test_a_bad_token_is_refused_with_words_and_nothing_is_stored(
    office: Office, admin: AppleAdmin, call: Call, text: str, slug: str
) -> None:
    response = await call("POST", TOKENS, json={"content_token": text})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == slug
    assert list(response.json()["fields"]) == ["content_token"]
    assert await office.rows("SELECT 1 FROM library UNION ALL SELECT 1 FROM content_token") == []


def test_an_organizations_name_that_cannot_be_stored_as_it_is_is_marked() -> None:
    token = read_content_token(vpptoken(orgName="Lyc\u00e9e\0\ud800"), now=NOON)
    assert token.organization_name == "Lyc\u00e9e\ufffd\ufffd"


@pytest.mark.parametrize("status", [200, 401])
async def test_a_revoked_token_is_refused_whatever_status_apple_gives_it(
    office: Office, admin: AppleAdmin, call: Call, status: int
) -> None:
    await admin.knobs(invalid_token_status=status)
    _, text = await admin.open_library(5)
    admin.simulator.world.tokens[text].revoked = True
    response = await call("POST", TOKENS, json={"content_token": text})
    assert response.json()["type"] == "token_refused"
    assert "revoked" in response.json()["detail"]


async def test_a_library_that_another_service_manages_is_not_taken(
    office: Office, admin: AppleAdmin, call: Call
) -> None:
    uid, text = await admin.open_library(5)
    admin.simulator.world.libraries[uid].mdm_info = {"id": "theirs", "name": "Other MDM", "metadata": "m"}
    response = await call("POST", TOKENS, json={"content_token": text})
    assert (response.status_code, response.json()["type"]) == (409, "library_managed_elsewhere")
    assert "Other MDM" in response.json()["detail"]
    assert admin.requests("POST client/config") == 0


async def test_a_repeated_upload_with_its_key_gets_the_first_answer(
    office: Office, admin: AppleAdmin, call: Call
) -> None:
    _, text = await admin.open_library(5)
    headers = {"idempotency-key": "once"}
    first = await call("POST", TOKENS, json={"content_token": text}, headers=headers)
    second = await call("POST", TOKENS, json={"content_token": text}, headers=headers)
    assert first.json() == second.json()
    assert len((await call("GET", TOKENS)).json()["items"]) == 1


async def test_apple_away_is_503_and_nothing_is_stored(office: Office, admin: AppleAdmin, call: Call) -> None:
    _, text = await admin.open_library(5)
    await admin.fault("client/config", "error", status=503, error_number=9729, retry_after_seconds=9)
    response = await call("POST", TOKENS, json={"content_token": text})
    assert (response.status_code, response.headers["retry-after"]) == (503, "9")
    assert await office.rows("SELECT 1 FROM library") == []


async def test_a_door_that_apple_cannot_reach_does_not_stop_the_library(
    office: Office, admin: AppleAdmin, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = await admin.open_library(5)
    monkeypatch.setattr(admin.simulator._notifier, "test", _no)
    await call("POST", TOKENS, json={"content_token": text})
    await office.settle_all()
    (shown,) = (await call("GET", TOKENS)).json()["items"]
    assert (shown["state"], shown["notifications_arrive"]) == ("active", False)
    assert shown["cause"] == "notifications_unreachable"
    await office.adopt_pool()
    await office.request(wish("S"))
    await office.settle_all()
    assert await office.assigned() == {"S"}

    monkeypatch.undo()
    await office.clockwork.resubscribe()
    await office.clockwork.resubscribe()
    assert len(await office.rows("SELECT 1 FROM work WHERE kind = 'claim'")) == 1
    await office.settle_all()
    assert (await call("GET", TOKENS)).json()["items"][0]["notifications_arrive"] is True


async def test_a_token_revoked_in_mid_work_suspends_and_a_new_one_resumes(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    held = wishes(5)
    await admin.revoke_tokens()
    await school.request(*held)
    await school.work()

    (shown,) = (await call("GET", TOKENS)).json()["items"]
    assert (shown["state"], shown["cause"], shown["error_number"]) == ("suspended", "token_revoked", 9625)
    assert (await school.states()) == {"reserved": 5}
    refused = wish("X")
    await school.request(refused, no_wait=True)
    assert await school.state(refused) == "refused"
    sent = admin.requests("POST assets/associate")
    await school.pass_time(400)
    assert admin.requests("POST assets/associate") == sent

    text = (await admin.post(f"/libraries/{await school.library()}/tokens", {}))["token"]
    assert (await call("POST", TOKENS, json={"content_token": text})).status_code == 201
    await school.settle_all()
    assert len(await school.assigned()) == 5
    events = [type(event) for _, event in await school.told()]
    assert events.count(ContentTokenSuspended) == events.count(ContentTokenResumed) == 1
    states = [item["state"] for item in (await call("GET", TOKENS)).json()["items"]]
    assert sorted(states) == ["active", "replaced"]
    await school.check()


async def test_a_late_word_about_a_replaced_token_suspends_nothing(
    school: Office, admin: AppleAdmin, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse_late(*_: object, **__: object) -> str:
        text = (await admin.post(f"/libraries/{await school.library()}/tokens", {}))["token"]
        assert (await call("POST", TOKENS, json={"content_token": text})).status_code == 201
        raise TokenRefused(AppleFailure(9625))

    await school.request(wish("S"))
    with monkeypatch.context() as patched:
        patched.setattr(school.apple, "write", refuse_late)
        await school.work("intent")
    await school.settle_all()
    assert await school.assigned() == {"S"}
    assert ContentTokenSuspended not in [type(event) for _, event in await school.told()]


async def test_a_pool_shows_our_ledger_beside_apples_reading(school: Office, call: Call) -> None:
    await school.request(*wishes(60))
    (shown,) = (await call("GET", f"/v1/pools?adam_id={APP}")).json()["items"]
    assert shown["apple"]["available"] == 50
    ours = {name: shown[name] for name in ("capacity", "held", "available", "waiting", "foreign")}
    assert ours == {"capacity": 50, "held": 50, "available": 0, "waiting": 10, "foreign": 0}
    assert (await call("GET", f"/v1/pools/{shown['pool_id']}")).json() == shown
    assert len((await call("GET", "/v1/pools")).json()["items"]) == 2
    assert (await call("GET", f"/v1/pools/{new_id()}")).json()["type"] == "unknown_pool"


async def test_licences_are_listed_by_state_and_page_by_page(school: Office, call: Call) -> None:
    targets = wishes(5)
    await school.request(*targets)
    await school.send(*targets)
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = (await call("GET", f"/v1/licenses?state=associating&limit=2{cursor}")).json()
        found += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert {each["serial_number"] for each in found} == {each.serial_number for each in targets}
    one = (await call("GET", f"/v1/licenses/{targets[0].entitlement_id}")).json()
    assert (one["state"], one["version"]) == ("associating", 1)
    assert (await call("GET", "/v1/licenses?serial_number=S00003")).json()["items"][0][
        "serial_number"
    ] == "S00003"
    assert (await call("GET", "/v1/licenses?state=assigned")).json()["items"] == []
    assert (await call("GET", f"/v1/licenses/{new_id()}")).status_code == 404


async def test_the_waitlist_shows_everybodys_place_as_of_now(school: Office, call: Call) -> None:
    first = wishes(50, "A")
    await school.request(*first)
    await school.request(*wishes(3, "B"))
    await school.request(*wishes(2, "C"), priority=9)

    page = (await call("GET", "/v1/waitlist?limit=3")).json()
    assert [(each["position"], each["serial_number"]) for each in page["items"]] == [
        (1, "C00000"),
        (2, "C00001"),
        (3, "B00000"),
    ]
    rest = (await call("GET", f"/v1/waitlist?limit=3&cursor={page['next_cursor']}")).json()
    assert [each["position"] for each in rest["items"]] == [4, 5]
    assert rest["next_cursor"] is None
    await school.revoke(first[0])
    (found,) = (await call("GET", "/v1/waitlist?serial_number=B00002")).json()["items"]
    assert found["position"] == 4


@pytest.mark.parametrize(
    ("method", "path", "scope", "status"),
    [
        ("GET", "/v1/pools", None, 401),
        ("GET", "/v1/pools", "assignments:read", 403),
        ("GET", "/v1/licenses", None, 401),
        ("GET", "/v1/waitlist", None, 401),
        ("GET", TOKENS, None, 401),
        ("POST", TOKENS, "licenses:read", 403),
    ],
)
async def test_no_route_answers_without_its_scope(
    office: Office, call: Call, method: str, path: str, scope: str | None, status: int
) -> None:
    response = await call(method, path, scope=scope, **({"json": {}} if method == "POST" else {}))
    assert response.status_code == status


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/pools?limit=0", "limit"),
        ("/v1/pools?cursor=nonsense", "cursor"),
        ("/v1/pools?adam_id=abc", "adam_id"),
        ("/v1/licenses?state=gone", "state"),
        ("/v1/waitlist?pool_id=1", "pool_id"),
    ],
)
async def test_what_cannot_be_read_is_named(office: Office, call: Call, path: str, field: str) -> None:
    response = await call("GET", path)
    assert response.status_code == 422
    assert list(response.json()["fields"]) == [field]


async def test_a_notification_is_kept_once_and_answered_at_once(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    before = len(await school.rows("SELECT 1 FROM notification"))
    for _ in range(2):
        response = await _notify(school, admin, call, {"notificationId": "n-1", "notificationType": "NEW"})
        assert (response.status_code, response.content) == (200, b"")
    assert len(await school.rows("SELECT 1 FROM notification")) == before + 1
    await school.clockwork.read_notifications()
    assert await school.rows("SELECT 1 FROM notification WHERE processed_at IS NULL") == []


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic wrong", "Bearer \xe9"])
async def test_a_notification_with_a_wrong_secret_is_refused(school: Office, call: Call, header: str) -> None:
    path = f"/apple/notifications/{await school.library()}"
    response = await call(
        "POST", path, scope=None, content=b"{}", headers={"authorization": header.encode("latin-1")}
    )
    assert response.status_code == 401


async def test_a_notification_for_an_unknown_library_is_refused(office: Office, call: Call) -> None:
    response = await call("POST", "/apple/notifications/nobody", scope=None, content=b"{}")
    assert response.status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"notificationId": 5}',
        b'{"notificationId": "\\u0000"}',
        b'{"notificationId": "\\ud800"}',
    ],
)
async def test_a_notification_that_names_itself_not_is_malformed(
    school: Office, admin: AppleAdmin, call: Call, body: bytes
) -> None:
    response = await _notify(school, admin, call, body)
    assert (response.status_code, response.json()["type"]) == (400, "malformed_notification")


async def test_a_notification_larger_than_apples_is_not_read(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    response = await _notify(school, admin, call, b'"' + b"x" * 300_000 + b'"')
    assert response.status_code == 413


@pytest.mark.parametrize(
    "said",
    [
        {"eventId": 5, "assignments": [{"serialNumber": "S"}]},
        {"eventId": "e", "assignments": "all"},
        {"eventId": "a\x00b", "assignments": []},
        {"eventId": "half \ud800", "assignments": [{"serialNumber": "half \ud800"}]},
        {"eventId": "".join(chr(0x4E00 + n) for n in range(9000))},
        {"eventId": "e", "assignments": [None, {"serialNumber": 7}, {"serialNumber": "a\x00b"}]},
        "nothing",
    ],
)
async def test_a_strange_notification_is_read_without_harm(
    school: Office, admin: AppleAdmin, call: Call, said: object
) -> None:
    body = {"notificationId": "n", "notificationType": "ASSET_MANAGEMENT", "notification": said}
    assert (await _notify(school, admin, call, body)).status_code == 200
    await school.clockwork.read_notifications()
    assert await school.rows("SELECT 1 FROM notification WHERE processed_at IS NULL") == []


async def test_old_notifications_are_forgotten(school: Office, admin: AppleAdmin, call: Call) -> None:
    await _notify(school, admin, call, {"notificationId": "old", "notificationType": "NEW"})
    await school.clockwork.read_notifications()
    school.clock.turn(8 * 86400)
    await school.clockwork.forget_notifications()
    assert await school.rows("SELECT 1 FROM notification") == []


async def _notify(school: Office, admin: AppleAdmin, call: Call, body: object) -> Any:
    secret = next(iter(admin.simulator.world.libraries.values())).subscription.auth_token
    return await call(
        "POST",
        f"/apple/notifications/{await school.library()}",
        scope=None,
        content=body if isinstance(body, bytes) else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {secret}"},
    )


async def _no(*_: object) -> bool:
    return False
