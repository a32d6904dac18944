"""The watchdog: a second process that ends everything we started once we are gone, however we went.

It reads from a pipe that only we hold open, so it notices an orderly exit, a crash and a SIGKILL alike.
Linux's PR_SET_PDEATHSIG was not taken: it follows the *thread* that started the child, needs code between
fork and exec, and exists on no other system.
"""

import functools
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path


class Watchdog:
    """Our end of the pipe; one for the whole process, see `watchdog`."""

    def __init__(self) -> None:
        its_end, self._our_end = os.pipe()  # neither is inherited by any other child
        silence = os.open(os.devnull, os.O_WRONLY)
        # It outlives us, so nobody here waits for it: a Popen would complain of that at our exit.
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", str(Path(__file__).resolve())],  # this very file
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, its_end, 0),
                (os.POSIX_SPAWN_DUP2, silence, 1),
                (os.POSIX_SPAWN_DUP2, silence, 2),
            ],
        )
        os.close(silence)
        os.close(its_end)

    def watch(self, pid: int, stop_signal: signal.Signals, *, grace_seconds: float) -> None:
        """When we are gone, send `stop_signal` to process `pid`, and SIGKILL to its group after the grace."""
        self._say(f"watch {pid} {stop_signal.value} {grace_seconds}\n")

    def forget(self, pid: int) -> None:
        """Leave `pid` alone from now on: it ended, and its number may soon be somebody else's."""
        self._say(f"forget {pid}\n")

    def _say(self, line: str) -> None:
        os.write(self._our_end, line.encode())  # so short a write is atomic: threads need no lock


@functools.cache
def watchdog() -> Watchdog:
    """Return this process's watchdog, started on the first call."""
    return Watchdog()


def main() -> None:
    """Read what to watch from standard input until it closes, then end what is left."""
    os.setsid()  # neither Ctrl-C at the terminal nor a kill of our starter's group reaches another session
    os.chdir("/")
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    watched: dict[int, tuple[int, float]] = {}
    for line in sys.stdin:
        match line.split():
            case ["watch", pid, number, grace_seconds]:
                watched[int(pid)] = int(number), float(grace_seconds)
            case ["forget", pid]:
                watched.pop(int(pid), None)
    end(watched)


def end(watched: dict[int, tuple[int, float]]) -> None:
    """Send each process its signal, the youngest first, and SIGKILL to the groups that outlive their grace."""
    for pid, (number, _) in reversed(watched.items()):
        _send(os.kill, pid, number)
    began = time.monotonic()
    for pid, (_, grace_seconds) in sorted(watched.items(), key=lambda each: each[1][1]):
        while _send(os.kill, pid, 0):
            if time.monotonic() >= began + grace_seconds:
                _send(os.killpg, pid, signal.SIGKILL)
                break
            time.sleep(0.02)


def _send(kill: Callable[[int, int], None], pid: int, number: int) -> bool:
    """Send a signal (0 only asks) and say whether there was anybody to receive it."""
    try:
        kill(pid, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
