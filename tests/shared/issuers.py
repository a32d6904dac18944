"""A real token issuer for tests: it serves its keys over TLS, counts who asks, and signs what it is told."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.simulators.authority import Authority
from shared.lifecycle import HttpServer
from shared.trust import tls_context

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AUDIENCE = "managed-distribution"


def a_key(key_id: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": key_id})


@dataclass
class Issuer:
    """What it signs with, what it answers, and how often it was asked."""

    url: str = ""
    keys: list[ECKey | RSAKey | OctKey] = field(default_factory=list)
    answer: Response | None = None
    asked: int = 0

    async def serve(self, _request: Request) -> Response:
        self.asked += 1
        if self.answer is not None:
            return self.answer
        keys = [key.as_dict(private=isinstance(key, OctKey)) for key in self.keys]
        return Response(json.dumps({"keys": keys}), media_type="application/json")

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = NOW.timestamp()
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "portal",
            "exp": now + 300,
            "nbf": now - 10,
            "scope": "assignments:read assignments:write",
        }
        return {name: value for name, value in {**claims, **changes}.items() if value is not ...}

    def token(self, *, algorithm: str = "ES256", key: Any = None, **changes: Any) -> str:
        key = key or self.keys[0]
        header = {"alg": algorithm, "kid": key.kid}
        return jwt.encode(header, self.claims(**changes), key, algorithms=[algorithm])


ServedIssuer = tuple[Issuer, httpx2.AsyncClient]
"""An issuer that runs, and a client that believes its certificate."""


@asynccontextmanager
async def serve_issuer(folder: Path) -> AsyncIterator[ServedIssuer]:
    authority = Authority.create("test")
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(authority.certificate_pem)
    issuer = Issuer(keys=[a_key("first")])
    app = Starlette(routes=[Route("/keys", issuer.serve)])
    tls = authority.issue_server(hosts=["localhost"]).write(folder, "issuer")
    server = HttpServer("issuer", app, address=("127.0.0.1", 0), tls=tls)
    task = await server.start()
    issuer.url = f"https://localhost:{server.port}"
    async with httpx2.AsyncClient(verify=tls_context(ca_file)) as http:
        yield issuer, http
    server.stop()
    await task
