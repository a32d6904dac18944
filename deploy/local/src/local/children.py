"""Child processes of the local system: started with a log of their own, awaited, stopped in reverse order."""

import asyncio
import contextlib
import os
import signal
import ssl
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from local.unprivileged import Account
from local.watchdog import watchdog

Ready = Callable[[], Awaitable[bool]]

POLL_SECONDS = 0.02
LOG_LINES_SHOWN = 20


class ChildFailedError(Exception):
    """A child ended by itself or was not ready in time; the message carries the last lines of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run. The environment is the whole one: nothing of ours is inherited."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)  # may hold secrets
    log_file: Path
    directory: Path = Path("/")
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace_seconds: float = 10.0


class Child:
    """One running process, in a group of its own so that Ctrl-C at the terminal is ours alone to hear."""

    def __init__(self, command: Command) -> None:
        """Start `command`; its output is appended to its log file. Raises OSError where it cannot be run."""
        account = command.account
        with command.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - what runs is what our own code commands
                command.arguments,
                env=command.environment,
                cwd=command.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
                user=None if account is None else account.uid,
                group=None if account is None else account.gid,
                extra_groups=None if account is None else [],
            )
        self.command = command
        self.name = command.name
        self.pid = self._process.pid
        watchdog().watch(self.pid, command.stop_signal, grace_seconds=command.grace_seconds)

    @property
    def exit_code(self) -> int | None:
        """The exit code (negative: the signal that ended it), or None while it runs."""
        running = self._process.returncode is None
        code = self._process.poll()
        if running and code is not None:
            watchdog().forget(self.pid)
        return code

    async def wait_until(self, ready: Ready, *, within_seconds: float) -> None:
        """Return once `ready` says so. Raises ChildFailedError if the child ends or the time is up first."""
        try:
            async with asyncio.timeout(within_seconds):
                while not await ready():
                    if self.exit_code is not None:
                        raise ChildFailedError(self._complaint(f"ended with exit code {self.exit_code}"))
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise ChildFailedError(self._complaint(f"was not ready within {within_seconds:g} s")) from None

    async def ended(self) -> int:
        """Wait until the process has ended, for whatever reason, and return its exit code."""
        while True:
            if (code := self.exit_code) is not None:
                return code
            await asyncio.sleep(POLL_SECONDS)

    async def finish(self) -> None:
        """Wait for a child that is meant to end; raises ChildFailedError unless its exit code is 0."""
        if code := await self.ended():
            raise ChildFailedError(self._complaint(f"ended with exit code {code}"))

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal, unless it has ended."""
        if self.exit_code is None:
            self._process.send_signal(number)

    async def stop(self) -> int:
        """Ask it to stop, and kill its group when its grace is over; return the exit code.

        Harmless when it has ended.
        """
        self.send(self.command.stop_signal)
        try:
            async with asyncio.timeout(self.command.grace_seconds):
                return await self.ended()
        except TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        """End the process and its group with SIGKILL, as a crash would; return the exit code."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        return await self.ended()

    def _complaint(self, what: str) -> str:
        log = self.command.log_file.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return "\n".join([f"{self.name} {what}; the end of {self.command.log_file}:", *log])


class Children:
    """Several children; they stop in the reverse of the order in which they started. Use as `async with`."""

    def __init__(self) -> None:
        self.started: list[Child] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, command: Command, *, ready: Ready, within_seconds: float = 30.0) -> Child:
        """Start `command` and wait until it is ready. Raises ChildFailedError; `stop` ends that child too."""
        child = Child(command)
        self.started.append(child)
        await child.wait_until(ready, within_seconds=within_seconds)
        return child

    async def first_to_end(self) -> Child:
        """Wait until any of the children has ended by itself, which none should; return it."""
        while True:
            for child in self.started:
                if child.exit_code is not None:
                    return child
            await asyncio.sleep(POLL_SECONDS)

    async def stop(self) -> None:
        """Stop all, the youngest first, each after the one before it has ended."""
        while self.started:
            await self.started[-1].stop()
            self.started.pop()


def answers(url: str, *, trust: ssl.SSLContext | None = None) -> Ready:
    """Return a check that `url` answers 200 to a GET; `trust` is needed where it is https."""

    async def ready() -> bool:
        return await asyncio.to_thread(_status, url, trust) == 200

    return ready


def _status(url: str, trust: ssl.SSLContext | None) -> int | None:
    parts = urlsplit(url)
    host, path = parts.hostname or "", parts.path or "/"
    secure = parts.scheme == "https"
    connection = (
        HTTPSConnection(host, parts.port, timeout=2, context=trust)
        if secure
        else HTTPConnection(host, parts.port, timeout=2)
    )
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, HTTPException):
            return None
