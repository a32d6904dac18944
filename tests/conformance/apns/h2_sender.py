"""A small HTTP/2 sender: it can neglect flow control, and shows what each stream met."""

import asyncio
import json
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes
from hyperframe.frame import Frame, GoAwayFrame

Headers = Mapping[str, str | None]
NONE: Headers = MappingProxyType({})
FRAME = 16_384  # the largest DATA frame that every server takes


@dataclass
class Reply:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    reset_code: int | None = None

    @property
    def body(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(b"".join(self.pieces))
        return parsed

    @property
    def reason(self) -> str:
        return str(self.body["reason"])


class Sender:
    """`acknowledges=False` never gives received DATA back to the server's window."""

    def __init__(self, topic: str, *, acknowledges: bool = True) -> None:
        self.topic = topic
        self.acknowledges = acknowledges
        self.h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.goaway: GoAwayFrame | None = None
        # h2 itself would refuse the answers that RFC 9113 6.8 still promises to older streams.
        self.h2._frame_dispatch_table[GoAwayFrame] = self._receive_goaway
        self.closed = asyncio.Event()
        self.arrivals: list[int] = []  # how many bytes came at once, from first to last
        self.holding = False  # collects frames, so that they leave in one write
        self._pong: asyncio.Future[bytes]
        self._replies: dict[int, tuple[Reply, asyncio.Future[Reply]]] = {}
        self._writer: asyncio.StreamWriter
        self._reading: asyncio.Task[None]

    @asynccontextmanager
    async def connected(self, port: int, context: ssl.SSLContext) -> AsyncIterator[Self]:
        await self.connect(port, context)
        try:
            yield self
        finally:
            await self.close()

    async def connect(self, port: int, context: ssl.SSLContext) -> Self:
        reader, self._writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        self.h2.initiate_connection()
        self._flush()
        self._reading = asyncio.create_task(self._read(reader))
        return self

    async def close(self) -> None:
        self._writer.close()
        with suppress(OSError):  # a service may hang up, or still say goodbye to who has left (SSLError)
            await self._reading

    @property
    def stream_limit(self) -> int:
        return self.h2.remote_settings.max_concurrent_streams

    async def ping(self) -> bytes:
        """Return what came back with the acknowledgement."""
        self._pong = asyncio.get_running_loop().create_future()
        self.h2.ping(b"12345678")
        self._flush()
        return await self._pong

    def pieces(self, future: asyncio.Future[Reply]) -> list[bytes]:
        """Return what has come so far of an answer's body."""
        [reply] = [reply for reply, waiting in self._replies.values() if waiting is future]
        return reply.pieces

    def give_up(self, future: asyncio.Future[Reply]) -> None:
        [stream_id] = [s for s, (_, waiting) in self._replies.items() if waiting is future]
        self.h2.reset_stream(stream_id)
        self._flush()

    def shrink_window(self, size: int) -> None:
        self.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: size})
        self._flush()

    def open_window(self, size: int, stream_id: int | None = None) -> None:
        self.h2.increment_flow_control_window(size, stream_id)
        self._flush()

    def post(
        self, token: str, *, body: bytes = b'{"mdm":"magic"}', method: str = "POST", headers: Headers = NONE
    ) -> asyncio.Future[Reply]:
        return self.post_path(f"/3/device/{token}", body=body, method=method, headers=headers)

    def post_path(
        self, path: str, *, body: bytes = b'{"mdm":"magic"}', method: str = "POST", headers: Headers = NONE
    ) -> asyncio.Future[Reply]:
        """Post with the defaults and `headers` over them; `None` leaves a default one out."""
        given = {
            "apns-topic": self.topic,
            "apns-push-type": "mdm",
            "apns-priority": "10",
            "apns-id": str(uuid.uuid4()),
            **headers,
        }
        pseudo = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
        return self.post_raw(pseudo + [(n, v) for n, v in given.items() if v is not None], body)

    def post_raw(self, headers: list[tuple[str, str]], body: bytes) -> asyncio.Future[Reply]:
        stream_id = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream_id, headers, end_stream=not body)
        pieces = [body[start : start + FRAME] for start in range(0, len(body), FRAME)]
        for piece in pieces:
            self.h2.send_data(stream_id, piece, end_stream=piece is pieces[-1])
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[stream_id] = (Reply(), future)
        self._flush()
        return future

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while data := await reader.read(65_536):
                self.arrivals.append(len(data))
                for event in self.h2.receive_data(data):
                    self._handle(event)
                self._flush()
        finally:
            self.closed.set()

    def _handle(self, event: events.Event) -> None:
        match event:
            case events.ResponseReceived(stream_id=stream_id, headers=headers):
                reply = self._replies[stream_id][0]
                reply.headers = {str(name): str(value) for name, value in headers}
                reply.status = int(reply.headers[":status"])
            case events.DataReceived(stream_id=stream_id, data=data, flow_controlled_length=length):
                self._replies[stream_id][0].pieces.append(data)
                if self.acknowledges:
                    self.h2.acknowledge_received_data(length, stream_id)
            case events.PingAckReceived(ping_data=data):
                self._pong.set_result(data)
            case events.StreamEnded(stream_id=stream_id):
                self._settle(stream_id)
            case events.StreamReset(stream_id=stream_id, error_code=code):
                self._replies[stream_id][0].reset_code = int(code)
                self._settle(stream_id)

    def _receive_goaway(self, frame: GoAwayFrame) -> tuple[list[Frame], list[events.Event]]:
        self.goaway = frame
        return [], []

    def _settle(self, stream_id: int) -> None:
        reply, future = self._replies[stream_id]
        if not future.done():
            future.set_result(reply)

    def _flush(self) -> None:
        if not self.holding and not self._writer.is_closing():
            self._writer.write(self.h2.data_to_send())
