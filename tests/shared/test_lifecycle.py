import asyncio
import signal
import ssl
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from local.simulators.authority import Authority
from shared.lifecycle import Background, HttpServer, Lifecycle, Part


class Diary:
    """What happened, in order, to parts that do nothing but tell it."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def part(self, name: str, *, raises: Exception | None = None) -> Background:
        async def run(stop: asyncio.Event) -> None:
            self.told.append(f"{name} runs")
            if raises is not None:
                raise raises
            await stop.wait()
            self.told.append(f"{name} ends")

        return Background(name, run)


def ending(lifecycle: Lifecycle, before: Callable[[], Awaitable[None]] | None = None) -> Background:
    """A last part: once it runs all others do; it does something, then stops the process."""

    async def run(stop: asyncio.Event) -> None:
        await asyncio.sleep(0)
        if before is not None:
            await before()
        lifecycle.stop()
        await stop.wait()

    return Background("ending", run)


async def test_parts_start_in_order_and_stop_in_the_reverse_order() -> None:
    diary, lifecycle = Diary(), Lifecycle()
    code = await lifecycle.run([diary.part("a"), diary.part("b"), ending(lifecycle)])
    assert diary.told == ["a runs", "b runs", "b ends", "a ends"]
    assert code == 0


async def test_a_part_that_raises_stops_the_others_and_fails_the_process() -> None:
    diary = Diary()
    code = await Lifecycle().run([diary.part("a"), diary.part("b", raises=ValueError("lost"))])
    assert diary.told == ["a runs", "b runs", "a ends"]
    assert code == 1


async def test_a_part_that_ends_though_nobody_stopped_it_fails_the_process() -> None:
    async def run(stop: asyncio.Event) -> None: ...

    diary = Diary()
    assert await Lifecycle().run([diary.part("a"), Background("short", run)]) == 1
    assert diary.told == ["a runs", "a ends"]


async def test_a_part_that_cannot_start_stops_those_that_did() -> None:
    taken = HttpServer("taken", hello, address=("127.0.0.1", 0))
    task = await taken.start()
    diary = Diary()
    parts: list[Part] = [diary.part("a"), HttpServer("late", hello, address=("127.0.0.1", taken.port))]
    assert await Lifecycle().run(parts) == 1
    assert diary.told == ["a runs", "a ends"]
    taken.stop()
    await task


async def test_a_part_that_overruns_the_grace_is_cut_and_fails_the_process() -> None:
    cut = asyncio.Event()

    async def run(stop: asyncio.Event) -> None:
        try:
            await asyncio.sleep(600)
        finally:
            cut.set()

    lifecycle = Lifecycle(grace_seconds=0.05)
    assert await lifecycle.run([Background("slow", run), ending(lifecycle)]) == 1
    assert cut.is_set()


async def test_the_process_says_that_it_is_stopping_and_what_is_stuck() -> None:
    lifecycle = Lifecycle()
    seen: list[tuple[bool, list[str]]] = []

    async def run(stop: asyncio.Event) -> None:
        await stop.wait()

    async def look() -> None:
        seen.append((lifecycle.stopping, lifecycle.stuck()))

    stuck = Background("stuck", run, progressing=lambda: False)
    await lifecycle.run([Diary().part("a"), stuck, ending(lifecycle, look)])
    assert seen == [(False, ["stuck"])]
    assert lifecycle.stopping


async def greet(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


hello = Starlette(routes=[Route("/", greet)])


async def test_a_server_answers_over_tls_on_a_free_port(tmp_path: Path) -> None:
    authority = Authority.create("test")
    tls = authority.issue_server(hosts=["localhost", "127.0.0.1"]).write(tmp_path, "server")
    server = HttpServer("api", hello, address=("127.0.0.1", 0), tls=tls)
    task = await server.start()
    trust = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    async with httpx2.AsyncClient(verify=trust) as client:
        answer = await client.get(f"https://localhost:{server.port}/")
    assert answer.text == "hello"
    assert "server" not in answer.headers
    server.stop()
    await task


async def test_an_idle_tls_client_does_not_hold_up_the_end(tmp_path: Path) -> None:
    authority = Authority.create("test")
    tls = authority.issue_server(hosts=["localhost", "127.0.0.1"]).write(tmp_path, "server")
    server = HttpServer("api", hello, address=("127.0.0.1", 0), tls=tls)
    task = await server.start()
    trust = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    async with httpx2.AsyncClient(verify=trust) as client:
        await client.get(f"https://localhost:{server.port}/")
        server.stop()
        async with asyncio.timeout(20):
            await task


async def test_a_server_whose_certificate_cannot_be_read_does_not_start(tmp_path: Path) -> None:
    server = HttpServer(
        "api", hello, address=("127.0.0.1", 0), tls=(tmp_path / "no.pem", tmp_path / "no.key")
    )
    with pytest.raises(FileNotFoundError):
        await server.start()


async def test_open_requests_are_answered_before_the_server_ends() -> None:
    lifecycle = Lifecycle()
    asked = asyncio.Event()

    async def dawdle(_request: Request) -> PlainTextResponse:
        asked.set()
        await asyncio.sleep(0.5)
        return PlainTextResponse("at last")

    server = HttpServer("api", Starlette(routes=[Route("/slow", dawdle)]), address=("127.0.0.1", 0))
    answers: list[asyncio.Task[httpx2.Response]] = []

    async def ask() -> None:
        answers.append(asyncio.create_task(client.get(f"http://127.0.0.1:{server.port}/slow")))
        await asked.wait()

    async with httpx2.AsyncClient() as client:
        assert await lifecycle.run([server, ending(lifecycle, ask)]) == 0
        assert (await answers[0]).text == "at last"


PROCESS = """
    import asyncio, sys
    from shared.lifecycle import Background, Lifecycle

    async def run(stop):
        print("up", flush=True)
        await stop.wait()
        print("stopping", flush=True)
        await asyncio.sleep(float(sys.argv[1]))

    sys.exit(asyncio.run(Lifecycle().run([Background("slow", run)])))
"""


async def process(drain_seconds: float) -> asyncio.subprocess.Process:
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(PROCESS), str(drain_seconds), stdout=asyncio.subprocess.PIPE
    )
    assert started.stdout is not None
    assert await started.stdout.readline() == b"up\n"
    return started


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_one_signal_drains_the_process(number: signal.Signals) -> None:
    running = await process(0.1)
    running.send_signal(number)
    await running.communicate()
    assert running.returncode == 0


async def test_a_second_signal_ends_the_process_at_once() -> None:
    running = await process(60)
    running.send_signal(signal.SIGTERM)
    assert running.stdout is not None
    await running.stdout.readuntil(b"stopping\n")
    running.send_signal(signal.SIGTERM)
    await asyncio.wait_for(running.communicate(), timeout=20)
    assert running.returncode == 1
