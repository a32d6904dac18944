import asyncio
import os
import signal
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from local.children import Child, ChildFailedError, Children, Command, answers
from local.ports import LOOPBACK, free_port
from local.simulators.authority import Authority

FOR_EVER = "import time; print('up', flush=True); time.sleep(60)"
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def command(folder: Path, code: str, *, name: str = "child", grace_seconds: float = 5.0) -> Command:
    return Command(
        name=name,
        arguments=[sys.executable, "-I", "-c", code],
        environment={"SPOKEN": "aloud"},
        log_file=folder / f"{name}.log",
        grace_seconds=grace_seconds,
    )


def says(child_command: Command, word: str) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        return word in child_command.log_file.read_text()

    return ready


async def test_a_child_gets_its_own_environment_and_nothing_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OURS", "secret")
    wanted = command(tmp_path, "import os; print(sorted(os.environ))")
    await Child(wanted).finish()
    assert "SPOKEN" in wanted.log_file.read_text()
    assert "OURS" not in wanted.log_file.read_text()


def test_a_command_shown_in_an_error_hides_its_environment(tmp_path: Path) -> None:
    assert "aloud" not in repr(command(tmp_path, ""))


async def test_a_child_is_ready_once_its_url_answers(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "readyz").touch()
    serve = Command(
        name="web",
        arguments=[sys.executable, "-m", "http.server", str(port), "--bind", LOOPBACK, "-d", str(tmp_path)],
        environment={},
        log_file=tmp_path / "web.log",
    )
    async with Children() as children:
        await children.start(serve, ready=answers(f"http://{LOOPBACK}:{port}/readyz"))
        assert not await answers(f"http://{LOOPBACK}:{port}/absent")()
    assert not await answers(f"http://{LOOPBACK}:{port}/readyz")()


async def test_a_url_that_is_https_answers_whoever_trusts_its_authority(tmp_path: Path) -> None:
    authority = Authority.create("local")
    certificate, key = authority.issue_server(hosts=[LOOPBACK]).write(tmp_path, "server")
    inside = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    inside.load_cert_chain(certificate, key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, LOOPBACK, ssl=inside)
    url = f"https://{LOOPBACK}:{server.sockets[0].getsockname()[1]}/readyz"
    trust = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    assert await answers(url, trust=trust)()
    assert not await answers(url)()
    server.close()


async def test_a_child_that_ends_early_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    wanted = command(tmp_path, "raise SystemExit('the reason')", name="licensing")
    async with Children() as children:
        with pytest.raises(ChildFailedError, match=r"licensing ended with exit code 1(?s:.*)the reason"):
            await children.start(wanted, ready=says(wanted, "never said"))


async def test_a_child_that_is_not_ready_in_time_is_named_and_stopped_with_the_others(tmp_path: Path) -> None:
    wanted = command(tmp_path, FOR_EVER, name="slow")
    child: Child | None = None
    async with Children() as children:
        with pytest.raises(ChildFailedError, match=r"slow was not ready within 0\.2 s"):
            await children.start(wanted, ready=says(wanted, "never said"), within_seconds=0.2)
        child = children.started[0]
        assert child.exit_code is None
    assert child.exit_code == -signal.SIGTERM


async def test_a_check_that_hangs_does_not_outlast_its_time(tmp_path: Path) -> None:
    child = Child(command(tmp_path, FOR_EVER))

    async def hangs() -> bool:
        await asyncio.sleep(60)
        return True

    with pytest.raises(ChildFailedError, match="was not ready"):
        await child.wait_until(hangs, within_seconds=0.1)
    await child.stop()


async def test_children_stop_in_the_reverse_of_their_order(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    time.sleep(0.1)\n"
        "    open(sys.argv[1], 'a').write(sys.argv[2]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(60)"
    )
    async with Children() as children:
        for name in "abc":
            plain = command(tmp_path, code, name=name)
            wanted = Command(
                name=name,
                arguments=[*plain.arguments, str(journal), name],
                environment={},
                log_file=plain.log_file,
            )
            await children.start(wanted, ready=says(wanted, "up"))
    assert journal.read_text() == "cba"


async def test_a_child_deaf_to_its_signal_is_killed_with_its_group_after_its_grace(tmp_path: Path) -> None:
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-I', '-c', {DEAF!r}])"
    wanted = command(tmp_path, f"import signal; signal.signal(15, signal.SIG_IGN); {code}", grace_seconds=0.2)
    child = Child(wanted)
    await child.wait_until(says(wanted, "up"), within_seconds=10)
    began = time.monotonic()
    assert await child.stop() == -signal.SIGKILL
    assert time.monotonic() - began < 10
    with pytest.raises(ProcessLookupError):
        await _until_the_group_is_gone(child.pid)


async def _until_the_group_is_gone(group: int) -> None:
    async with asyncio.timeout(20):
        while True:
            os.killpg(group, 0)
            await asyncio.sleep(0.02)


async def test_stopping_what_has_ended_returns_how_it_ended(tmp_path: Path) -> None:
    child = Child(command(tmp_path, "raise SystemExit(3)"))
    assert await child.ended() == 3
    assert await child.stop() == 3
    assert await child.kill() == 3
    child.send(signal.SIGTERM)


async def test_the_first_to_end_by_itself_is_named(tmp_path: Path) -> None:
    lasting, fleeting = command(tmp_path, FOR_EVER, name="lasting"), command(tmp_path, "", name="fleeting")

    async def at_once() -> bool:
        return True

    async with Children() as children:
        await children.start(lasting, ready=at_once)
        await children.start(fleeting, ready=at_once)
        assert (await asyncio.wait_for(children.first_to_end(), 20)).name == "fleeting"


async def test_an_interrupt_at_the_terminal_is_for_the_parent_alone(tmp_path: Path) -> None:
    child = Child(command(tmp_path, FOR_EVER))
    assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
    await child.stop()
