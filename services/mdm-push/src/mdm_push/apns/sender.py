"""Sends wake-ups: one pool per push certificate, and a pause for a topic whose certificate or set-up is at fault."""

import asyncio
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import structlog
from aioapns.common import NotificationRequest, NotificationResult

from mdm_push.apns.pool import MdmPool
from mdm_push.model import Credentials, PushAnswer
from shared.clock import Clock
from shared.errors import Unavailable
from shared.metrics import PUSH_TOPICS_PAUSED, PUSHES_IN_FLIGHT
from shared.trust import tls_context
from shared.vault import Secret

_log = structlog.get_logger(__name__)

PRIORITY = 10  # at once: a command waits
TIME_TO_LIVE_SECONDS = 86_400  # APNs delivers it when the device is back within a day


@dataclass(frozen=True, slots=True, kw_only=True)
class ApnsSettings:
    """Where APNs is, whom to trust there beside the system's authorities, and how long a push may take."""

    host: str
    port: int
    trust_ca_file: Path | None = None
    deadline_seconds: float = 10.0


class Apns:
    """The push service, as seen by whoever wakes devices."""

    def __init__(self, settings: ApnsSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._pools: dict[str, MdmPool] = {}
        self._in_use: dict[str, UUID] = {}
        self._paused: dict[str, float] = {}
        self._draining: set[asyncio.Task[None]] = set()

    @property
    def certificate_ids(self) -> frozenset[UUID]:
        """Return the ids of the certificates in use."""
        return frozenset(self._in_use.values())

    def topics(self) -> list[str]:
        """Return the topics that pushes can be sent for now."""
        now = self._clock.monotonic()
        self._paused = {topic: until for topic, until in self._paused.items() if until > now}
        PUSH_TOPICS_PAUSED.set(len(self._paused))
        return [topic for topic in self._pools if topic not in self._paused]

    def pause(self, topic: str, seconds: float) -> None:
        """Send nothing for this topic for a while: Apple cuts off who goes on with what it refused."""
        self._paused[topic] = self._clock.monotonic() + seconds

    def use(self, credentials: Collection[Credentials]) -> None:
        """Send with these certificates from now on; pushes in flight under a replaced one are still answered."""
        for each in credentials:
            if self._in_use.get(each.topic) == each.id:
                continue
            former = self._pools.get(each.topic)
            self._pools[each.topic] = self._pool(each)
            self._in_use[each.topic] = each.id
            self._paused.pop(each.topic, None)
            if former is not None:
                draining = asyncio.get_running_loop().create_task(former.drain())
                self._draining.add(draining)
                draining.add_done_callback(self._draining.discard)

    async def push(self, topic: str, *, token: bytes, magic: bytes) -> PushAnswer:
        """Wake one channel. Raises Unavailable when APNs gives no answer."""
        request = NotificationRequest(
            device_token=token.hex(),
            message={"mdm": magic.decode()},
            time_to_live=TIME_TO_LIVE_SECONDS,
            priority=PRIORITY,
        )
        with PUSHES_IN_FLIGHT.track_inprogress():
            return _read(await self._send(topic, request))

    async def _send(self, topic: str, request: NotificationRequest) -> NotificationResult:
        """Send with the certificate in use; what was still waiting when that was replaced goes with the new one."""
        while (pool := self._pools.get(topic)) is not None:
            try:
                return await pool.send_notification(request)
            except Unavailable:
                if self._pools.get(topic) is pool:
                    raise
        raise Unavailable("no_push_certificate", retry_after_seconds=60.0)

    async def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()
        if self._draining:
            await asyncio.wait(self._draining)

    def _pool(self, credentials: Credentials) -> MdmPool:
        context = tls_context(self._settings.trust_ca_file)
        context.set_alpn_protocols(["h2"])
        with as_file(credentials.pem) as path:
            return MdmPool(
                path,
                topic=credentials.topic,
                host=self._settings.host,
                port=self._settings.port,
                trust=context,
                deadline_seconds=self._settings.deadline_seconds,
            )


@contextmanager
def as_file(pem: Secret) -> Iterator[str]:
    """Lend a secret as a path, which is all that `ssl` reads keys from: in memory on Linux, else a private file."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("push-certificate")
        try:
            os.write(descriptor, pem.reveal())
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.TemporaryDirectory() as directory:  # mode 0700
        path = Path(directory) / "push.pem"
        path.touch(mode=0o600)
        path.write_bytes(pem.reveal())
        yield str(path)


def _read(result: NotificationResult) -> PushAnswer:
    gone_since = None
    if isinstance(result.timestamp, int | float):
        gone_since = datetime.fromtimestamp(result.timestamp / 1000, UTC)
    return PushAnswer(status=int(result.status or 0), reason=result.description, gone_since=gone_since)
