"""`make demo`, `make up` and `make token` as a person at a terminal meets them; none leaves a process behind."""

import asyncio
import fcntl
import io
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import httpx2
import pytest

from local import school
from local.main import CARDS, FORGOTTEN, INTERRUPTED, PROJECT, STATE
from local.plan import FIXED_PORTS
from local.ports import is_free
from local.postgres import remove
from local.screen import Screen
from local.story import tell
from local.waiting import until
from tests.local.orphans import runs
from tests.stories.stage import Stage

pytestmark = pytest.mark.timeout(480)

PORTS = [port for each in FIXED_PORTS.values() for port in (each.http, each.metrics)]
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "BROKER": "embedded", "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def ports_of_up() -> Iterator[None]:
    """The ports of `make up`: one session on this machine has them at a time."""
    with (Path(tempfile.gettempdir()) / "ports-of-make-up.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not all(map(is_free, PORTS)):
            pytest.skip("somebody uses the ports of `make up`")
        yield


@asynccontextmanager
async def verb(name: str) -> AsyncIterator[Process]:
    """Run a verb; whatever the test did to it, nothing it started runs any more at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "local.main", name),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=PROJECT,
        env=ENVIRONMENT,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def printed(process: Process, *, up_to: str) -> str:
    """Read what a verb prints, up to a line with these words."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or up_to not in lines[-1]:
        line = await process.stdout.readline()
        assert line, "".join(lines)
        lines.append(line.decode())
    return "".join(lines)


async def the_rest(process: Process) -> str:
    """Read what a verb prints until it ends."""
    assert process.stdout is not None
    return (await process.stdout.read()).decode()


def descendants(pid: int) -> set[int]:
    """Return the processes that a process started, and those that they started."""
    table = subprocess.run(["/bin/ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = {int(child): int(parent) for child, parent in map(str.split, table.stdout.splitlines())}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def command_lines(pids: set[int]) -> list[str]:
    """Return the command lines of these processes."""
    table = subprocess.run(["/bin/ps", "-wweo", "pid=,args="], capture_output=True, text=True, check=True)
    return [line for line in table.stdout.splitlines() if int(line.split()[0]) in pids]


def folder_of(pids: set[int]) -> Path:
    """Return the folder in which these processes have their files."""
    told = [re.search(rf"{STATE}/demo-\w+", line) for line in command_lines(pids)]
    [folder] = {found[0] for found in told if found}
    return Path(folder)


async def migrating(pid: int) -> bool:
    """Say whether the start has come as far as the services' first work, beside database and simulators."""
    return any(line.endswith("licensing migrate") for line in command_lines(descendants(pid)))


async def all_end(pids: set[int]) -> bool:
    """Wait until none of these processes runs any more, and say whether that came true."""
    for _ in range(300):
        if not any(map(runs, pids)):
            return True
        await asyncio.sleep(0.1)
    return False


async def test_the_demo_tells_the_whole_story_and_leaves_nothing_behind() -> None:
    async with verb("demo") as demo:
        shown = await printed(demo, up_to="Everything is up")
        started = descendants(demo.pid)
        folder = folder_of(started)
        shown += await the_rest(demo)
        assert await demo.wait() == 0, shown
    assert "Everything held: 42 checks" in shown
    assert "✗" not in shown
    assert '"level"' not in shown  # no log line
    assert len(started) > 5
    assert await all_end(started)
    assert not folder.exists()


async def test_a_demo_that_is_interrupted_while_it_starts_stops_everything_and_says_so() -> None:
    async with verb("demo") as demo:
        assert await until(partial(migrating, demo.pid), bool, within_seconds=90)
        started = descendants(demo.pid)
        folder = folder_of(started)
        demo.send_signal(signal.SIGINT)
        shown = await the_rest(demo)
        assert await demo.wait() == INTERRUPTED
    assert shown.splitlines()[-1] == "Interrupted. Everything is stopped."
    assert "Traceback" not in shown
    assert await all_end(started)
    assert not folder.exists()


async def test_a_demo_that_is_killed_leaves_no_process_behind() -> None:
    async with verb("demo") as demo:
        await printed(demo, up_to="Everything is up")
        started = descendants(demo.pid)
        folder = folder_of(started)
        demo.kill()
        await demo.wait()
    assert len(started) > 5
    assert await all_end(started)
    await asyncio.to_thread(remove, folder / "postgres")
    await asyncio.to_thread(shutil.rmtree, folder)


async def test_a_story_that_breaks_says_where_and_why(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(school, "purchases", lambda: [{"adam_id": "1", "total": -1}])
    told = io.StringIO()
    assert not await tell(stage.doors, Screen(told))
    shown = told.getvalue()
    assert "It did not hold: the story ended in step 1 of 11." in shown
    assert "answered 422" in shown
    assert "Devices enroll" not in shown


async def test_a_broker_that_nobody_knows_is_said_in_one_line() -> None:
    before = set(STATE.glob("demo-*"))
    asked = subprocess.run(  # noqa: ASYNC221 - it ends at once
        [sys.executable, "-m", "local.main", "demo"],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={**ENVIRONMENT, "BROKER": "pigeons"},
        check=False,
    )
    assert asked.returncode == 1
    assert asked.stdout.splitlines()[-1] == "BROKER=pigeons is not known: it is embedded, apache, external"
    assert "Traceback" not in asked.stderr
    assert [folder for folder in set(STATE.glob("demo-*")) - before if not any(folder.iterdir())] == []


async def test_up_says_where_everything_is_and_stops_cleanly_when_it_is_asked_to(ports_of_up: None) -> None:
    async with verb("up") as up:
        shown = await printed(up, up_to="forgotten")
        started = descendants(up.pid)
        async with verb("token") as token:
            bearer = (await the_rest(token)).strip()
            assert await token.wait() == 0
        assert bearer.count(".") == 2
        await _answers_to(bearer, shown)
        up.send_signal(signal.SIGTERM)
        assert "Stopping" in await the_rest(up)
        assert await up.wait() == 0
    assert await all_end(started)
    assert not CARDS.exists()
    async with verb("token") as token:
        assert "Nothing is running" in await the_rest(token)
        assert await token.wait() == 1


async def test_up_names_the_ports_that_somebody_else_uses(ports_of_up: None) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", PORTS[0]))
        other.listen()
        async with verb("up") as up:
            shown = await the_rest(up)
            assert await up.wait() == 1
    assert shown == f"The system needs ports that are in use: {PORTS[0]}\n"


async def _answers_to(bearer: str, shown: str) -> None:
    """Ask a service as the screen says, with a token that was printed later."""
    url = "https://localhost:8001"
    assert url in shown
    trust = ssl.create_default_context(cafile=FORGOTTEN / "box" / "authority.pem")
    async with httpx2.AsyncClient(verify=trust, trust_env=False) as http:
        answer = await http.get(f"{url}/v1/device-groups", headers={"Authorization": f"Bearer {bearer}"})
    assert [group["member_count"] for group in answer.json()["items"]] == [40, 20]
