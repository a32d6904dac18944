"""A sender of HTTP requests that costs next to nothing: they are rendered beforehand, of answers it reads the head."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import cast

_END = b"\r\n\r\n"
_GOOD = b"HTTP/1.1 200 "


def rendered(path: str, body: bytes, *, authorization: str) -> bytes:
    """Return a POST as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: {authorization}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def send(port: int, requests: Sequence[bytes], *, connections: int) -> None:
    """Send all, the next on each connection once the one before was answered 200 with no body.

    Raises RuntimeError for another answer, ConnectionError where the server hangs up.
    """
    loop, left = asyncio.get_running_loop(), iter(requests)
    senders = [
        (await loop.create_connection(lambda: _Sender(left), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    try:
        await asyncio.gather(*[sender.done for sender in senders])
    finally:
        for sender in senders:
            sender.close()


class _Sender(asyncio.Protocol):
    """One connection; `done` once nothing is left to send and all is answered."""

    def __init__(self, left: Iterator[bytes]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = left
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first one."""
        self._transport = cast("asyncio.Transport", transport)  # as asyncio promises to a Protocol
        self._next()

    def data_received(self, data: bytes) -> None:
        """Send the next one where an answer is complete."""
        self._received += data
        if _END not in self._received:
            return
        answer, self._received = self._received, b""
        if answer.startswith(_GOOD) and answer.endswith(_END):
            self._next()
        elif not self.done.done():
            self.done.set_exception(RuntimeError(f"answered {answer[:300]!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so where answers are missing."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server hung up"))

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()

    def _next(self) -> None:
        request = next(self._left, None)
        if request is not None:
            self._transport.write(request)
        elif not self.done.done():
            self.done.set_result(None)
