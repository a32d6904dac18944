"""One HTTP/2 connection of a sender: frames in, requests out, the simulator's reactions back as frames."""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import assert_never, cast

from cryptography import x509
from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

from local.simulators.apns.outlet import Outlet
from local.simulators.apns.rules import PAYLOAD_LIMIT, Certificate, Request, apns_id_of
from local.simulators.apns.script import Answer, GoAway, HalfOpen, HangUp, Reaction, Reset, Silence


@dataclass(slots=True)
class _Stream:
    headers: list[tuple[str, str]]
    body: bytearray = field(default_factory=bytearray)
    unsent: deque[bytes] = field(default_factory=deque)


@dataclass(slots=True, kw_only=True)
class Wiring:
    """What all connections of a door share: `react` judges, an `Answer` is written after its delay and `latency`."""

    react: Callable[[Request, str], Reaction]
    mint_id: Callable[[], str]
    max_concurrent_streams: int
    latency_seconds: float
    open_connections: set["ApnsConnection"] = field(default_factory=set)
    accepted: int = 0
    turned_away: int = 0  # so many connections to come are closed right after the handshake


class ApnsConnection(asyncio.Protocol):
    """Speaks h2 as a server and holds to flow control both ways, so that a client's neglect shows."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        configuration = H2Configuration(
            client_side=False,
            header_encoding="latin-1",
            # What we send is right, and checking it costs a tenth of the time.
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self._h2 = H2Connection(configuration)
        self._streams: dict[int, _Stream] = {}
        self._newest_stream = 0
        self._last_stream: int | None = None  # set by GOAWAY: later streams are not ours any more
        self._outlet: Outlet | None = None
        self._certificate: Certificate | None = None
        self._proven = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send our SETTINGS. Who shows no certificate gets one stream until a provider token was good."""
        self._outlet = Outlet(cast("asyncio.Transport", transport))  # as asyncio promises to a Protocol
        self._wiring.accepted += 1
        if self._wiring.turned_away:
            self._wiring.turned_away -= 1
            self.close()
            return
        certificate = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        if certificate is not None:
            self._certificate = Certificate.read(x509.load_der_x509_certificate(certificate))
        self._proven = self._certificate is not None
        self._wiring.open_connections.add(self)
        self._allow(self._wiring.max_concurrent_streams if self._proven else 1)
        self._h2.initiate_connection()
        if not self._proven:
            # h2 would cut off a client that sent more before our SETTINGS came: `_open` refuses the streams alone.
            self._allow(self._wiring.max_concurrent_streams)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything: what was not answered will never be."""
        del exc
        self._wiring.open_connections.discard(self)
        self._streams.clear()
        self._outlet = None

    def data_received(self, data: bytes) -> None:
        """Feed the frames to h2; a client that breaks the protocol gets GOAWAY and is cut off."""
        if self._outlet is None or self._outlet.frozen:
            return
        try:
            for event in self._h2.receive_data(data):
                self._handle(event)
        except ProtocolError:
            self._flush()
            self.close()
        self._flush()

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read."""
        if self._outlet is not None:
            self._outlet.listen(listening=False)

    def resume_writing(self) -> None:
        """Read again from a client that reads again."""
        if self._outlet is not None:
            self._outlet.listen(listening=True)

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
            additional_data=b""
            if message.reason is None
            else json.dumps({"reason": message.reason}).encode(),
        )
        # h2's own close_connection would also forbid the answers that are still owed.
        self._flush(frame.serialize())
        for stream_id in [s for s in self._streams if s > self._last_stream]:
            del self._streams[stream_id]
        self._close_when_drained()

    def close(self) -> None:
        """Close the transport; nothing is answered any more."""
        self._streams.clear()
        if self._outlet is not None:
            self._outlet.close()

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

    def _allow(self, streams: int) -> None:
        """Make h2 hold to a number of streams from this moment, whether the client heard of it or not."""
        self._h2.local_settings.max_concurrent_streams = streams
        self._h2.local_settings.acknowledge()

    def _open(self, stream_id: int, headers: list[tuple[str, str]]) -> None:
        self._newest_stream = max(self._newest_stream, stream_id)
        if self._streams and not self._proven:  # RFC 9113, 5.1.2: never processed, safe to send again
            self._h2.reset_stream(stream_id, ErrorCodes.REFUSED_STREAM)
            return
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
        request = Request(stream.headers, bytes(stream.body), self._certificate, self._wiring.mint_id)
        apns_id = apns_id_of(request)
        match self._wiring.react(request, apns_id):
            case Answer() as answer:
                self._answer_later(stream_id, answer, apns_id)
            case Reset(error_code=error_code):
                with suppress(ProtocolError):
                    self._h2.reset_stream(stream_id, error_code)
                self._finish(stream_id)
            case GoAway() as message:
                self.go_away(last_stream=max(stream_id - 2, 0), message=message)
            case HangUp() if self._outlet is not None:
                self._outlet.abort()
            case HalfOpen() if self._outlet is not None:
                self._outlet.freeze()
            case HangUp() | HalfOpen() | Silence():
                pass
            case never:
                assert_never(never)

    def _answer_later(self, stream_id: int, answer: Answer, apns_id: str) -> None:
        delay = self._wiring.latency_seconds + answer.delay_seconds
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
        if answer.body_form == "cut":
            self._flush()
        stream.unsent.extend(answer.chunks())
        headers = [(":status", str(answer.status)), *answer.headers(apns_id)]
        try:
            self._h2.send_headers(stream_id, headers, end_stream=not stream.unsent)
        except ProtocolError:  # the client gave the stream up in the same breath
            stream.unsent.clear()
        if answer.status == 200 and not self._proven:
            self._proven = True
            self.limit_streams(self._wiring.max_concurrent_streams)
        if stream.unsent:
            self._send_body(stream_id)
        else:
            self._finish(stream_id)
        if answer.body_form == "cut" and self._outlet is not None:
            self._outlet.write_cut(self._h2.data_to_send())

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
        if self._outlet is not None:
            self._outlet.write(self._h2.data_to_send() + extra)
