"""The command that starts the box for people who want nothing else of this project."""

import asyncio
import json
import resource
import socket
import ssl
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from local.children import ChildFailedError, Children
from local.plan import any_ports
from local.ports import free_port
from local.simulators.box import Box, BoxSettings
from local.system import start_box

COMMAND = (sys.executable, "-m", "local.simulators")


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[dict[str, Any]]:
    """The process, ready; it must end by itself on SIGTERM."""
    process = await asyncio.create_subprocess_exec(*COMMAND, *arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.terminate()
        code = await process.wait()
    assert code == 0
    assert await process.stdout.read() == b""


async def test_all_doors_open_and_one_line_says_where() -> None:
    async with started() as cards:
        assert set(cards) == {"authority", "apple", "apns", "identity", "mailbox"}
        trust = ssl.create_default_context(cafile=cards["authority"]["certificate_file"])
        async with httpx2.AsyncClient(verify=trust, trust_env=False) as client:
            assert "limits" in (await client.get(f"{cards['apple']['url']}/service/config")).json()
            assert "keys" in (await client.get(cards["identity"]["jwks_url"])).json()
            for name in ("apple", "apns", "identity", "mailbox"):
                assert (await client.get(f"{cards[name]['admin_url']}/docs")).status_code == 200
    with pytest.raises(FileNotFoundError):
        ssl.create_default_context(cafile=cards["authority"]["certificate_file"])


async def test_one_simulator_starts_alone_on_the_ports_asked_for(tmp_path: Path) -> None:
    port = free_port()
    async with started("mailbox", f"--mailbox-port={port}", f"--directory={tmp_path}") as cards:
        assert set(cards) == {"authority", "mailbox"}
        assert cards["mailbox"]["url"] == f"smtp://127.0.0.1:{port}"
    assert stat.S_IMODE((tmp_path / "authority.key").stat().st_mode) == 0o600


async def test_the_authority_of_a_directory_goes_on_from_run_to_run(tmp_path: Path) -> None:
    settings = BoxSettings(names=frozenset({"identity"}), directory=tmp_path / "box")
    authorities = set()
    for _ in range(2):
        async with Box(settings):
            authorities.add((settings.directory / "authority.pem").read_bytes())
    assert len(authorities) == 1


@pytest.mark.parametrize(
    "name", ["vpp.itunes.apple.com", "api.push.apple.com", "api.sandbox.push.apple.com", "localhost"]
)
async def test_a_client_that_knows_only_apples_own_names_trusts_the_box(tmp_path: Path, name: str) -> None:
    async with Box(BoxSettings(names=frozenset({"apple"}), directory=tmp_path)) as box:
        port = urlsplit(box.cards["apple"]["url"]).port
        trust = ssl.create_default_context(cafile=box.cards["authority"]["certificate_file"])
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname=name)
        writer.close()
        await writer.wait_closed()


async def test_devices_of_the_box_ask_its_apple_for_licenses(tmp_path: Path) -> None:
    names = frozenset({"apple", "apns", "devices"})
    async with Box(
        BoxSettings(names=names, directory=tmp_path, checkin_url="https://mdm.example/mdm")
    ) as box:
        async with httpx2.AsyncClient(base_url=box.cards["devices"]["admin_url"], trust_env=False) as admin:
            made = await admin.post("/devices", json={"count": 2})
        assert len(made.json()["serials"]) == 2


@pytest.mark.parametrize(
    ("names", "checkin_url", "said"),
    [
        ({"printer"}, "", "not in the box: printer"),
        ({"devices", "apns"}, "", "check-in URL"),
        ({"devices"}, "https://mdm.example/mdm", "apns in the box"),
    ],
)
def test_what_makes_no_sense_is_refused(names: set[str], checkin_url: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        BoxSettings(names=frozenset(names), directory=tmp_path, checkin_url=checkin_url)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["devices"], b"devices need the check-in URL of a server"),
        (["apns", "devices", "--server-ca-file", "nowhere.pem"], b"no such file: nowhere.pem"),
    ],
)
async def test_the_command_says_what_is_wrong_with_its_arguments(arguments: list[str], reason: bytes) -> None:
    process = await asyncio.create_subprocess_exec(*COMMAND, *arguments, stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    assert process.returncode == 2
    assert reason in said


async def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "mailbox", f"--mailbox-port={port}", stderr=asyncio.subprocess.PIPE
        )
        _, said = await process.communicate()
    assert process.returncode == 1
    assert said.count(b"\n") == 1
    assert str(port).encode() in said


@pytest.mark.parametrize(
    "arguments",
    [
        *(["apple"], ["apns"], ["apns", "--apns-door=fast"], ["identity"], ["mailbox"]),
        ["devices", "apns", "--checkin-url=https://mdm.example/mdm"],  # the last two need the others
        ["people", "apple", "mailbox"],
    ],
    ids=" ".join,
)
async def test_each_starts_alone_with_little_work(arguments: list[str]) -> None:
    worked = []
    for _ in range(3):  # once is enough, unless others make the processor slow
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        async with started(*arguments):
            pass
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        worked.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if worked[-1] < 4:  # 0.7 at most where nothing else runs
            return
    raise AssertionError(f"{worked} s of processor time, from start to stop")


async def test_a_box_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    (tmp_path / "box").touch()  # where its folder should be
    async with Children() as children:
        with pytest.raises(ChildFailedError, match="FileExistsError"):
            await start_box(children, tmp_path / "box", tmp_path, any_ports())
