"""Runs an ASGI app under uvicorn inside the loop that is already running, on one port of this machine."""

import asyncio
import socket
from pathlib import Path
from typing import Any, Self, cast

import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HOST = "127.0.0.1"
GRACE_SECONDS = 1  # how long a stop waits for answers that are still being written


class HangUp(Response):
    """Answered instead of a response, it closes the connection without a byte; its status is 0."""

    def __init__(self) -> None:
        super().__init__(status_code=0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's shape
        """Abort the transport that `Serving` put into the scope and wait until it is gone."""
        scope["state"]["hang_up"]()
        while (await receive())["type"] != "http.disconnect":
            pass


class Serving:
    """A started server. `port` is the real one, also when any free one was asked for."""

    def __init__(self, server: uvicorn.Server, listener: socket.socket) -> None:
        self._server = server
        self._listener = listener
        self._loop = asyncio.create_task(server.main_loop())
        self.port: int = listener.getsockname()[1]

    @classmethod
    async def start(
        cls,
        app: ASGIApp,
        *,
        port: int = 0,
        certificate_file: Path | None = None,
        key_file: Path | None = None,
    ) -> Self:
        """Serve `app` on 127.0.0.1; port 0 takes a free one, both files together make it https.

        Signals stay the caller's. Raises `OSError` when the port is taken.
        """
        listener = _listen(port)
        config = uvicorn.Config(
            app,
            http=_Droppable,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
            ssl_certfile=certificate_file,
            ssl_keyfile=key_file,
        )
        config.load()
        server = uvicorn.Server(config)
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        return cls(server, listener)

    async def stop(self) -> None:
        """Take no new connection, let running answers finish for a second, then close."""
        self._server.should_exit = True
        await self._loop
        await self._server.shutdown(sockets=[self._listener])


def _listen(port: int) -> socket.socket:
    """Bind a socket that says it is TCP: asyncio turns Nagle's algorithm off only for those (40 ms a reply)."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener


class _Droppable(HttpToolsProtocol):
    """Gives each request the means to hang up, and its connection's age, which ASGI itself does not offer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self._opened_at = self.loop.time()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        state: dict[str, Any] = self.scope["state"]
        state["hang_up"] = self.transport.abort
        state["opened_at"] = self._opened_at

    def shutdown(self) -> None:
        """Abort an idle connection: closing TLS in style waits for a peer that may not be reading."""
        super().shutdown()
        if self.transport.is_closing():
            self.transport.abort()
