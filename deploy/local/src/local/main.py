"""The verbs of the local system: `demo` tells the story, `up` keeps it running, `token` signs a bearer token."""

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2

from local.broker import Broker, choose
from local.children import ChildFailedError
from local.complaints import complaints
from local.doors import Doors, fetch_token
from local.guide import INTRODUCTION, guide
from local.plan import FIXED_PORTS, any_ports
from local.ports import is_free
from local.postgres import remove
from local.screen import Screen
from local.story import tell
from local.system import running

PROJECT = Path(__file__).parents[4]
STATE = PROJECT / ".state"
CACHE = PROJECT / ".cache"

INTERRUPTED = 130
"""The exit code of a program that was ended by Ctrl-C, as shells have it."""


async def demo(screen: Screen) -> int:
    """Start everything in a fresh folder, tell the story, stop everything; return the exit code."""
    STATE.mkdir(exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="demo-", dir=STATE))
    broker = _broker(directory)
    began = time.perf_counter()
    screen.title("Managed Distribution")
    screen.say(INTRODUCTION)
    screen.say()
    try:
        async with running(directory, broker=broker, ports=any_ports(), kept=False) as system:
            screen.say(f"Everything is up after {time.perf_counter() - began:.1f} s.")
            async with Doors(system) as doors:
                held = await tell(doors, screen)
    except BaseException:
        await asyncio.to_thread(_keep_only_logs, directory)
        raise
    if held:
        await asyncio.to_thread(shutil.rmtree, directory)
        return 0
    await asyncio.to_thread(_keep_only_logs, directory)
    _show_logs(screen, directory / "logs")
    return 1


async def up(screen: Screen) -> int:
    """Keep the system running until Ctrl-C; return the exit code."""
    ports = [port for each in FIXED_PORTS.values() for port in (each.http, each.metrics)]
    if busy := [port for port in ports if not is_free(port)]:
        screen.say(f"The system needs ports that are in use: {', '.join(map(str, busy))}")
        return 1
    directory = STATE / "up"
    broker = _broker(directory)
    if not broker.keeps_log:
        await asyncio.to_thread(_throw_away, directory)
    directory.mkdir(parents=True, exist_ok=True)
    cards = directory / "cards.json"
    screen.say("Starting ...")
    try:
        async with (
            running(directory, broker=broker, ports=FIXED_PORTS, kept=broker.keeps_log) as system,
            Doors(system) as doors,
        ):
            cards.write_text(json.dumps(dict(system.cards)))
            await doors.install_push_certificate()
            screen.say(guide(system, doors.token))
            try:
                ended = await system.children.first_to_end()
            finally:
                screen.say("\nStopping ...")
            raise ChildFailedError(f"{ended.name} ended by itself; its log: {ended.command.log_file}")
    finally:
        cards.unlink(missing_ok=True)


async def token(screen: Screen) -> int:
    """Print a bearer token of the running system, for every scope; return the exit code."""
    try:
        cards = json.loads((STATE / "up" / "cards.json").read_text())
        screen.say(await fetch_token(cards["identity"]["admin_url"]))
    except (FileNotFoundError, httpx2.ConnectError):
        sys.stderr.write("Nothing is running: start it with `make up`, then ask again.\n")
        return 1
    return 0


def _broker(directory: Path) -> Broker:
    return choose(os.environ, directory=directory / "broker", cache=CACHE)


def _keep_only_logs(directory: Path) -> None:
    """Remove what a run needed and nobody will look at: of a story that failed, its logs are kept."""
    for each in directory.iterdir():
        if each.name != "logs":
            shutil.rmtree(each) if each.is_dir() else each.unlink()


def _throw_away(directory: Path) -> None:
    """Remove what an earlier run left that was ended before it could tidy up."""
    if (directory / "postgres").exists():
        remove(directory / "postgres")
    shutil.rmtree(directory, ignore_errors=True)


def _show_logs(screen: Screen, logs: Path) -> None:
    screen.say(f"\nThe logs of this run: {logs}")
    for complaint in complaints(logs):
        screen.say(f"  {complaint}")


async def _interruptible(verb: Callable[[Screen], Awaitable[int]], screen: Screen) -> int:
    """Run a verb; Ctrl-C and SIGTERM end it in good order."""
    work = asyncio.ensure_future(verb(screen))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        screen.say("Interrupted. Everything is stopped.")
        return INTERRUPTED
    except (ChildFailedError, OSError, RuntimeError, ValueError) as error:
        screen.say(f"\n{error}")
        return 1


VERBS = {"demo": demo, "up": up, "token": token}


def main() -> None:
    """Run one verb."""
    parser = argparse.ArgumentParser(prog="python -m local.main", description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    verb = VERBS[parser.parse_args().verb]
    sys.exit(asyncio.run(_interruptible(verb, Screen())))


if __name__ == "__main__":
    main()
