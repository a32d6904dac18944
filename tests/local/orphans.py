"""For tests of what children do when their parent is killed: a parent to kill, and a look at the child."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys


async def orphan(code: str) -> int:
    """Run `code` in a process, kill that, and wait until the child whose pid it printed has ended; return the pid.

    `code` is the body of an async function; it goes on for ever after the last line. Raises TimeoutError when the
    child still runs 15 seconds later.
    """
    body = "\n    ".join(code.strip().splitlines())
    program = (
        f"import asyncio\nasync def main():\n    {body}\n    await asyncio.sleep(600)\nasyncio.run(main())"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    with contextlib.suppress(ProcessLookupError):
        os.kill(parent.pid, signal.SIGKILL)
    await parent.wait()
    async with asyncio.timeout(15):
        await _end_of(pid)
    return pid


def runs(pid: int) -> bool:
    """Say whether a process runs: a zombie, which nobody has buried yet, does not."""
    question = ["/bin/ps", "-o", "stat=", "-p", str(pid)]
    ps = subprocess.run(question, capture_output=True, text=True, check=False)  # noqa: S603 - as written above
    return ps.stdout.strip()[:1] not in {"", "Z"}


async def _end_of(pid: int) -> None:
    while True:
        if not runs(pid):
            return
        await asyncio.sleep(0.05)
