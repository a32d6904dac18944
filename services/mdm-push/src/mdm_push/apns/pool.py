"""The connections under one push certificate: aioapns' pool, without its polling, its hammering and its silence."""

import asyncio
import contextlib
import ssl
from collections import deque
from typing import Any

import structlog
from aioapns.common import NotificationRequest, NotificationResult
from aioapns.connection import APNsCertConnectionPool
from aioapns.exceptions import ConnectionClosed
from h2.exceptions import NoAvailableStreamIDError

from mdm_push.apns.protocol import MdmProtocol, StreamRefused
from shared.errors import Unavailable
from shared.retry import Backoff

_log = structlog.get_logger(__name__)

_SENDS = 3  # how often one push is sent when APNs did not process it, or the connection went away


class MdmPool(APNsCertConnectionPool):
    """Lends connections with a free place; opens another one only when all are full.

    aioapns had every caller look again each 10 ms, waited up to 50 s for a silent server, and opened connections as
    fast as they were refused without keeping the reason.
    """

    connections: list[MdmProtocol]  # type: ignore[assignment]  # aioapns types the list by its base class

    def __init__(
        self,
        certificate_file: str,
        *,
        topic: str,
        host: str,
        port: int,
        trust: ssl.SSLContext,
        deadline_seconds: float,
    ) -> None:
        """`certificate_file` holds certificate and key, PEM, and is read here only. No proxy: aioapns' never works."""
        super().__init__(cert_file=certificate_file, topic=topic, max_connections=2, ssl_context=trust)
        self._protocol: type[MdmProtocol] = type(
            "Protocol", (MdmProtocol,), {"APNS_SERVER": host, "APNS_PORT": port}
        )
        self.protocol_class = self._protocol
        self._deadline_seconds = deadline_seconds
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._opening = False
        self._pause = Backoff(first=0.5, most=60.0)
        self._shut_until = 0.0
        self._trouble = "not tried"
        self._closed = False
        self._empty = asyncio.Event()
        self._empty.set()

    async def send_notification(self, request: NotificationRequest) -> NotificationResult:
        """Send one wake-up and return its answer, whatever it is.

        Raises Unavailable when APNs gave none before the deadline: whether it has the push is then unknown, and
        sending it again does no harm (APNs keeps one per device and topic).
        """
        connection: MdmProtocol | None = None
        begun = self.loop.time()
        try:
            async with asyncio.timeout(self._deadline_seconds):
                for _ in range(_SENDS):
                    connection = await self.acquire()
                    try:
                        return await connection.send_notification(request)
                    except (ConnectionClosed, StreamRefused, NoAvailableStreamIDError) as error:
                        self._trouble = f"{type(error).__name__}: {error}"
        except TimeoutError:
            if connection is not None and connection.heard_at < begun:
                connection.close()  # nobody is there: the others in flight are better off on a new connection
            raise Unavailable("no_answer_before_the_deadline") from None
        raise Unavailable("connection_lost", retry_after_seconds=1.0)

    async def acquire(self) -> MdmProtocol:
        """Return a connection with a free place; the caller opens its stream before it awaits anything else.

        Raises Unavailable while APNs cannot be reached.
        """
        while not self._closed:
            for connection in self.connections:
                if not connection.is_busy:
                    return connection
            if self._may_open():
                await self._open()
            else:
                await self._freed()
        raise Unavailable("pool_closed")

    async def drain(self) -> None:
        """Let what is in flight be answered within the deadline, then close: the certificate was replaced."""
        self._closed = True
        self._wake()
        for connection in list(self.connections):
            connection.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._deadline_seconds):
                await self._empty.wait()
        self.close()

    def close(self) -> None:
        """Close every connection now."""
        self._closed = True
        for connection in list(self.connections):
            connection.close()
        self._wake()

    def discard_connection(self, connection: Any) -> None:
        """Forget a connection that ended. aioapns raised where it had ended before it was noted."""
        if connection in self.connections:
            self.connections.remove(connection)
        if not self.connections:
            self._empty.set()

    def _may_open(self) -> bool:
        if self._opening or len(self.connections) >= self.max_connections:
            return False
        return not self.connections or not self._shut

    @property
    def _shut(self) -> bool:
        """Say whether APNs turned us away just now."""
        return self._shut_until > self.loop.time()

    async def _open(self) -> None:
        if self._shut:
            raise Unavailable(self._trouble, retry_after_seconds=self._shut_until - self.loop.time())
        self._opening = True
        try:
            connection = await self._connected()
            if self._closed:
                connection.close()
                raise Unavailable("pool_closed")
            connection.bell = self._wake
            self.connections.append(connection)
            self._empty.clear()
            self._pause.reset()
        except (OSError, ConnectionClosed, TimeoutError) as error:
            self._trouble = _cause(error)
            seconds = self._pause.next()
            self._shut_until = self.loop.time() + seconds
            _log.warning("APNs cannot be reached", cause=self._trouble, seconds=round(seconds, 1))
            raise Unavailable(self._trouble, retry_after_seconds=seconds) from error
        finally:
            self._opening = False
            self._wake()

    async def _connected(self) -> MdmProtocol:
        """Open a connection and wait for APNs' first SETTINGS. Names are resolved anew for each."""

        def made() -> MdmProtocol:
            return self._protocol(self.apns_topic, self.loop, self.discard_connection)

        async with asyncio.timeout(self._deadline_seconds):
            _, connection = await self.loop.create_connection(
                made, self._protocol.APNS_SERVER, self._protocol.APNS_PORT, ssl=self.ssl_context
            )
            try:
                await connection.ready
            except BaseException:
                connection.close()
                raise
        return connection

    async def _freed(self) -> None:
        """Wait until a place may be free; whoever is woken and does not want it any more passes it on."""
        waiter = self.loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake()
            raise

    def _wake(self) -> None:
        """Wake as many waiters as there are places; all of them where none will come."""
        places = sum(connection.free for connection in self.connections)
        if self._closed or (self._shut and not self.connections):
            places = len(self._waiters)
        elif not places and self._may_open():
            places = 1  # somebody has to open the next connection
        while places and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                places -= 1


def _cause(error: BaseException) -> str:
    """Name why a connection failed: a refused certificate is for a person to mend, a closed port may pass."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "apns_certificate_not_trusted"
    if isinstance(error, ssl.SSLError):
        return f"tls_{(error.reason or 'error').lower()}"
    if isinstance(error, ConnectionClosed):
        return "closed_before_settings" if "alert" not in str(error).lower() else "push_certificate_refused"
    if isinstance(error, TimeoutError):
        return "connect_timed_out"
    return "connect_failed"
