"""A sender of pushes that costs next to nothing: requests are encoded beforehand, of answers it counts the frames."""

import asyncio
import ssl
import struct
import uuid
from collections.abc import Iterator, Sequence
from itertools import chain, cycle, islice
from typing import cast

from hpack import Encoder
from hyperframe.frame import SettingsFrame, WindowUpdateFrame

IN_FLIGHT = 250  # per connection: so many bodies fit into half of the window that a service must offer
_BODY = b'{"mdm":"5f1d6a0e-8c1b-4a52-9d8e-3b1f7c0a9e44"}'
_DATA, _HEADERS, _RESET, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_END_STREAM, _END_HEADERS, _ACKNOWLEDGED = 1, 4, 1
_HEAD = 9  # bytes before a frame's payload
_STATUS_200 = 0x88  # the first byte of a header block with :status 200 (RFC 7541, A)
_WIDE = 2**31 - 1


def blocks(tokens: Sequence[str], topic: str) -> list[bytes]:
    """Encode a request per token. The first must be sent before the others, and once: it fills the table for them.

    As Apple recommends, `:path` and `apns-id` spare the table.
    """
    encoder = Encoder()
    return [_block(encoder, token, topic) for token in tokens]


def _block(encoder: Encoder, token: str, topic: str) -> bytes:
    headers = [
        (":method", "POST", False),
        (":scheme", "https", False),
        (":authority", "localhost", False),
        (":path", f"/3/device/{token}", True),
        ("apns-topic", topic, False),
        ("apns-push-type", "mdm", False),
        ("apns-priority", "10", False),
        ("apns-expiration", "4000000000", False),
        ("apns-id", str(uuid.uuid4()), True),
    ]
    return encoder.encode(headers)


class Sender(asyncio.Protocol):
    """One connection that sends `count` requests, `IN_FLIGHT` at a time; `done` says how many were answered 200."""

    def __init__(self, requests: Iterator[bytes], count: int) -> None:
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._requests, self._left = requests, count
        self._unanswered = 0
        self._accepted = 0
        self._stream_id = 1
        self._received = bytearray()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open the windows wide, so that no answer waits for us."""
        self._transport = cast("asyncio.Transport", transport)  # as asyncio promises to a Protocol
        settings = SettingsFrame(settings={SettingsFrame.INITIAL_WINDOW_SIZE: _WIDE})
        window = WindowUpdateFrame(stream_id=0, window_increment=_WIDE - 65_535)
        self._transport.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings.serialize() + window.serialize())

    def start(self) -> None:
        """Send the first requests; each answer then brings the next one."""
        self._send(min(IN_FLIGHT, self._left))

    def data_received(self, data: bytes) -> None:
        """Count what was answered."""
        self._received += data
        ended, at = 0, 0
        while len(self._received) - at >= _HEAD:
            size = int.from_bytes(self._received[at : at + 3], "big")
            if len(self._received) - at < _HEAD + size:
                break
            ended += self._read(
                self._received[at + 3], self._received[at + 4], self._received[at + _HEAD : at + _HEAD + size]
            )
            at += _HEAD + size
        del self._received[:at]
        self._unanswered -= ended
        self._send(min(ended, self._left))
        if not self._unanswered and not self._left and not self.done.done():
            self.done.set_result(self._accepted)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so where answers are missing."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the service hung up"))

    def close(self) -> None:
        """Hang up."""
        self._transport.abort()

    def _read(self, kind: int, flags: int, payload: bytearray) -> bool:
        """Say whether this frame ends a stream."""
        if kind == _SETTINGS and not flags & _ACKNOWLEDGED:
            self._transport.write(SettingsFrame(flags=["ACK"]).serialize())
        elif kind in {_RESET, _GOAWAY}:
            self.close()
        if kind == _HEADERS:
            self._accepted += payload[0] == _STATUS_200
        return kind in {_DATA, _HEADERS} and bool(flags & _END_STREAM)

    def _send(self, count: int) -> None:
        if count:
            self._left -= count
            self._unanswered += count
            self._transport.write(b"".join([self._request(block) for block in islice(self._requests, count)]))

    def _request(self, block: bytes) -> bytes:
        stream_id = self._stream_id
        self._stream_id += 2
        return b"".join(
            (_frame(_HEADERS, _END_HEADERS, stream_id, block), _frame(_DATA, _END_STREAM, stream_id, _BODY))
        )


def _frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return struct.pack(">HBBBI", len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream_id) + payload


async def connect(port: int, context: ssl.SSLContext, requests: Sequence[bytes], count: int) -> Sender:
    """Open a connection that is to send `count` pushes: these `blocks`, the first once, the others over and over."""
    first, *others = requests
    loop = asyncio.get_running_loop()
    _, sender = await loop.create_connection(
        lambda: Sender(chain([first], cycle(others)), count),
        "127.0.0.1",
        port,
        ssl=context,
        server_hostname="localhost",
    )
    return sender
