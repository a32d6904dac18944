"""The outermost layer of every HTTP door: a request gets its thread, its line in the log and its figures here.

The correlation id is always ours (uuid7) and is returned in `x-correlation-id`: it names rows and events, so a
caller cannot choose it. What callers bring along is W3C's `traceparent`, which outgoing events carry on.
"""

import re
import time
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import Depends, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.ids import new_id
from shared.logs import bind_thread
from shared.metrics import HTTP_REQUEST_SECONDS, HTTP_REQUESTS, HTTP_REQUESTS_OPEN
from shared.trace import traceparent
from shared.web.problems import problem_for

log = structlog.get_logger(__name__)

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


async def _correlation_id(request: Request) -> UUID:
    correlation_id: UUID = request.state.correlation_id
    return correlation_id


CorrelationId = Annotated[UUID, Depends(_correlation_id)]
"""A route's parameter of this type is the id of the thread that the request begins."""


class ThreadMiddleware:
    """Opens the thread, and answers what no handler expected."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, new_id())
        scope.setdefault("state", {})["correlation_id"] = answer.correlation_id
        trace = traceparent.set(_trace(scope))
        begun = time.perf_counter()
        with bind_thread(correlation_id=answer.correlation_id), HTTP_REQUESTS_OPEN.track_inprogress():
            try:
                await self._app(scope, receive, answer.send)
            except Exception as error:
                log.exception("request failed", method=scope["method"], route=_route(scope))
                if answer.status:
                    raise
                await problem_for(error, answer.correlation_id)(scope, receive, answer.send)
            finally:
                traceparent.reset(trace)
                _tell(scope, answer.status, time.perf_counter() - begun)


class _Answer:
    """The answer under way: its status, and what every answer's head says."""

    def __init__(self, send: Send, correlation_id: UUID) -> None:
        self.status = 0
        self.correlation_id = correlation_id
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-correlation-id"] = str(self.correlation_id)
            headers["x-content-type-options"] = "nosniff"
            headers.setdefault("cache-control", "no-store")
        await self._send(message)


def _trace(scope: Scope) -> str | None:
    said = Headers(scope=scope).get("traceparent", "")
    return said if _TRACEPARENT.fullmatch(said) else None


def _route(scope: Scope) -> str:
    """Return the template of the route, never its path: paths may hold links that are secrets."""
    included = scope.get("fastapi", {}).get("effective_route_context")
    return getattr(included or scope.get("route"), "path", "unmatched")


def _tell(scope: Scope, status: int, seconds: float) -> None:
    """Count every request; say in the log those that were refused or failed (0: the caller went away)."""
    method, route = scope["method"], _route(scope)
    HTTP_REQUESTS.labels(method, route, status).inc()
    HTTP_REQUEST_SECONDS.labels(method, route).observe(seconds)
    say = log.info if status == 0 or status >= 400 else log.debug
    say("request", method=method, route=route, status=status, seconds=round(seconds, 4))
