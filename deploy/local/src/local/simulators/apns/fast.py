"""The fast door: a compiled HTTP/2 server for load. It answers by the same rules and makes no frame faults."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, Self

from cryptography import x509
from h2corn import Config, Server

from local.simulators.apns.rules import PAYLOAD_LIMIT, Certificate, Request, apns_id_of
from local.simulators.apns.script import Answer, Mischief, Reaction, Silence
from local.simulators.apns.settings import ApnsSettings
from local.simulators.serving import HOST

GRACE_SECONDS = 0.2  # how long a stop waits for answers that are still being written
ELSEWHERE = Answer(501, "OnlyAtTheScriptedDoor")  # the box's own word, no one of Apple's

React = Callable[[Request, str], Reaction]


def can(mischief: Mischief) -> bool:
    """Say whether this door is able to do so: an answer as a whole, or none at all."""
    match mischief:
        case Answer(body_form=form):
            return form in {"whole", "none"}
        case _:
            return isinstance(mischief, Silence)


class FastDoor:
    """h2corn in the running loop: its own threads speak TLS and HTTP/2, ours judges."""

    def __init__(self, server: Server, serving: asyncio.Task[None]) -> None:
        self._server = server
        self._serving = serving
        self.port = int(server.addresses[0].rpartition(":")[2])

    @classmethod
    async def open(cls, settings: ApnsSettings, react: React, mint_id: Callable[[], str]) -> Self:
        """Listen. Raises `OSError` when the port is taken."""
        app = _App(react, mint_id, settings.latency_seconds)
        server = Server(app, _configuration(settings))
        serving = asyncio.create_task(server.serve())
        await server.wait_started()
        return cls(server, serving)

    async def close(self) -> None:
        """Take no new connection and end those that are open."""
        self._server.shutdown()
        with suppress(RuntimeError):  # what is never to be answered is cut off at the end of the grace
            await self._serving


class _App:
    """An ASGI application of one route."""

    def __init__(self, react: React, mint_id: Callable[[], str], latency_seconds: float) -> None:
        self._react = react
        self._mint_id = mint_id
        self._latency_seconds = latency_seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Judge one request and answer it."""
        body = await _body(receive)
        chain = scope["extensions"]["tls"]["client_cert_chain"]
        certificate = _certificate(chain[0]) if chain else None
        request = Request(_headers(scope), body, certificate, self._mint_id)
        apns_id = apns_id_of(request)
        reaction = self._react(request, apns_id)
        answer = reaction if isinstance(reaction, Answer) and can(reaction) else ELSEWHERE
        if isinstance(reaction, Silence):
            await asyncio.Event().wait()
        if delay := self._latency_seconds + answer.delay_seconds:
            await asyncio.sleep(delay)
        headers = [(name.encode(), value.encode()) for name, value in answer.headers(apns_id)]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"".join(answer.chunks())})


async def _body(receive: Any) -> bytes:
    """Read the body; of one that is too large no more than is needed to see that."""
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False) and len(body) <= PAYLOAD_LIMIT:
        message = await receive()
        body += message.get("body", b"")
    return body


def _headers(scope: Any) -> list[tuple[str, str]]:
    query = scope["query_string"]
    path = scope["raw_path"] + (b"?" + query if query else b"")
    return [
        (":method", scope["method"]),
        (":path", path.decode("latin-1")),
        *[(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
    ]


@lru_cache(maxsize=1000)
def _certificate(pem: str) -> Certificate:
    return Certificate.read(x509.load_pem_x509_certificate(pem.encode()))


def _configuration(settings: ApnsSettings) -> Config:
    return Config(
        host=HOST,
        port=settings.port,
        certfile=settings.certificate_file,
        keyfile=settings.key_file,
        ca_certs=settings.client_ca_file,
        cert_reqs="optional",  # Apple lets who has none in, and asks for a provider token
        max_concurrent_streams=settings.max_concurrent_streams,
        runtime_threads=1,
        http1=False,
        lifespan="off",
        access_log=False,
        date_header=False,
        timeout_keep_alive=0,  # Apple keeps connections for hours
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
