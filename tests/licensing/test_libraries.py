"""Libraries side by side, renewals, read-only rights, suspension, and what an administrator sets."""

import asyncio
from typing import Any

import pytest

from licensing import work
from licensing.model import AppleFailure, ClientConfig, TokenRefused
from licensing.notification_secret import secret_hash
from licensing.steps import Desk
from licensing.store import content_tokens, libraries
from licensing.store.content_tokens import NewToken
from local.simulators.apple.tokens import Rights
from shared.database import Transaction
from shared.events.licensing import ContentTokenResumed, ContentTokenSuspended
from shared.ids import new_id
from tests.licensing.conftest import Call
from tests.licensing.office import APP, PACE, AppleAdmin, Office
from tests.licensing.situation import wish, wishes

TOKENS = "/v1/content-tokens"
LIBRARIES = "/v1/libraries"


async def upload(call: Call, text: str, **said: Any) -> Any:
    return await call("POST", TOKENS, json={"content_token": text, **said})


async def another_token(admin: AppleAdmin, library_id: str, **said: Any) -> str:
    return str((await admin.post(f"/libraries/{library_id}/tokens", said))["token"])


async def shown(call: Call, library_id: str) -> Any:
    response = await call("GET", f"{LIBRARIES}/{library_id}")
    assert response.status_code == 200, response.text
    return response.json()


async def suspensions(office: Office) -> list[tuple[str, str, int | None]]:
    return [
        (event.library_id, event.cause, event.error_number)
        for _, event in await office.told()
        if isinstance(event, ContentTokenSuspended)
    ]


async def blocked_by(tx: Transaction) -> None:
    """Wait until another transaction waits for this one's locks."""
    while not await tx.raw.fetchval(
        "SELECT EXISTS (SELECT FROM pg_locks WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
    ):
        await asyncio.sleep(0.01)


async def test_several_libraries_stand_side_by_side(school: Office, admin: AppleAdmin, call: Call) -> None:
    first = await school.library()
    second, text = await admin.open_library(7, location_name="Collège")
    assert (await upload(call, text)).status_code == 201
    await school.settle_all()

    listed = (await call("GET", LIBRARIES)).json()["items"]
    assert {each["library_id"]: each["state"] for each in listed} == {first: "active", second: "active"}
    pools = (await call("GET", f"/v1/pools?adam_id={APP}")).json()["items"]
    assert {each["library_id"]: each["capacity"] for each in pools} == {first: 50, second: 7}
    assert len({each["asset_id"] for each in pools}) == 1
    claims = [library.mdm_info for library in admin.simulator.world.libraries.values()]
    assert len({claim["id"] for claim in claims if claim is not None}) == 2


async def test_each_library_has_its_own_budget(school: Office, admin: AppleAdmin, call: Call) -> None:
    first = await school.library()
    second, text = await admin.open_library(7)
    await upload(call, text)
    await school.settle_all()
    await admin.fault("assets", "error", uid=first, status=429, error_number=9646, retry_after_seconds=60)
    await school.want_assets()
    assert sorted(await school.work()) == ["read_assets", "read_assets!apple_9646"]
    (read_at,) = (await school.rows("SELECT assets_read_at FROM library WHERE id = $1", second))[0]
    assert read_at == school.clock.now()


async def test_two_tokens_of_one_library_never_double_a_pool(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id = await school.library()
    text = await another_token(admin, library_id, organization="Somebody else's account")
    assert (await upload(call, text)).json()["library_id"] == library_id
    await school.settle_all()
    assert len((await call("GET", LIBRARIES)).json()["items"]) == 1
    (pool,) = (await call("GET", f"/v1/pools?adam_id={APP}")).json()["items"]
    assert pool["capacity"] == 50
    states = [item["state"] for item in (await call("GET", TOKENS)).json()["items"]]
    assert sorted(states) == ["active", "replaced"]


async def test_an_upload_that_is_repeated_is_answered_as_before_whatever_became_of_the_token(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    text = await another_token(admin, await school.library())
    said: dict[str, Any] = {"json": {"content_token": text}, "headers": {"Idempotency-Key": "once"}}
    first = await call("POST", TOKENS, **said)
    assert first.status_code == 201
    await admin.revoke_tokens()
    again = await call("POST", TOKENS, **said)
    assert (again.status_code, again.json()) == (201, first.json())
    without_key = await call("POST", TOKENS, json={"content_token": text})
    assert without_key.status_code == 422


async def test_a_renewal_of_another_library_is_refused_and_nothing_is_stored(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id = await school.library()
    other, text = await admin.open_library(7, location_name="Collège")
    response = await upload(call, text, library_id=library_id)
    assert (response.status_code, response.json()["type"]) == (409, "another_library")
    assert other in response.json()["detail"]
    assert "Collège" in response.json()["detail"]
    assert len(await school.rows("SELECT 1 FROM library")) == 1
    assert len(await school.rows("SELECT 1 FROM content_token")) == 1
    assert await school.rows("SELECT 1 FROM work") == []


async def test_a_renewal_of_the_library_it_names_is_taken(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id = await school.library()
    text = await another_token(admin, library_id)
    response = await upload(call, text, library_id=library_id)
    assert (response.status_code, response.json()["library_id"]) == (201, library_id)


async def test_a_token_may_name_the_library_that_it_opens(
    office: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id, text = await admin.open_library(5)
    assert (await upload(call, text, library_id=library_id)).status_code == 201
    assert (await upload(call, text, library_id="x" * 65)).json()["fields"].keys() == {"library_id"}


async def test_a_read_only_token_is_found_at_the_claim_and_reads_go_on(
    office: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id, _ = await admin.open_library(50)
    text = await another_token(admin, library_id, rights="read")
    assert (await upload(call, text)).status_code == 201
    assert (await shown(call, library_id))["rights"] == "unknown"
    await office.work()

    library = await shown(call, library_id)
    assert (library["state"], library["cause"], library["error_number"]) == (
        "suspended",
        "token_read_only",
        9637,
    )
    assert library["rights"] == "read_only"
    assert await suspensions(office) == [(library_id, "token_read_only", 9637)]
    await office.adopt_pool()
    await office.request(*wishes(3))
    office.clock.turn(60)
    await office.want_assets()
    assert "read_assets" in await office.work()
    library = await shown(call, library_id)
    assert library["assets_read_at"] == office.clock.now().isoformat().replace("+00:00", "Z")
    assert await office.states() == {"reserved": 3}
    assert admin.requests("POST assets/associate") == 0

    await upload(call, await another_token(admin, library_id), library_id=library_id)
    await office.settle_all()
    assert (await shown(call, library_id))["rights"] == "full"
    assert len(await office.assigned()) == 3
    assert [event for _, event in await office.told() if isinstance(event, ContentTokenResumed)]


async def test_rights_lost_in_mid_work_stop_writing_only(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id = await school.library()
    await school.request(wish("SENT"))
    await school.work()
    for token in admin.simulator.world.tokens.values():
        token.rights = Rights.READ
    await school.request(wish("LATER"))
    assert "intent!library_suspended" in await school.work()
    assert await suspensions(school) == [(library_id, "token_read_only", 9637)]
    await admin.settled()
    await school.pass_time(30)
    assert await school.assigned() == {"SENT"}
    assert (await shown(call, library_id))["rights"] == "read_only"

    for token in admin.simulator.world.tokens.values():
        token.rights = Rights.ALL
    school.clock.turn(3600)
    await school.clockwork.check_libraries()
    await school.settle_all()
    assert await school.assigned() == {"SENT", "LATER"}
    assert (await shown(call, library_id))["state"] == "active"


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (9601, "login_required"),
        (9621, "token_expired"),
        (9622, "token_invalid"),
        (9625, "token_revoked"),
    ],
)
@pytest.mark.parametrize("status", [200, 401])
async def test_a_refused_token_suspends_its_library_and_a_renewal_resumes(
    school: Office, admin: AppleAdmin, call: Call, *, number: int, cause: str, status: int
) -> None:
    library_id = await school.library()
    await admin.fault("assets/associate", "error", status=status, error_number=number)
    await school.request(*wishes(2))
    assert "intent!library_suspended" in await school.work()
    library = await shown(call, library_id)
    assert (library["state"], library["cause"], library["error_number"]) == ("suspended", cause, number)
    assert library["assets_read_at"] is not None
    assert await suspensions(school) == [(library_id, cause, number)]

    before = sum(admin.simulator.world.requests.values())
    await school.request(wish("MORE"))
    await school.want_assets()
    await school.pass_time(301)
    assert await school.states() == {"reserved": 3}
    assert sum(admin.simulator.world.requests.values()) == before

    await upload(call, await another_token(admin, library_id), library_id=library_id)
    await school.settle_all()
    assert len(await school.assigned()) == 3
    resumed = [event for _, event in await school.told() if isinstance(event, ContentTokenResumed)]
    assert [event.library_id for event in resumed] == [library_id]
    await school.check()


async def test_a_claim_that_resumes_work_and_who_wants_that_library_do_not_block_each_other(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    """Notifications bring work forward, and then want the library's assets read: work rows come first."""
    library_id = await school.library()
    await admin.fault("assets/associate", "error", status=401, error_number=9625)
    await school.request(wish("S"))
    assert "intent!library_suspended" in await school.work()
    await upload(call, await another_token(admin, library_id), library_id=library_id)
    async with school.database.transaction() as tx:
        await tx.raw.execute("SELECT FROM work WHERE kind = 'intent' FOR UPDATE")
        claim = asyncio.create_task(school.work("claim"))
        await blocked_by(tx)
        await work.want_assets(tx, library_id)
    assert await claim == ["claim"]
    await school.work()
    await admin.settled()
    await school.pass_time(30)
    assert await school.assigned() == {"S"}


async def test_an_invalid_token_is_loaded_anew_before_anything_stops(
    school: Office, admin: AppleAdmin, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apple error 9622: another replica stored a new token while this one's request was on its way."""
    library_id = await school.library()

    async def refuse_late(*_: object, **__: object) -> str:
        await upload(call, await another_token(admin, library_id))
        raise TokenRefused(AppleFailure(9622))

    await school.request(wish("S"))
    with monkeypatch.context() as patched:
        patched.setattr(school.apple, "write", refuse_late)
        await school.work("intent")
    await school.pass_time(1)
    await admin.settled()
    await school.pass_time(30)
    assert await school.assigned() == {"S"}
    assert await suspensions(school) == []


async def test_a_refused_token_at_the_claim_ends_the_errand(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id = await school.library()
    text = await another_token(admin, library_id)
    await upload(call, text)
    await admin.revoke_tokens()
    await school.work()
    assert (await shown(call, library_id))["cause"] == "token_revoked"
    assert await school.rows("SELECT 1 FROM work") == []


async def test_a_refusal_that_meets_a_renewal_half_stored_stops_nothing(school: Office) -> None:
    library_id = await school.library()
    desk = Desk(school.database, school.vault, PACE)
    access = await desk.access(library_id)
    async with school.database.transaction() as tx:
        await libraries.lock_all(tx)
        refusal = asyncio.create_task(desk.suspend(access, AppleFailure(9625)))
        await blocked_by(tx)
        renewal = NewToken(new_id(), b"sealed", "School", tx.now, "admin")
        await content_tokens.replace(tx, library_id, renewal)
    assert await refusal is False
    assert await suspensions(school) == []
    ((state,),) = await school.rows("SELECT state FROM library")
    assert state == "active"


async def test_a_claim_that_fails_for_another_reason_leaves_a_read_only_library_readable(
    office: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id, _ = await admin.open_library(50)
    await upload(call, await another_token(admin, library_id, rights="read"))
    await office.work()
    await admin.fault("client/config", "error", status=400, error_number=9602)
    async with office.database.transaction() as tx:
        await work.want_claim(tx, library_id, new_id())
    assert "claim!apple_9602" in await office.work("claim")
    assert (await shown(call, library_id))["cause"] == "token_read_only"
    await Desk(office.database, office.vault, PACE).reading_access(library_id)


async def test_each_read_only_token_in_a_row_is_shown_as_such(
    office: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id, _ = await admin.open_library(50)
    for _ in range(2):
        await upload(call, await another_token(admin, library_id, rights="read"))
        await office.work()
        assert (await shown(call, library_id))["rights"] == "read_only"
    assert len(await suspensions(office)) == 1


async def test_a_claim_made_with_a_replaced_token_says_nothing_of_its_renewal(
    school: Office, admin: AppleAdmin, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    library_id = await school.library()
    honest = school.apple.claim

    async def renewed_meanwhile(*said: Any) -> ClientConfig:
        config = await honest(*said)
        monkeypatch.undo()
        await upload(call, await another_token(admin, library_id, rights="read"))
        await school.work("claim")
        assert (await shown(call, library_id))["rights"] == "read_only"
        return config

    await upload(call, await another_token(admin, library_id))
    monkeypatch.setattr(school.apple, "claim", renewed_meanwhile)
    await school.work_once("claim")
    library = await shown(call, library_id)
    assert (library["state"], library["rights"]) == ("suspended", "read_only")
    assert not [event for _, event in await school.told() if isinstance(event, ContentTokenResumed)]
    await school.settle_all()
    assert (await shown(call, library_id))["rights"] == "read_only"


async def test_two_claims_at_once_leave_the_door_open_for_apple(
    school: Office, admin: AppleAdmin, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    library_id = await school.library()
    honest = school.apple.claim

    async def another_meanwhile(*said: Any) -> ClientConfig:
        config = await honest(*said)
        monkeypatch.undo()
        await school.work("claim")
        return config

    for _ in range(2):
        async with school.database.transaction() as tx:
            await work.want_claim(tx, library_id, new_id())
    monkeypatch.setattr(school.apple, "claim", another_meanwhile)
    await school.work("claim")
    subscription = admin.simulator.world.libraries[library_id].subscription
    assert subscription.auth_token is not None
    ((notification_hash,),) = await school.rows("SELECT notification_hash FROM library")
    assert notification_hash == secret_hash(subscription.auth_token.encode())
    assert (await shown(call, library_id))["notifications_arrive"] is True


async def test_what_is_wanted_of_a_suspended_library_does_not_pile_up(
    school: Office, admin: AppleAdmin
) -> None:
    library_id = await school.library()
    await admin.revoke_tokens()
    for _ in range(5):
        async with school.database.transaction() as tx:
            await work.want_assets(tx, library_id)
        await school.pass_time(301)
    assert len(await school.rows("SELECT 1 FROM work WHERE kind = 'read_assets'")) <= 2


async def test_settings_are_changed_one_by_one(school: Office, call: Call) -> None:
    path = f"{LIBRARIES}/{await school.library()}"
    before = (await call("GET", path)).json()
    assert (before["preference"], before["reclaim"], before["repairs"]) == (0, {}, [])

    changed = await call("PATCH", path, json={"preference": -1, "reclaim": {"left_group": 86400, "wiped": 0}})
    assert changed.status_code == 200
    assert changed.json()["reclaim"] == {"left_group": 86400, "wiped": 0}
    assert (await call("PATCH", path, json={"repairs": ["taken", "counts"]})).json()["preference"] == -1
    after = (await call("GET", path)).json()
    assert after == {
        **before,
        "preference": -1,
        "reclaim": {"left_group": 86400, "wiped": 0},
        "repairs": ["counts", "taken"],
    }
    assert (await call("PATCH", path, json={"reclaim": {}})).json()["reclaim"] == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"preference": "first"}, "preference"),
        ({"preference": 10_000_000_000}, "preference"),
        ({"reclaim": {"bored": 5}}, "reclaim.bored"),
        ({"reclaim": {"wiped": -1}}, "reclaim.wiped"),
        ({"repairs": ["all"]}, "repairs.0"),
        ({"favourite": True}, "favourite"),
    ],
)
async def test_a_setting_that_cannot_be_read_is_named_and_changes_nothing(
    school: Office, call: Call, body: dict[str, Any], field: str
) -> None:
    path = f"{LIBRARIES}/{await school.library()}"
    before = (await call("GET", path)).json()
    response = await call("PATCH", path, json=body)
    assert response.status_code == 422
    assert any(name.startswith(field) for name in response.json()["fields"]), response.text
    assert (await call("GET", path)).json() == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", "", None), ("PATCH", "", {"preference": 1}), ("POST", "/takeover", None)],
)
async def test_an_unknown_library_is_not_found(
    office: Office, call: Call, method: str, path: str, body: object
) -> None:
    response = await call(method, f"{LIBRARIES}/{new_id()}{path}", json=body)
    assert (response.status_code, response.json()["type"]) == (404, "unknown_library")


@pytest.mark.parametrize(
    ("method", "path", "scope", "status"),
    [
        ("GET", "", None, 401),
        ("GET", "/x", "assignments:read", 403),
        ("PATCH", "/x", "licenses:read", 403),
        ("POST", "/x/takeover", "licenses:read", 403),
    ],
)
async def test_no_route_about_libraries_answers_without_its_scope(
    office: Office, call: Call, method: str, path: str, scope: str | None, status: int
) -> None:
    response = await call(method, f"{LIBRARIES}{path}", scope=scope, json={})
    assert response.status_code == status
