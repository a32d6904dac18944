"""How a process lives: its parts start in order, run together, and stop in the reverse order within a grace.

On SIGTERM or SIGINT the readiness fails and the parts drain; a second signal ends the process at once. A part
that raises, or ends though nobody stopped it, brings the others to a stop and the exit code to 1: a process
that does half of its work looks healthy.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = structlog.get_logger(__name__)

_LAST_SECONDS = 2.0  # what a part that overran the grace gets to unwind, once it is cancelled
_BACKLOG = 2048  # connections that wait to be taken, as uvicorn has it
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Role(StrEnum):
    """What a process of a service does: answer HTTP, work in the background, or both."""

    API = "api"
    WORKER = "worker"
    ALL = "all"


class Part(Protocol):
    """One thing that runs in the process."""

    @property
    def name(self) -> str:
        """What log lines call it."""
        ...

    async def start(self) -> asyncio.Task[None]:
        """Return, once it is up, the task it runs in. Raises when it cannot start."""
        ...

    def stop(self) -> None:
        """Ask it to end soon; its task ends when it has."""
        ...

    def progressing(self) -> bool:
        """Say whether its work goes on; False means that only a restart helps."""
        ...


class Background:
    """A loop: its `run(stop)` returns soon after `stop` is set, and raises when it cannot go on."""

    def __init__(
        self,
        name: str,
        run: Callable[[asyncio.Event], Awaitable[None]],
        *,
        progressing: Callable[[], bool] = lambda: True,
    ) -> None:
        self.name = name
        self.progressing = progressing
        self._run = run
        self._stop = asyncio.Event()

    async def start(self) -> asyncio.Task[None]:
        """Start the loop."""
        return asyncio.create_task(self._to_the_end(), name=self.name)

    def stop(self) -> None:
        """Ask the loop to end."""
        self._stop.set()

    async def _to_the_end(self) -> None:
        await self._run(self._stop)


class HttpServer:
    """An ASGI app on a port, with TLS where files are given; port 0 takes a free one, `port` says which.

    When stopped it takes no new connection, and cuts requests that are still open after `drain_seconds`.
    """

    def __init__(
        self,
        name: str,
        app: ASGIApp,
        *,
        address: tuple[str, int],
        tls: tuple[Path, Path] | None = None,
        drain_seconds: int = 10,
    ) -> None:
        self.name = name
        self.port = address[1]
        self._host = address[0]
        certificate, key = tls or (None, None)
        config = uvicorn.Config(
            app,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            http=HttpToolsProtocol,
            timeout_graceful_shutdown=drain_seconds,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        self._server = _Server(config)

    async def start(self) -> asyncio.Task[None]:
        """Bind, serve, and return once connections are taken. Raises OSError (port taken, files)."""
        self._server.config.load()
        listener = _listen(self._host, self.port)
        self.port = listener.getsockname()[1]
        task = asyncio.create_task(self._server.serve(sockets=[listener]), name=self.name)
        await self._server.up.wait()
        log.info("listening", part=self.name, host=self._host, port=self.port)
        return task

    def stop(self) -> None:
        """Drain and end."""
        self._server.should_exit = True

    def progressing(self) -> bool:
        """Say yes: a server goes on as long as the loop does."""
        return True


def _listen(host: str, port: int) -> socket.socket:
    """Bind a socket that says it is TCP: asyncio turns Nagle's algorithm off only for those (40 ms a reply)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


class _Server(uvicorn.Server):
    """A uvicorn server that says when it is up, and leaves the signals to the lifecycle."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cut idle connections first: a TLS client that is not reading never answers the closing, however long."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, HttpToolsProtocol) and _is_idle(connection):
                connection.transport.abort()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _is_idle(connection: HttpToolsProtocol) -> bool:
    return bool(
        getattr(connection.cycle, "response_complete", True)
    )  # there is no cycle before the first request


class Lifecycle:
    """Runs the parts of one process; `grace_seconds` bounds the whole stop, and is less than the pod's."""

    def __init__(self, *, grace_seconds: float = 40.0) -> None:
        self._grace_seconds = grace_seconds
        self._stopping = asyncio.Event()
        self._started = False
        self._running: list[tuple[Part, asyncio.Task[None]]] = []

    @property
    def started(self) -> bool:
        """Say whether every part is there: readiness fails before, for a door may not be open yet."""
        return self._started

    @property
    def stopping(self) -> bool:
        """Say whether the process is on its way out: readiness fails, long answers end."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Bring the process to its orderly end, as SIGTERM does."""
        self._stopping.set()

    def stuck(self) -> list[str]:
        """Return the names of the parts whose work does not go on: liveness fails while there is one."""
        return [part.name for part, _ in self._running if not part.progressing()]

    async def run(self, parts: Sequence[Part]) -> int:
        """Start the parts in order, run until the end, and return the exit code of the process."""
        with _on_signals(self._signaled):
            healthy = await self._start(parts) and await self._until_stopped()
            self.stop()
            drained = await self._stop_in_reverse()
        return 0 if healthy and drained else 1

    async def _start(self, parts: Sequence[Part]) -> bool:
        for part in parts:
            if self.stopping:
                break
            try:
                self._running.append((part, await part.start()))
            except Exception:
                log.exception("not started", part=part.name)
                return False
        self._started = True
        return True

    async def _until_stopped(self) -> bool:
        """Wait for a signal, or for a part that ends before one; return whether it was the signal."""
        stopped = asyncio.create_task(self._stopping.wait())
        tasks = [task for _, task in self._running]
        await asyncio.wait((stopped, *tasks), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        ended = [(part, task) for part, task in self._running if task.done()]
        self._running = [(part, task) for part, task in self._running if not task.done()]
        for part, task in ended:
            if _ended_well(part, task):
                log.error("ended though nobody stopped it", part=part.name)
        return not ended

    async def _stop_in_reverse(self) -> bool:
        now = asyncio.get_running_loop().time
        until = now() + self._grace_seconds
        well = True
        for part, task in reversed(self._running):
            well &= await _stopped(part, task, within=max(until - now(), 0))
        self._running = []
        return well

    def _signaled(self) -> None:
        if self.stopping:
            log.error("stopped at once by a second signal")
            os._exit(1)
        log.info("stopping", grace_seconds=self._grace_seconds)
        self.stop()


async def _stopped(part: Part, task: asyncio.Task[None], *, within: float) -> bool:
    """Stop one part; cancel it when it takes longer. Return whether it ended well."""
    part.stop()
    await asyncio.wait((task,), timeout=within)
    if task.done():
        return _ended_well(part, task)
    log.error("not stopped within the grace", part=part.name)
    task.cancel()
    await asyncio.wait((task,), timeout=_LAST_SECONDS)
    return False


def _ended_well(part: Part, task: asyncio.Task[None]) -> bool:
    if task.cancelled():
        log.error("canceled", part=part.name)
        return False
    if problem := task.exception():
        log.error("failed", part=part.name, exc_info=problem)
        return False
    return True


@contextmanager
def _on_signals(action: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, action)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
