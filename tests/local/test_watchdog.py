import asyncio
import os
import select
import signal
import sys
from pathlib import Path

import pytest

from local.children import Child, Command
from tests.local.orphans import orphan

START = """
import pathlib, sys
from local.children import Child, Command
child = Child(Command(
    name="child", arguments=[sys.executable, "-I", "-c", {child!r}], environment={{}},
    log_file=pathlib.Path({log!r}), grace_seconds={grace},
))
while "up" not in child.command.log_file.read_text():
    await asyncio.sleep(0.02)
print(child.pid, flush=True)
"""


async def test_a_child_whose_parent_is_killed_is_told_to_stop(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('told', flush=True)))\n"
        "print('up', flush=True); time.sleep(60)"
    )
    await orphan(START.format(child=code, log=str(log), grace=10))
    assert log.read_text() == "up\ntold\n"


async def test_a_deaf_child_whose_parent_is_killed_is_killed_after_the_grace(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    await orphan(START.format(child=code, log=str(log), grace=0.2))


async def test_a_child_whose_parent_leaves_in_good_order_is_told_to_stop_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "import signal, time; print('up', flush=True); time.sleep(60)"
    await orphan(START.format(child=code, log=str(log), grace=10) + "raise SystemExit")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_signals_do_not_end_the_watchdog_before_its_time(
    tmp_path: Path, number: signal.Signals
) -> None:
    watchdog = Path(sys.modules["local.watchdog"].__file__ or "")
    its_end, our_end = os.pipe()
    process = await asyncio.create_subprocess_exec(sys.executable, str(watchdog), stdin=its_end)
    victim = Child(
        Command(
            name="victim",
            arguments=[sys.executable, "-I", "-c", "import time; time.sleep(60)"],
            environment={},
            log_file=tmp_path / "log",
        )
    )
    os.write(our_end, f"watch {victim.pid} {signal.SIGTERM.value} 10\n".encode())
    async with asyncio.timeout(20):
        while select.select([its_end], [], [], 0)[0]:  # once it reads, its signal handling stands
            await asyncio.sleep(0.02)
    process.send_signal(number)
    await asyncio.sleep(0.1)
    assert victim.exit_code is None
    os.close(its_end)
    os.close(our_end)
    assert await asyncio.wait_for(victim.ended(), 20) == -signal.SIGTERM
    assert await process.wait() == 0


async def test_what_was_forgotten_is_left_alone(tmp_path: Path) -> None:
    watchdog = Path(sys.modules["local.watchdog"].__file__ or "")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(watchdog), stdin=asyncio.subprocess.PIPE
    )
    lasting = Child(
        Command(
            name="lasting",
            arguments=[sys.executable, "-I", "-c", "import time; time.sleep(60)"],
            environment={},
            log_file=tmp_path / "log",
        )
    )
    await process.communicate(f"watch {lasting.pid} 15 10\nforget {lasting.pid}\n".encode())
    assert lasting.exit_code is None
    await lasting.stop()
