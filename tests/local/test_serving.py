"""The way every simulator serves: a free port, no signals taken, a stop that does not wait for idle peers."""

import asyncio
import signal
import socket

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from local.simulators.serving import HangUp, Serving

LINGERING = asyncio.Event()


async def greet(_: Request) -> Response:
    return PlainTextResponse("hello")


async def hang_up(_: Request) -> Response:
    return HangUp()


async def linger(_: Request) -> Response:
    LINGERING.set()
    await asyncio.sleep(0.3)
    return PlainTextResponse("done")


APP = Starlette(routes=[Route("/", greet), Route("/gone", hang_up), Route("/slow", linger)])


async def test_it_takes_a_free_port_and_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    first, second = await Serving.start(APP), await Serving.start(APP)
    assert first.port != second.port
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    async with httpx2.AsyncClient(trust_env=False) as client:
        for serving in (first, second):
            assert (await client.get(f"http://127.0.0.1:{serving.port}/")).text == "hello"
    await first.stop()
    await second.stop()


async def test_a_taken_port_is_an_error_of_the_caller() -> None:
    first = await Serving.start(APP)
    with pytest.raises(OSError, match="in use"):
        await Serving.start(APP, port=first.port)
    await first.stop()


async def test_a_stop_finishes_running_answers_and_does_not_wait_for_idle_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("local.simulators.serving.GRACE_SECONDS", 60)
    serving = await Serving.start(APP)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{serving.port}", trust_env=False) as client:
        await client.get("/")
        slow = asyncio.create_task(client.get("/slow"))
        await LINGERING.wait()
        async with asyncio.timeout(4):  # after five seconds an idle connection is closed anyway
            await serving.stop()
        assert (await slow).text == "done"
        with pytest.raises(httpx2.ConnectError):
            await client.get("/")


async def test_hanging_up_closes_without_a_byte() -> None:
    serving = await Serving.start(APP)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{serving.port}", trust_env=False) as client:
        with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
            await client.get("/gone")
    await serving.stop()


async def test_an_answer_does_not_wait_for_the_acknowledgement_of_the_one_before() -> None:
    serving = await Serving.start(APP)
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{serving.port}", trust_env=False) as client:
        await client.get("/")
        [connection] = serving._server.server_state.connections
        served = connection.transport.get_extra_info("socket")
        assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), "40 ms with Nagle's algorithm"
    await serving.stop()
