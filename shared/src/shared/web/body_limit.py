"""How much of a body is read: a request that is larger is answered 413 before memory or disk is full of it."""

from typing import Any

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BODY = 4 * 1024 * 1024
"""Bytes that any route reads; 100,000 ids fit."""


def takes(largest: int) -> Any:
    """Let a route that reads its body as a stream take more: `dependencies=[takes(1024**3)]`, in bytes."""

    async def allow(request: Request) -> None:
        request.state.largest_body = largest

    return Depends(allow)


class BodyLimitMiddleware:
    """Counts what is read, and refuses at the first look a body that announces too much."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        announced = Headers(scope=scope).get("content-length", "")
        total = 0

        async def counted() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            largest = state.get("largest_body", LARGEST_BODY)
            if total > largest or (announced.isdecimal() and int(announced) > largest):
                # FastAPI passes only its own kind of error on from where it reads a body.
                raise HTTPException(413, f"this route reads {largest} bytes at most")
            return message

        await self._app(scope, counted, send)
