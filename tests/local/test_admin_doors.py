"""What every admin door has: a page, and for bad input a 4xx with words that changes nothing."""

import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from local.simulators.box import NAMES, Box, BoxSettings
from local.simulators.identity import IdentitySettings, IdentitySimulator

NOT_A_BODY = (
    b"{",
    b"\xff",
    b'"a"',
    b"[" * 20_000,
    b"9" * 5000,
    b'{"a": NaN}',
    b'{"form": 1e400}',
    b'[{"times": Infinity}]',
    b'{"\\ud800": 1}',
    b'["\\udfff"]',
)
BEYOND_ALL_COUNTS = [
    ("apple", "/libraries/L/purchases", {"adam_id": "1", "count": -1}),
    ("apple", "/libraries/L/purchases", {"adam_id": "1", "count": 10**30}),
    ("apple", "/libraries/L/purchases", {"adam_id": "1", "count": 2_147_483_647}),  # 5 more are owned already
    ("apple", "/libraries/L/refunds", {"adam_id": "1", "count": 6}),
    ("apple", "/libraries/L/transfers", {"adam_id": "1", "count": 6, "to": "L"}),
    ("apple", "/libraries/L/transfers", {"adam_id": "1", "count": 1, "to": "nobody"}),
    ("apple", "/libraries/nobody/purchases", {"adam_id": "1", "count": 1}),
    ("apple", "/libraries/L/tokens", {"expires_in_days": 1e300}),
    ("apple", "/libraries", {"uid": "L"}),
    ("apple", "/libraries", {"uid": "M", "users": ["a", "A"]}),  # one account
    ("apple", "/clock", {"days": 1e300, "frozen": True}),
    ("apple", "/developer-keys", {"team_id": "T", "key_id": "K", "public_key_pem": "none"}),
    ("apple", "/faults", [{"path": "*", "answer": "error", "times": 0}]),
    ("apns", "/connections/limit", {"max_concurrent_streams": 2**40}),
    ("apns", "/connections/goaway", {"error_code": -1}),
    ("apns", "/tokens/unregister", {"tokens": ["ab"], "at": 1e300}),
    ("apns", "/tokens", {"tokens": ["ab"], "topic": "t", "curier": "a typo"}),
    ("identity", "/token", {"subject": "a", "audience": "b", "expires_in": 10**30}),
    ("mailbox", "/replies", [{"step": "RCPT", "text": "550 no", "times": -1}]),
    ("devices", "/devices", {"count": -1}),
    ("devices", "/devices/script", {"not_now": {"*": -1}}),
    ("devices", "/devices/get-app", {"adam_id": 2**70}),
    ("devices", "/devices/lock", {"serials": ["nobody"]}),
    ("devices", "/devices/login", {"user": "anna"}),  # an iPad of one person
    ("devices", "/clock", {"advance_seconds": 1e300}),
]
SIGHTS = {
    "apple": ("/state", "/clock", "/knobs"),
    "apns": ("/stored", "/counts", "/script"),
    "identity": (),
    "mailbox": ("/letters",),
    "devices": ("/devices", "/counts"),
    "people": ("/people",),
}


@pytest.fixture(scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, httpx2.AsyncClient]]:
    """All admin doors; Apple has a library `L` and a clock that stands, the fleet one device."""
    settings = BoxSettings(
        names=frozenset(NAMES),
        directory=tmp_path_factory.mktemp("box"),
        checkin_url="https://mdm.example/mdm",
    )
    async with Box(settings) as box:
        doors = {
            name: httpx2.AsyncClient(base_url=box.cards[name]["admin_url"], trust_env=False) for name in NAMES
        }
        listing = {"adam_id": "1", "total": 5}
        (await doors["apple"].post("/libraries", json={"uid": "L", "assets": [listing]})).raise_for_status()
        (await doors["apple"].post("/clock", json={"frozen": True})).raise_for_status()
        (await doors["devices"].post("/devices", json={"count": 1})).raise_for_status()
        yield doors
        for door in doors.values():
            await door.aclose()


async def look(door: httpx2.AsyncClient, name: str) -> list[Any]:
    return [(await door.get(path)).raise_for_status().json() for path in SIGHTS[name]]


@pytest.mark.parametrize("name", NAMES)
async def test_a_page_stands_at_every_admin_door_and_loads_nothing_from_elsewhere(
    doors: dict[str, httpx2.AsyncClient], name: str
) -> None:
    page = await doors[name].get("/")
    described = (await doors[name].get("/openapi.json")).json()
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "://" not in page.text
    assert "/" not in described["paths"]


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_no_body_is_refused_in_words(doors: dict[str, httpx2.AsyncClient], name: str) -> None:
    door = doors[name]
    before = await look(door, name)
    described = (await door.get("/openapi.json")).json()
    asked = [
        (method, path)
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation
    ]
    assert asked
    for method, path in asked:
        for body in NOT_A_BODY:
            headers = {"Content-Type": "application/json"}
            answer = await door.request(method, path, content=body, headers=headers)
            assert 400 <= answer.status_code < 500, (method, path, body[:30])
            assert answer.json()["detail"]
    assert await look(door, name) == before


@pytest.mark.parametrize(("name", "path", "body"), BEYOND_ALL_COUNTS)
async def test_what_cannot_be_is_refused_and_changes_nothing(
    doors: dict[str, httpx2.AsyncClient], name: str, path: str, body: Any
) -> None:
    before = await look(doors[name], name)
    answer = await doors[name].post(path, json=body)
    assert 400 <= answer.status_code < 500
    assert answer.json()["detail"]
    assert await look(doors[name], name) == before


async def test_an_answer_that_names_no_status_is_a_200(doors: dict[str, httpx2.AsyncClient]) -> None:
    (await doors["apns"].post("/script", json={"kind": "answer", "prefix": "ab"})).raise_for_status()
    [rule] = (await doors["apns"].get("/script")).json()
    assert rule["status"] == 200
    await doors["apns"].delete("/script")


async def test_a_start_that_fails_leaves_no_door_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        half = IdentitySimulator(IdentitySettings(port=port, admin_port=taken.getsockname()[1]))
        with pytest.raises(OSError, match="in use"):
            await half.start()
    async with IdentitySimulator(IdentitySettings(port=port)) as whole:
        assert whole.url.endswith(f":{port}")
