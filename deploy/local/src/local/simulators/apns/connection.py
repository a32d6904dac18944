"""One HTTP/2 connection of a sender: frames in, requests out, the simulator's reactions back as frames."""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import assert_never, cast

from cryptography import x509
from cryptography.x509.oid import NameOID
from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

from local.simulators.apns.rules import PAYLOAD_LIMIT, Request, apns_id_of
from local.simulators.apns.script import Answer, GoAway, Reaction, Reset, Silence

React = Callable[[Request, str], Reaction]


@dataclass(slots=True)
class _Stream:
    headers: list[tuple[str, str]]
    body: bytearray = field(default_factory=bytearray)
    unsent: deque[bytes] = field(default_factory=deque)


class ApnsConnection(asyncio.Protocol):
    """Speaks h2 as a server and holds to flow control both ways, so that a client's neglect shows.

    `react(request, apns_id)` decides; an `Answer` is written after its delay plus `latency_seconds`.
    """

    def __init__(
        self,
        react: React,
        *,
        open_connections: set["ApnsConnection"],
        max_concurrent_streams: int,
        latency_seconds: float,
    ) -> None:
        self._react = react
        self._open_connections = open_connections
        self._max_concurrent_streams = max_concurrent_streams
        self._latency_seconds = latency_seconds
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
        self._streams: dict[int, _Stream] = {}
        self._newest_stream = 0
        self._last_stream: int | None = None  # set by GOAWAY: later streams are not ours any more
        self._transport: asyncio.Transport | None = None
        self._certificate_topic: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send our SETTINGS; the topic is the UID of the client's certificate."""
        self._transport = cast("asyncio.Transport", transport)  # as asyncio promises to a Protocol
        certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        self._certificate_topic = _topic_of(certificate)
        self._open_connections.add(self)
        self._h2.local_settings.max_concurrent_streams = self._max_concurrent_streams
        self._h2.local_settings.acknowledge()  # the first SETTINGS hold from the first frame on
        self._h2.initiate_connection()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything: what was not answered will never be."""
        del exc
        self._open_connections.discard(self)
        self._streams.clear()
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Feed the frames to h2; a client that breaks the protocol gets GOAWAY and is cut off."""
        try:
            for event in self._h2.receive_data(data):
                self._handle(event)
        except ProtocolError:
            self._flush()
            self.close()
        self._flush()

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again from a client that reads again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def limit_streams(self, max_concurrent_streams: int) -> None:
        """Send new SETTINGS; they hold once the client acknowledged them."""
        self._h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: max_concurrent_streams})
        self._flush()

    def go_away(self, *, last_stream: int | None = None, message: GoAway | None = None) -> None:
        """Announce the end: streams up to `last_stream` (the newest when `None`) are still answered."""
        message = message or GoAway()
        self._last_stream = self._newest_stream if last_stream is None else last_stream
        frame = GoAwayFrame(
            last_stream_id=self._last_stream,
            error_code=message.error_code,
            additional_data=json.dumps({"reason": message.reason}).encode(),
        )
        # h2's own close_connection would also forbid the answers that are still owed.
        self._flush(frame.serialize())
        for stream_id in [s for s in self._streams if s > self._last_stream]:
            del self._streams[stream_id]
        self._close_when_drained()

    def close(self) -> None:
        """Close the transport; nothing is answered any more."""
        self._streams.clear()
        if self._transport is not None:
            self._transport.close()

    def _handle(self, event: events.Event) -> None:
        match event:
            case events.RequestReceived(stream_id=stream_id, headers=headers):
                self._open(stream_id, [(str(name), str(value)) for name, value in headers])
            case events.DataReceived(stream_id=stream_id, data=data, flow_controlled_length=length):
                self._h2.acknowledge_received_data(length, stream_id)
                self._collect(stream_id, data)
            case events.StreamEnded(stream_id=stream_id):
                self._decide(stream_id)
            case events.StreamReset(stream_id=stream_id):
                self._streams.pop(stream_id, None)
                self._close_when_drained()
            case events.WindowUpdated() | events.RemoteSettingsChanged():
                for stream_id in list(self._streams):
                    self._send_body(stream_id)
            case events.ConnectionTerminated():
                self.close()
            case _:
                pass

    def _open(self, stream_id: int, headers: list[tuple[str, str]]) -> None:
        self._newest_stream = max(self._newest_stream, stream_id)
        if self._last_stream is None or stream_id <= self._last_stream:
            self._streams[stream_id] = _Stream(headers)

    def _collect(self, stream_id: int, piece: bytes) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None and len(stream.body) <= PAYLOAD_LIMIT:
            stream.body += piece

    def _decide(self, stream_id: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        request = Request(stream.headers, bytes(stream.body), self._certificate_topic)
        apns_id = apns_id_of(request)
        match self._react(request, apns_id):
            case Answer() as answer:
                self._answer_later(stream_id, answer, apns_id)
            case Reset(error_code=error_code):
                with suppress(ProtocolError):
                    self._h2.reset_stream(stream_id, error_code)
                self._finish(stream_id)
            case GoAway() as message:
                self.go_away(last_stream=max(stream_id - 2, 0), message=message)
            case Silence():
                pass
            case never:
                assert_never(never)

    def _answer_later(self, stream_id: int, answer: Answer, apns_id: str) -> None:
        delay = self._latency_seconds + answer.delay_seconds
        if not delay:
            self._answer(stream_id, answer, apns_id)
            return
        asyncio.get_running_loop().call_later(delay, self._answer_now, stream_id, answer, apns_id)

    def _answer_now(self, stream_id: int, answer: Answer, apns_id: str) -> None:
        self._answer(stream_id, answer, apns_id)
        self._flush()

    def _answer(self, stream_id: int, answer: Answer, apns_id: str) -> None:
        stream = self._streams.get(stream_id)
        if stream is None:  # reset by the client, or lost with the connection
            return
        stream.unsent.extend(answer.chunks())
        headers = [(":status", str(answer.status)), ("apns-id", apns_id)]
        try:
            self._h2.send_headers(stream_id, headers, end_stream=not stream.unsent)
        except ProtocolError:  # the client gave the stream up in the same breath
            stream.unsent.clear()
        if stream.unsent:
            self._send_body(stream_id)
        else:
            self._finish(stream_id)

    def _send_body(self, stream_id: int) -> None:
        """Send as much as the client's windows allow; the rest waits for its WINDOW_UPDATE."""
        unsent = self._streams[stream_id].unsent
        while unsent:
            window = self._h2.local_flow_control_window(stream_id)
            if window <= 0:
                return
            chunk = unsent.popleft()
            if len(chunk) > window:
                unsent.appendleft(chunk[window:])
            self._h2.send_data(stream_id, chunk[:window], end_stream=not unsent)
            if not unsent:
                self._finish(stream_id)

    def _finish(self, stream_id: int) -> None:
        del self._streams[stream_id]
        self._close_when_drained()

    def _close_when_drained(self) -> None:
        if self._last_stream is not None and not self._streams:
            self._flush()
            self.close()

    def _flush(self, extra: bytes = b"") -> None:
        outgoing = self._h2.data_to_send() + extra
        if outgoing and self._transport is not None:
            self._transport.write(outgoing)


def _topic_of(certificate_der: bytes) -> str | None:
    subject = x509.load_der_x509_certificate(certificate_der).subject
    for attribute in subject.get_attributes_for_oid(NameOID.USER_ID):
        return str(attribute.value)
    return None
