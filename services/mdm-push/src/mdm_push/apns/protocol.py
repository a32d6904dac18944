"""One HTTP/2 connection to APNs: aioapns' protocol, with every answer matched to its stream.

What aioapns 4.0 does otherwise, and what goes wrong with it, stands beside each cure.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from aioapns.common import NotificationRequest, NotificationResult
from aioapns.connection import APNsProductionClientProtocol
from aioapns.exceptions import ConnectionClosed
from h2 import events
from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hpack import HeaderTuple, NeverIndexedHeaderTuple

_log = structlog.get_logger(__name__)

_LARGEST_PAYLOAD = 4096
_NO_LIMIT = 2**31


class StreamRefused(Exception):
    """APNs did not process this request (RST_STREAM, or GOAWAY before it): it may be sent again at once."""


class _Connection(H2Connection):
    """h2 that goes on listening after GOAWAY: what was sent before it is still answered (RFC 9113, 6.8).

    h2 itself takes GOAWAY for the end and refuses the next frame. aioapns closed the connection at once, so every
    push in flight failed and was sent again.
    """

    def _receive_goaway_frame(self, frame: Any) -> Any:
        result = super()._receive_goaway_frame(frame)
        self.state_machine.state = ConnectionState.CLIENT_OPEN
        return result


@dataclass(slots=True)
class _Answer:
    """A request under way, by its stream.

    aioapns found answers by their apns-id and so lost those that came in upper case or without one.
    """

    request: NotificationRequest
    future: asyncio.Future[NotificationResult]
    status: str = ""
    body: bytearray = field(default_factory=bytearray)


class MdmProtocol(APNsProductionClientProtocol):
    """Sends wake-ups and resolves each by the end of its stream.

    `ready` is done once APNs sent its SETTINGS, or fails with the reason why it will not: with TLS 1.3 a refused
    client certificate shows only then. `bell` is rung when a place may have become free.
    """

    INACTIVITY_TIME = 3600  # Apple wants connections kept open; aioapns closed after 10 s of silence

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = _Connection()
        self.ready: asyncio.Future[None] = self.loop.create_future()
        self.bell: Callable[[], None] = lambda: None
        self.draining = False
        self.heard_at = time.monotonic()
        self._answers: dict[int, _Answer] = {}

    @property
    def in_flight(self) -> int:
        """Return the number of requests without an answer."""
        return len(self._answers)

    @property
    def free(self) -> int:
        """Return how many requests may be opened now.

        Derived anew each time from what APNs allows: aioapns kept a semaphore that never recovered when the limit
        fell and rose while requests were in flight.
        """
        if self.draining or not self.ready.done() or self.transport is None or self.transport.is_closing():
            return 0
        if self.conn.outbound_flow_control_window < _LARGEST_PAYLOAD:
            return 0
        limit = min(self.conn.remote_settings.max_concurrent_streams, _NO_LIMIT)
        return max(limit - len(self._answers), 0)

    @property
    def is_busy(self) -> bool:
        """Say whether the pool has to look elsewhere."""
        return not self.free

    async def send_notification(self, request: NotificationRequest) -> NotificationResult:
        """Send a wake-up and wait for its answer; whoever gives up waiting frees the stream and harms nobody.

        Raises ConnectionClosed, StreamRefused.
        """
        stream_id = self.conn.get_next_available_stream_id()
        answer = self._answers[stream_id] = _Answer(request, self.loop.create_future())
        try:
            self._send(stream_id, request)
            return await answer.future
        finally:
            if self._answers.pop(stream_id, None) is not None:
                self._abandon(stream_id)

    def data_received(self, data: bytes) -> None:
        """Feed what came to h2, and resolve what it completes."""
        self.heard_at = time.monotonic()
        try:
            received = self.conn.receive_data(data)
        except ProtocolError as error:
            _log.warning("APNs broke the protocol", cause=type(error).__name__)
            self.flush()
            self.close()
            return
        for event in received:
            self._handle(event)
        self.flush()
        if self.draining and not self._answers:
            self.close()
        self.bell()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is in flight, each on its own.

        aioapns set the exception of futures that were done already, which broke off its clean-up: after one timeout
        a lost connection left all others waiting for ever.
        """
        self.draining = True
        lost = ConnectionClosed(str(exc) if exc else "connection closed")
        if self.inactivity_timer is not None:
            self.inactivity_timer.cancel()
        for answer in self._answers.values():
            if not answer.future.done():
                answer.future.set_exception(lost)
        self._answers.clear()
        if not self.ready.done():
            self.ready.set_exception(lost)
        if self.on_connection_lost is not None:
            self.on_connection_lost(self)
        self.bell()

    def drain(self) -> None:
        """Open no stream any more, and close once the last one is answered."""
        self.draining = True
        if not self._answers:
            self.close()

    def flush(self) -> None:
        """Write what h2 has to say."""
        data = self.conn.data_to_send()
        if data and self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def refresh_inactivity_timer(self) -> None:
        """Ask after an hour of silence whether somebody is still there (Apple: PING), instead of hanging up."""
        self.inactivity_timer = self.loop.call_later(self.INACTIVITY_TIME, self._ping)

    def _ping(self) -> None:
        if self.transport is None or self.transport.is_closing():
            return
        if time.monotonic() - self.heard_at >= self.INACTIVITY_TIME:
            self.conn.ping(b"are you?")
            self.flush()
        self.refresh_inactivity_timer()

    def _send(self, stream_id: int, request: NotificationRequest) -> None:
        """Write headers and body. Path and id are new each time: Apple's small header table is spared them."""
        headers: list[HeaderTuple | tuple[str, str]] = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", self.APNS_SERVER),
            NeverIndexedHeaderTuple(":path", f"/3/device/{request.device_token}"),
            NeverIndexedHeaderTuple("apns-id", request.notification_id),
            ("apns-topic", request.apns_topic or self.apns_topic),
            ("apns-push-type", "mdm"),
            ("apns-priority", str(request.priority)),
            ("apns-expiration", str(int(time.time()) + (request.time_to_live or 0))),
        ]
        body = json.dumps(request.message, ensure_ascii=False, separators=(",", ":")).encode()
        self.conn.send_headers(stream_id, headers)
        self.conn.send_data(stream_id, body, end_stream=True)
        self.flush()

    def _abandon(self, stream_id: int) -> None:
        try:
            self.conn.reset_stream(stream_id, ErrorCodes.CANCEL)
        except ProtocolError:
            return  # the stream, or the whole connection, is gone already
        self.flush()
        self.bell()

    def _handle(self, event: events.Event) -> None:
        match event:
            case events.ResponseReceived():
                self._begun(event)
            case events.DataReceived():
                self._continued(event)
            case events.StreamEnded(stream_id=stream_id):
                self._answered(stream_id)
            case events.StreamReset(stream_id=stream_id, error_code=code):
                self._refused(stream_id, f"reset with {code}")  # aioapns did not hear it and waited for ever
            case events.RemoteSettingsChanged():
                if not self.ready.done():
                    self.ready.set_result(None)
            case events.ConnectionTerminated():
                self._terminated(event)
            case _:
                pass

    def _begun(self, event: events.ResponseReceived) -> None:
        answer = self._answers.get(event.stream_id)
        if answer is not None:
            answer.status = dict(event.headers)[b":status"].decode()

    def _continued(self, event: events.DataReceived) -> None:
        """Take in a piece of a body. aioapns acknowledged none: after some 1,200 errors APNs could send no more."""
        self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        answer = self._answers.get(event.stream_id)
        if answer is not None:
            answer.body += event.data

    def _answered(self, stream_id: int) -> None:
        """Resolve a request at the end of its stream.

        aioapns answered from the body alone, frame by frame: without a body, or with two frames of it, it hung.
        """
        answer = self._answers.pop(stream_id, None)  # aioapns kept an entry for each success
        if answer is None or answer.future.done():
            return
        said = _read(answer.body)
        answer.future.set_result(
            NotificationResult(
                answer.request.notification_id,
                answer.status,
                description=said.get("reason"),
                timestamp=said.get("timestamp"),
            )
        )

    def _refused(self, stream_id: int, why: str) -> None:
        answer = self._answers.pop(stream_id, None)
        if answer is not None and not answer.future.done():
            answer.future.set_exception(StreamRefused(why))

    def _terminated(self, event: events.ConnectionTerminated) -> None:
        reason = _read(event.additional_data or b"").get("reason", "none given")
        _log.info("APNs says goodbye", reason=reason, last_stream_id=event.last_stream_id)
        self.draining = True
        for stream_id in [each for each in self._answers if each > (event.last_stream_id or 0)]:
            self._refused(stream_id, f"goodbye before it: {reason}")


def _read(body: bytes | bytearray) -> dict[str, Any]:
    """Return the JSON object of an answer, empty where there is none."""
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
