"""Remembers the last requests that a simulator was asked, so that a person or a test can look on."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEPT = 1000  # requests; older ones are forgotten


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what it was answered; never its body nor its headers, where secrets are."""

    number: int  # counted from 1 since the start
    at: datetime
    method: str
    path: str  # with its query
    status: int  # 0 where the connection was cut without an answer
    milliseconds: float


class Watch:
    """The last requests, oldest first."""

    def __init__(self, kept: int = KEPT) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=kept)
        self._count = 0

    def note(self, method: str, path: str, status: int, seconds: float) -> None:
        """Remember one more."""
        self._count += 1
        self._exchanges.append(
            Exchange(self._count, datetime.now(UTC), method, path, status, round(1000 * seconds, 1))
        )

    def after(self, number: int) -> Sequence[Exchange]:
        """Return those remembered that came after this one."""
        return [exchange for exchange in self._exchanges if exchange.number > number]

    def over(self, app: ASGIApp) -> ASGIApp:
        """Return the app with this watch over its HTTP requests."""

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            began, status = time.perf_counter(), 0

            async def heard(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            try:
                await app(scope, receive, heard)
            finally:
                query = scope["query_string"].decode("latin-1")
                path = f"{scope['path']}?{query}" if query else scope["path"]
                self.note(scope["method"], path, status, time.perf_counter() - began)

        return watched
