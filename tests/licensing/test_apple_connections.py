"""Over which connections the client speaks: the token goes to no other place, and a service that moved is found."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from licensing.apple import Apple, Wire, http_client
from licensing.apple.wire import Call, Moved
from licensing.model import Access, EventStatus, IntentKind
from local.simulators.serving import Serving
from shared.clock import SystemClock
from tests.licensing.office import AppleAdmin
from tests.licensing.scripted import ACCESS, KEY, FreeBudget, Scripted, answering


class Door:
    """A server of its own, which notes whoever comes; its `service/config` says nothing."""

    def __init__(self, answer: Response) -> None:
        self.met: list[Request] = []
        self._answer = answer
        self.app = Starlette(routes=[Route("/{path:path}", self._serve, methods=["GET", "POST"])])

    async def _serve(self, request: Request) -> Response:
        self.met.append(request)
        return JSONResponse({}) if request.url.path.endswith("service/config") else self._answer


@pytest.fixture
async def elsewhere(certificates: Path) -> AsyncIterator[tuple[Door, Serving]]:
    door = Door(Response("{}", media_type="application/json"))
    serving = await _serve(door, certificates)
    yield door, serving
    await serving.stop()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_the_token_goes_to_no_other_place(
    elsewhere: tuple[Door, Serving], certificates: Path, status: int
) -> None:
    other, serving = elsewhere
    apples = Door(RedirectResponse(f"https://127.0.0.1:{serving.port}/mdm/v2/assets", status))
    redirecting = await _serve(apples, certificates)
    async with Wire(lambda: http_client(certificates / "ca.pem"), deadline_seconds=10.0) as wire:
        base_url = f"https://127.0.0.1:{redirecting.port}/mdm/v2"
        apple = Apple(wire, base_url=base_url, budget=FreeBudget(), clock=SystemClock())
        with pytest.raises(Moved):
            await apple.asset(ACCESS, KEY)
    await redirecting.stop()
    assert ["authorization" in request.headers for request in apples.met] == [False, True]
    assert not other.met


async def test_a_write_that_is_redirected_was_not_queued_and_shows_the_token_once(
    elsewhere: tuple[Door, Serving],
) -> None:
    _, serving = elsewhere
    away = {"location": f"https://127.0.0.1:{serving.port}/", "retry-after": "9"}
    scripted = Scripted(lambda _: httpx2.Response(307, headers=away))
    with pytest.raises(Moved) as caught:
        await scripted.write()
    assert caught.value.retry_after_seconds == 9
    assert {request.url.host for request in scripted.requests} == {"apple.test"}


async def test_a_service_that_moved_is_found_over_a_new_connection(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    assert await apple.asset(access, KEY)
    await admin.fault("*", "error", status=503, error_number=9729, old_connections=True, times=99)
    with pytest.raises(Moved):
        await apple.asset(access, KEY)
    assert await apple.asset(access, KEY)


async def test_what_is_under_way_when_the_service_moves_comes_to_its_end(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    assert await apple.asset(access, KEY)
    await admin.fault("assets/associate", "honest", seconds=0.4)
    await admin.fault("assets", "error", status=503, error_number=9729)
    writing = asyncio.create_task(apple.write(access, IntentKind.ASSOCIATE, KEY, ["S"]))
    await asyncio.sleep(0.1)
    with pytest.raises(Moved):
        await apple.asset(access, KEY)
    event_id = await writing
    await admin.settled()
    assert (await apple.status(access, event_id)).status is EventStatus.COMPLETE
    assert await admin.holders() == {"S"}


async def test_former_connections_are_closed_once_nobody_uses_them() -> None:
    made: list[httpx2.AsyncClient] = []
    moved = asyncio.Event()

    async def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/moved":
            await asyncio.sleep(0.01)
            return httpx2.Response(503, json={"errorNumber": 9729})
        await moved.wait()
        return httpx2.Response(200, json={})

    def connect() -> httpx2.AsyncClient:
        made.append(httpx2.AsyncClient(transport=httpx2.MockTransport(answer)))
        return made[-1]

    async with Wire(connect, deadline_seconds=10.0) as wire:
        slow = asyncio.create_task(wire.exchange(_call("/slow"), authorization=None))
        await asyncio.sleep(0)
        outcomes = [wire.exchange(_call("/moved"), authorization=None) for _ in range(3)]
        assert {type(each) for each in await asyncio.gather(*outcomes, return_exceptions=True)} == {Moved}
        assert [http.is_closed for http in made] == [False, False], "one move, one new client"
        moved.set()
        await slow
        assert [http.is_closed for http in made] == [True, False]
    assert all(http.is_closed for http in made)


async def test_moved_asks_for_new_addresses() -> None:
    scripted = Scripted(answering(503, errorNumber=9729))
    for _ in range(2):
        with pytest.raises(Moved):
            await scripted.write()
    assert scripted.paths().count("service/config") == 2


async def test_an_idle_connection_is_given_up_before_apple_may_close_it(certificates: Path) -> None:
    door = Door(Response("{}", media_type="application/json"))
    serving = await _serve(door, certificates)
    async with http_client(certificates / "ca.pem") as http:
        for pause in (0.0, 2.2, 0.0):
            await asyncio.sleep(pause)
            await http.get(f"https://127.0.0.1:{serving.port}/")
    await serving.stop()
    first, second, third = [request.client for request in door.met]
    assert first != second == third


async def _serve(door: Door, certificates: Path) -> Serving:
    return await Serving.start(
        door.app, certificate_file=certificates / "server.pem", key_file=certificates / "server.key"
    )


def _call(path: str) -> Call:
    return Call(f"https://apple.test{path}", {})
