"""The push service as a whole: its TLS listener, its judgement of each push, and its admin door."""

import asyncio
import ssl
import time
from collections import Counter, deque
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from local.simulators.apns.admin import CourierLine, admin_door
from local.simulators.apns.connection import ApnsConnection
from local.simulators.apns.registry import Push, Registry
from local.simulators.apns.rules import RefusedError, Request, read_push
from local.simulators.apns.script import Answer, LimitStreams, Reaction, Script
from local.simulators.serving import HOST, Serving

THIRTY_DAYS = 30 * 86_400.0  # the longest that Apple keeps a push which names no expiration


@dataclass(frozen=True, slots=True, kw_only=True)
class ApnsSettings:
    """Every knob of the simulated push service; port 0 takes a free one."""

    certificate_file: Path
    key_file: Path
    client_ca_file: Path  # senders must hold a certificate of this authority
    port: int = 0
    admin_port: int = 0
    max_concurrent_streams: int = 1000
    latency_seconds: float = 0.0
    storage_seconds: float = THIRTY_DAYS
    # Apple asks for both on its page, but forgives senders that leave them out: name none to be as kind.
    required_headers: AbstractSet[str] = frozenset({"apns-topic", "apns-push-type"})
    pushes_kept: int = 10_000  # the newest ones, for the admin door
    clock: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class SeenPush:
    """A push that was well-formed, and what it was answered (`None`: no HTTP answer at all)."""

    push: Push
    status: int | None
    reason: str | None


class ApnsSimulator:
    """APNs for MDM. `registry` knows the tokens, `script` the mischief, `pushes` what was sent."""

    def __init__(self, settings: ApnsSettings) -> None:
        self.settings = settings
        self.registry = Registry(settings.clock)
        self.script = Script()
        self.pushes: deque[SeenPush] = deque(maxlen=settings.pushes_kept)
        self.answers: Counter[str] = Counter()
        self.connections: set[ApnsConnection] = set()
        self._server: asyncio.Server | None = None
        self._admin: Serving | None = None
        self._courier_lines: set[CourierLine] = set()

    async def start(self) -> None:
        """Open both doors. Raises `OSError` when a port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, HOST, self.settings.port, ssl=self._tls())
        door = admin_door(self, self._courier_lines)
        self._admin = await Serving.start(door, port=self.settings.admin_port)

    async def stop(self) -> None:
        """Close both doors; whoever waits for an answer loses the connection."""
        for line in self._courier_lines:
            line.put_nowait(None)
        if self._admin is not None:
            await self._admin.stop()
        if self._server is not None:
            self._server.close()
            for connection in list(self.connections):
                connection.close()
            await self._server.wait_closed()
        self._server = self._admin = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """The port of the push door."""
        if self._server is None:
            raise RuntimeError("the push service is not started")
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """Where a sender posts to `/3/device/<token>`."""
        return f"https://{HOST}:{self.port}"

    @property
    def admin_url(self) -> str:
        """Where tests and devices register tokens, listen and write the script."""
        if self._admin is None:
            raise RuntimeError("the push service is not started")
        return f"http://{HOST}:{self._admin.port}"

    def limit_streams(self, max_concurrent_streams: int) -> None:
        """Tell all open connections a new MAX_CONCURRENT_STREAMS."""
        for connection in list(self.connections):
            connection.limit_streams(max_concurrent_streams)

    def go_away(self) -> None:
        """Send GOAWAY on all open connections; what they sent before is still answered."""
        for connection in list(self.connections):
            connection.go_away()

    def reset(self) -> None:
        """Forget tokens, script, pushes and counts; connections and couriers stay."""
        self.registry.reset()
        self.script.rules.clear()
        self.pushes.clear()
        self.answers.clear()

    def react(self, request: Request, apns_id: str) -> Reaction:
        """Judge one push: Apple's rules, then the script, then the token; deliver it when all agree."""
        try:
            push = read_push(
                request,
                apns_id=apns_id,
                required=self.settings.required_headers,
                now=self.settings.clock(),
                storage_seconds=self.settings.storage_seconds,
            )
        except RefusedError as refused:
            self._count(refused.answer)
            return refused.answer
        reaction = self._reaction_to(push)
        status, reason = (reaction.status, reaction.reason) if isinstance(reaction, Answer) else (None, None)
        self.pushes.append(SeenPush(push, status, reason))
        self._count(reaction)
        return reaction

    def _reaction_to(self, push: Push) -> Reaction:
        mischief = self.script.next_for(push.token)
        if isinstance(mischief, LimitStreams):
            self.limit_streams(mischief.max_concurrent_streams)
        elif mischief is not None:
            return mischief
        refusal = self.registry.judge(push.token, push.topic)
        if refusal is not None:
            return refusal
        self.registry.accept(push)
        return Answer(200)

    def _count(self, reaction: Reaction) -> None:
        if isinstance(reaction, Answer):
            self.answers[f"{reaction.status} {reaction.reason or ''}".strip()] += 1
        else:
            self.answers[type(reaction).__name__] += 1

    def _connection(self) -> ApnsConnection:
        return ApnsConnection(
            self.react,
            open_connections=self.connections,
            max_concurrent_streams=self.settings.max_concurrent_streams,
            latency_seconds=self.settings.latency_seconds,
        )

    def _tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.settings.certificate_file, self.settings.key_file)
        context.load_verify_locations(self.settings.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols(["h2"])
        return context
