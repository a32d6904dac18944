import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp

from shared.auth import Caller, Verifier, requires
from shared.clock import TurnedClock
from shared.errors import Conflict, Invalid, NotFound, Unavailable
from shared.trace import traceparent
from shared.web import (
    CorrelationId,
    Cursor,
    Health,
    Limit,
    Page,
    build_app,
    decode_cursor,
    encode_cursor,
    open_routes,
    operations_app,
    takes,
)
from shared.web.app import HEALTH_DOORS
from shared.web.body_limit import LARGEST_BODY
from tests.shared.issuers import AUDIENCE, NOW, Issuer, serve_issuer

THING = UUID("018f0000-0000-7000-8000-000000000001")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Wish(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    targets: list[UUID] = []


things = APIRouter(prefix="/things")
v1 = APIRouter(prefix="/v1")


@things.get("/{thing_id}")
async def one(thing_id: UUID, caller: Annotated[Caller, requires("things:read")]) -> dict[str, str]:
    raise NotFound("unknown_thing", f"no thing {thing_id}")


@things.get("", dependencies=[requires("things:read")])
async def many(limit: Limit = 2, cursor: Cursor = None) -> Page[int]:
    after = decode_cursor(cursor, int)
    first = after[0] + 1 if after else 0
    items = list(range(first, min(first + limit, 5)))
    return Page(items=items, next_cursor=encode_cursor(items[-1]) if items[-1] < 4 else None)


@things.post("", status_code=202, dependencies=[requires("things:write")])
async def wish(body: Wish, thread: CorrelationId) -> dict[str, str | None]:
    return {"name": body.name, "thread": str(thread), "trace": traceparent.get()}


@things.delete("/{thing_id}", dependencies=[requires("things:write")])
async def fail(thing_id: str) -> None:
    match thing_id:
        case "conflict":
            raise Conflict("busy", "it is in use")
        case "unavailable":
            raise Unavailable("apple", retry_after_seconds=7.2)
        case "database":
            raise TimeoutError
        case _:
            raise RuntimeError("hunter2 stands in this message")


@things.get("/{thing_id}/stream", dependencies=[requires("things:read")])
async def stream(thing_id: str) -> StreamingResponse:
    async def parts() -> AsyncIterator[str]:
        yield "one"
        raise RuntimeError("broken in the middle")

    return StreamingResponse(parts())


@v1.post("/big", dependencies=[requires("things:write"), takes(LARGEST_BODY * 2)])
async def big(request: Request) -> int:
    return len(await request.body())


v1.include_router(things)
door = APIRouter()


@door.put("/door/{link}")
async def opened(link: str) -> dict[str, int]:
    return {"length": len(link)}


@dataclass
class State:
    stuck: Sequence[str] = ()
    unready: Sequence[str] = ()
    seconds: float = 0.0

    async def ready(self) -> Sequence[str]:
        await asyncio.sleep(self.seconds)
        return self.unready


STATE = State()
HEALTH = Health(stuck=lambda: STATE.stuck, unready=STATE.ready)


@dataclass(frozen=True)
class Site:
    """The app, and the issuer whose tokens it takes."""

    app: FastAPI
    issuer: Issuer
    verifier: Verifier

    def bearer(self, *scopes: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.issuer.token(scope=' '.join(scopes))}"}


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with serve_issuer(tmp_path_factory.mktemp("issuer")) as (issuer, http):
        verifier = Verifier(
            {issuer.url: f"{issuer.url}/keys"}, audience=AUDIENCE, http=http, clock=TurnedClock(NOW)
        )
        app = build_app(
            title="Things",
            description="Things for tests.",
            verifier=verifier,
            health=HEALTH,
            routers=[v1, door],
            open_doors=["/door/{link}"],
        )
        yield Site(app, issuer, verifier)


@pytest.fixture(scope="module")
async def http(site: Site) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=site.app, raise_app_exceptions=False)
    headers = site.bearer("things:read", "things:write")
    async with httpx2.AsyncClient(transport=transport, base_url="http://things", headers=headers) as client:
        yield client


def problem(answer: httpx2.Response, status: int, slug: str) -> dict[str, Any]:
    """Return the problem document after what every one of them must say."""
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"], body["type"]) == (status, status, slug)
    assert body["title"]
    assert body["correlation_id"] == answer.headers["x-correlation-id"]
    return body


async def test_an_expected_no_is_a_problem_document(http: httpx2.AsyncClient) -> None:
    answer = await http.get(f"/v1/things/{THING}")
    assert problem(answer, 404, "unknown_thing")["detail"] == f"no thing {THING}"
    problem(await http.delete("/v1/things/conflict"), 409, "busy")


async def test_an_unknown_path_and_a_wrong_method_are_problem_documents(http: httpx2.AsyncClient) -> None:
    problem(await http.get("/nowhere"), 404, "not_found")
    answer = await http.put("/v1/things")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"name": 7}, {"name"}),
        ({}, {"name"}),
        ({"name": "a", "targets": [str(THING), "x"]}, {"targets.1"}),
        ({"name": "a", "nmae": "b"}, {"nmae"}),
        ([], {"body"}),
        (None, {"body"}),
    ],
)
async def test_an_unreadable_body_is_422_and_names_the_fields(
    http: httpx2.AsyncClient, body: object, fields: set[str]
) -> None:
    answer = await http.post("/v1/things", json=body)
    assert set(problem(answer, 422, "invalid")["fields"]) == fields


@pytest.mark.parametrize(
    "body",
    [b"{hunter2", b"[" * 100_000, b'{"name": "\xff"}', b'{"name": ' + b"9" * 5_000 + b"}"],
    ids=["cut", "deep", "not UTF-8", "a long number"],
)
async def test_a_body_that_is_no_json_is_422(http: httpx2.AsyncClient, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = await http.post("/v1/things", content=body, headers=headers)
    assert set(problem(answer, 422, "invalid")["fields"]) == {"body"}
    assert "hunter2" not in answer.text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=", "cursor"),
    ],
)
async def test_a_parameter_out_of_bounds_is_422_and_named(
    http: httpx2.AsyncClient, query: str, field: str
) -> None:
    answer = await http.get(f"/v1/things?{query}")
    assert set(problem(answer, 422, "invalid")["fields"]) == {field}


async def test_an_unreadable_id_in_a_path_is_422_and_named(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/v1/things/7")
    assert set(problem(answer, 422, "invalid")["fields"]) == {"thing_id"}


async def test_pages_follow_each_other_to_the_end(http: httpx2.AsyncClient) -> None:
    items, cursor = [], ""
    for _ in range(3):
        page = (await http.get(f"/v1/things?limit=2{cursor}")).json()
        items.append(page["items"])
        cursor = f"&cursor={page['next_cursor']}"
    assert items == [[0, 1], [2, 3], [4]]
    assert cursor == "&cursor=None"


@pytest.mark.parametrize("credentials", [None, "Basic dTpw", "Bearer"])
async def test_a_route_asks_for_a_token(http: httpx2.AsyncClient, credentials: str | None) -> None:
    request = http.build_request("POST", "/v1/things", json={"name": "a"})
    del request.headers["authorization"]
    if credentials is not None:
        request.headers["authorization"] = credentials
    answer = await http.send(request)
    problem(answer, 401, "missing_token")
    assert answer.headers["www-authenticate"] == 'Bearer realm="managed-distribution"'


async def test_a_route_takes_good_tokens_only(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/things", json={"name": "a"}, headers={"authorization": "Bearer wrong"})
    problem(answer, 401, "invalid_token")
    assert answer.headers["www-authenticate"].endswith('error="invalid_token"')


async def test_a_route_asks_for_its_scope(http: httpx2.AsyncClient, site: Site) -> None:
    headers = site.bearer("things:read")
    answer = await http.post("/v1/things", json={"name": "a"}, headers=headers)
    assert "things:write" in problem(answer, 403, "insufficient_scope")["detail"]
    assert answer.headers["www-authenticate"].endswith('error="insufficient_scope"')
    assert (await http.get("/v1/things", headers=headers)).status_code == 200


async def test_what_is_unavailable_is_503_and_says_when_to_try_again(http: httpx2.AsyncClient) -> None:
    answer = await http.delete("/v1/things/unavailable")
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "8"
    problem(await http.delete("/v1/things/database"), 503, "unavailable")


async def test_a_fault_of_ours_is_500_without_a_word_of_it(
    http: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await http.delete("/v1/things/fault")
    problem(answer, 500, "internal_error")
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text


async def test_every_answer_has_its_thread_and_its_manners(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/things", json={"name": "a"}, headers={"x-correlation-id": "mine"})
    assert answer.status_code == 202
    assert answer.json() == {"name": "a", "thread": answer.headers["x-correlation-id"], "trace": None}
    assert UUID(answer.headers["x-correlation-id"]).version == 7
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("said", "taken"), [(TRACE, TRACE), ("00-x", None), (TRACE + "\x0a", None)])
async def test_the_trace_of_the_caller_is_carried_on(
    http: httpx2.AsyncClient, said: str, taken: str | None
) -> None:
    answer = await http.post("/v1/things", json={"name": "a"}, headers={"traceparent": said})
    assert answer.json()["trace"] == taken
    assert traceparent.get() is None


async def test_a_body_above_the_limit_is_413(http: httpx2.AsyncClient) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * (LARGEST_BODY // 4)

    problem(await http.post("/v1/things", content=b" " * (LARGEST_BODY + 1)), 413, "too_large")
    problem(await http.post("/v1/things", content=parts()), 413, "too_large")


async def test_a_route_may_take_more(http: httpx2.AsyncClient) -> None:
    assert (await http.post("/v1/big", content=b" " * (LARGEST_BODY + 1))).json() == LARGEST_BODY + 1
    problem(await http.post("/v1/big", content=b" " * (LARGEST_BODY * 2 + 1)), 413, "too_large")


async def test_an_answer_that_breaks_in_the_middle_is_not_made_whole(
    http: httpx2.AsyncClient, site: Site
) -> None:
    transport = httpx2.ASGITransport(app=site.app)
    async with httpx2.AsyncClient(transport=transport, headers=http.headers) as client:
        with pytest.raises(RuntimeError):
            await client.get("http://things/v1/things/a/stream")


async def test_requests_are_counted_by_the_template_of_their_route(http: httpx2.AsyncClient) -> None:
    await http.get(f"/v1/things/{THING}")
    await http.put("/door/hunter2")
    await http.get("/hunter3")
    operations = httpx2.ASGITransport(app=operations_app(HEALTH))
    async with httpx2.AsyncClient(transport=operations, base_url="http://metrics") as client:
        text = (await client.get("/metrics")).text
    assert 'http_requests_total{method="GET",route="/v1/things/{thing_id}",status="404"}' in text
    assert 'http_requests_total{method="PUT",route="/door/{link}",status="200"} 1.0' in text
    assert 'route="unmatched"' in text
    assert "hunter" not in text
    assert str(THING) not in text


@pytest.mark.parametrize("port", ["api", "metrics"])
async def test_health_is_told_on_both_ports_without_a_token(
    site: Site, port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app: ASGIApp = site.app if port == "api" else operations_app(HEALTH)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://things") as client:
        assert [(await client.get(path)).status_code for path in ("/livez", "/readyz")] == [200, 200]
        monkeypatch.setattr(STATE, "stuck", ["consumer"])
        monkeypatch.setattr(STATE, "unready", ["database_unreachable"])
        answer = await client.get("/livez")
        assert (answer.status_code, answer.json()) == (503, {"ok": False, "reasons": ["consumer"]})
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (
            503,
            {"ok": False, "reasons": ["database_unreachable"]},
        )


async def test_a_readiness_check_that_hangs_is_a_no(
    http: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(STATE, "seconds", 60)
    assert (await http.get("/readyz")).json() == {"ok": False, "reasons": ["checks_timed_out"]}


def test_only_the_doors_that_are_named_open_without_a_token(site: Site) -> None:
    assert open_routes(site.app) == HEALTH_DOORS | {"/door/{link}"}


def test_an_app_with_a_forgotten_scope_is_not_built(site: Site) -> None:
    with pytest.raises(ValueError, match=r"routes without a scope: /door/\{link\}"):
        build_app(title="", description="", verifier=site.verifier, health=HEALTH, routers=[v1, door])


def test_the_openapi_document_knows_scopes_and_problems_and_is_not_served(site: Site) -> None:
    document = site.app.openapi()
    operation = document["paths"]["/v1/things"]["post"]
    assert operation["security"] == [{"HTTPBearer": ["things:write"]}]
    assert "application/problem+json" in operation["responses"]["4XX"]["content"]
    assert "fields" in document["components"]["schemas"]["Problem"]["properties"]
    assert not {"/openapi.json", "/docs", "/redoc"} & {
        getattr(route, "path", "") for route in site.app.routes
    }


@given(
    number=st.integers(-(2**63), 2**63 - 1),
    word=st.text(st.characters(exclude_characters="\x00")),
    at=st.datetimes(timezones=st.just(UTC)),
    thing=st.uuids(),
)
def test_a_cursor_comes_back_as_it_was(number: int, word: str, at: datetime, thing: UUID) -> None:
    cursor = encode_cursor(number, word, at, thing)
    assert decode_cursor(cursor, int, str, datetime.fromisoformat, UUID) == (number, word, at, thing)


@pytest.mark.parametrize(
    ("forged", "kind"),
    [(2**63, int), (-(2**63) - 1, int), ("a\x00", str), ("2026-11-22T12:00:00", datetime.fromisoformat)],
)
def test_a_cursor_that_somebody_made_up_never_reaches_the_database(
    forged: object, kind: Callable[[Any], Any]
) -> None:
    with pytest.raises(Invalid):
        decode_cursor(encode_cursor(forged), kind)


def test_a_cursor_nested_without_end_is_none() -> None:
    with pytest.raises(Invalid):
        decode_cursor(base64.b64encode(b"[" * 100_000).decode(), int)


@given(cursor=st.text())
def test_no_other_text_is_a_cursor(cursor: str) -> None:
    with pytest.raises(Invalid) as caught:
        decode_cursor(cursor, int, UUID)
    assert set(caught.value.fields) == {"cursor"}
