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

from local.broker import Broker, BrokerKind, choose
from local.children import ChildFailedError
from local.complaints import complaints
from local.doors import Doors, UnexpectedAnswerError, fetch_token
from local.furnishing import furnish
from local.guide import INTRODUCTION, guide
from local.plan import FIXED_PORTS, any_ports
from local.ports import is_free
from local.postgres import DURABLE, THROWAWAY, remove
from local.screen import Screen
from local.story import tell
from local.system import System, running

PROJECT = Path(__file__).parents[4]
STATE = PROJECT / ".state"
CACHE = PROJECT / ".cache"

KEPT = STATE / "up"
FORGOTTEN = STATE / "up-once"
"""Where `up` has its files: with a broker that keeps its log for the next start too, else for this one alone."""
CARDS = STATE / "cards.json"
"""Where the simulators of a running `up` are, for `token`."""

INTERRUPTED = 130
"""The exit code of a program that was ended by Ctrl-C, as shells have it."""


async def demo(screen: Screen) -> int:
    """Start everything in a fresh folder, tell the story, stop everything; return the exit code."""
    STATE.mkdir(exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="demo-", dir=STATE))
    try:
        held = await _demo_in(directory, screen)
    except asyncio.CancelledError:
        await asyncio.to_thread(shutil.rmtree, directory)
        raise
    except BaseException:
        await asyncio.to_thread(_keep_only_logs, directory)
        raise
    await asyncio.to_thread(shutil.rmtree if held else _keep_only_logs, directory)
    if not held:
        screen.say(f"\nThe logs of this run: {directory / 'logs'}")
        for complaint in complaints(directory / "logs"):
            screen.say(f"  {complaint}")
    return 0 if held else 1


async def _demo_in(directory: Path, screen: Screen) -> bool:
    screen.title("Managed Distribution")
    screen.say(f"{INTRODUCTION}\n")
    screen.aside("Starting PostgreSQL, a broker, the simulators and the services ...")
    began = time.perf_counter()
    broker = _broker(directory)
    async with running(
        directory, broker=broker, ports=any_ports(), kept=False, postgres_settings=THROWAWAY
    ) as system:
        screen.say(f"Everything is up after {time.perf_counter() - began:.1f} s.")
        async with Doors(system) as doors:
            return await tell(doors, screen)


async def up(screen: Screen) -> int:
    """Keep the system running until Ctrl-C; return the exit code."""
    ports = [port for each in FIXED_PORTS.values() for port in (each.http, each.metrics)]
    if busy := [port for port in ports if not is_free(port)]:
        screen.say(f"The system needs ports that are in use: {', '.join(map(str, busy))}")
        return 1
    broker = _broker(KEPT)
    directory = KEPT if broker.keeps_log else FORGOTTEN
    if directory == FORGOTTEN:
        await asyncio.to_thread(_throw_away, directory)
    directory.mkdir(parents=True, exist_ok=True)
    screen.say("Starting ...\n")
    try:
        async with (
            running(
                directory,
                broker=broker,
                ports=FIXED_PORTS,
                kept=directory == KEPT,
                postgres_settings=DURABLE if directory == KEPT else THROWAWAY,
            ) as system,
            Doors(system) as doors,
        ):
            asset_id, group_id = await furnish(doors)
            CARDS.write_text(json.dumps(dict(system.cards)))
            screen.say(guide(system, doors.token, asset_id=asset_id, group_id=group_id))
            return await _until_ctrl_c(system, screen)
    finally:
        CARDS.unlink(missing_ok=True)
        if directory == FORGOTTEN:
            await asyncio.to_thread(_keep_only_logs, directory)


async def _until_ctrl_c(system: System, screen: Screen) -> int:
    try:
        ended = await system.children.first_to_end()
    except asyncio.CancelledError:
        return 0  # so it is meant to end
    screen.say(f"\n{ended.name} ended by itself; its log: {ended.command.log_file}")
    return 1


async def token(screen: Screen) -> int:
    """Print a bearer token of the running system, for every scope; return the exit code."""
    try:
        cards = json.loads(CARDS.read_text())
        screen.say(await fetch_token(cards["identity"]["admin_url"]))
    except (FileNotFoundError, httpx2.ConnectError):
        sys.stderr.write("Nothing is running: start it with `make up`, then ask again.\n")
        return 1
    return 0


def _broker(directory: Path) -> Broker:
    name = os.environ.get("BROKER", BrokerKind.EMBEDDED)
    if name not in set(BrokerKind):
        raise ValueError(f"BROKER={name} is not known: it is {', '.join(BrokerKind)}")
    return choose(os.environ, directory=directory / "broker", cache=CACHE)


def _keep_only_logs(directory: Path) -> None:
    """Remove what a run needed and nobody will look at; of one that failed, its logs are kept."""
    for each in directory.iterdir():
        if each.name != "logs":
            shutil.rmtree(each) if each.is_dir() else each.unlink()
    if not any(directory.iterdir()):
        directory.rmdir()


def _throw_away(directory: Path) -> None:
    """Remove what an earlier run left that was ended before it could tidy up."""
    if (directory / "postgres").exists():
        remove(directory / "postgres")
    shutil.rmtree(directory, ignore_errors=True)


async def _interruptible(verb: Callable[[Screen], Awaitable[int]], screen: Screen) -> int:
    """Run a verb; Ctrl-C and SIGTERM end it in good order."""
    work = asyncio.ensure_future(verb(screen))

    def stop() -> None:
        screen.say("\nStopping ...")
        work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        return await work
    except asyncio.CancelledError:
        screen.say("Interrupted. Everything is stopped.")
        return INTERRUPTED
    except BrokenPipeError:  # whoever read along has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ChildFailedError, UnexpectedAnswerError, OSError, RuntimeError, ValueError) as error:
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
