"""The doors of a running system as the story and people at a terminal use them: JSON over HTTP, with a token."""

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import httpx2

from local.plan import AUDIENCE, SERVICES
from local.system import System

SCOPES = (
    "assignments:read assignments:write directory:read directory:write licenses:read licenses:admin "
    "invitations:read invitations:write devices:read devices:command ops:replay"
)
_PATIENCE_SECONDS = 60


class UnexpectedAnswerError(Exception):
    """A door answered otherwise than the caller expected; the message carries its words."""


class Door:
    """One base URL. Every call raises UnexpectedAnswerError where the answer is no good one."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        """`http` is there too for whoever wants to see answers as they are."""
        self.http = http

    async def get(self, path: str, **query: Any) -> Any:
        """Return the JSON of a GET."""
        return _json(await self.http.get(path, params=query))

    async def post(self, path: str, body: Any = None, **headers: str) -> Any:
        """Return the JSON of a POST."""
        return _json(await self.http.post(path, json=body, headers=headers))

    async def put(self, path: str, body: Any) -> Any:
        """Return the JSON of a PUT."""
        return _json(await self.http.put(path, json=body))

    async def patch(self, path: str, body: Any) -> Any:
        """Return the JSON of a PATCH."""
        return _json(await self.http.patch(path, json=body))

    async def delete(self, path: str) -> Any:
        """Return the JSON of a DELETE."""
        return _json(await self.http.delete(path))

    async def every(self, path: str, **query: Any) -> list[Any]:
        """Return the items of all pages of a list."""
        items: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self.get(path, limit=1000, **query, **cursor)
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            cursor = {"cursor": page["next_cursor"]}


class Doors:
    """The four services with a token for everything, and the admin doors of the box. Use as `async with`.

    `apple_wire` is where the simulated Apple itself is spoken to, with a content token.
    """

    def __init__(self, system: System) -> None:
        self._system = system
        self._stack = AsyncExitStack()
        self.token = ""

    async def __aenter__(self) -> Self:
        cards = self._system.cards
        self.apple, self.apns, self.devices, self.mailbox, self.identity = [
            await self._open(cards[name]["admin_url"])
            for name in ("apple", "apns", "devices", "mailbox", "identity")
        ]
        self.apple_wire = await self._open(cards["apple"]["url"], trust=self._trust())
        self.token = await sign_token(self.identity)
        self.assignment, self.licensing, self.invitation, self.mdm_push = [
            await self.service(name, token=self.token) for name in SERVICES
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def service(self, name: str, *, token: str | None) -> Door:
        """Open one more door of a service, with another token or none."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return await self._open(self._system.services[name].url, trust=self._trust(), headers=headers)

    async def install_push_certificate(self) -> Any:
        """Give mdm-push the certificate with which the simulated APNs lets it in; return its answer."""
        card = self._system.cards["apns"]
        certificate, key = [
            await asyncio.to_thread(Path(card[name]).read_text) for name in ("certificate_file", "key_file")
        ]
        return await self.mdm_push.post(
            "/v1/push-certificates", {"certificate_pem": certificate, "private_key_pem": key}
        )

    async def enroll_new_devices(self, count: int, *, kind: str, prefix: str) -> list[str]:
        """Unpack devices (`ios` or `mac`), enroll them and return their serial numbers.

        Raises UnexpectedAnswerError where the server refused one of them.
        """
        wanted = {"count": count, "kind": kind, "serial_prefix": prefix}
        serials: list[str] = (await self.devices.post("/devices", wanted))["serials"]
        await self.enroll(serials)
        return serials

    async def enroll(self, serials: Sequence[str]) -> None:
        """Enroll devices, new or wiped. Raises UnexpectedAnswerError where the server refused one of them."""
        answer = await self.devices.post("/devices/enroll", {"serials": list(serials)})
        for serial, cause in answer["refused"].items():
            raise UnexpectedAnswerError(f"device {serial} was refused: {cause}")

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._system.ca_file)

    async def _open(
        self, url: str, *, trust: ssl.SSLContext | bool = True, headers: Mapping[str, str] | None = None
    ) -> Door:
        client = httpx2.AsyncClient(
            base_url=url, verify=trust, headers=headers or {}, timeout=_PATIENCE_SECONDS, trust_env=False
        )
        return Door(await self._stack.enter_async_context(client))


async def fetch_token(identity_url: str) -> str:
    """Return a token for every scope, signed by the simulated identity provider behind this admin door."""
    async with httpx2.AsyncClient(base_url=identity_url, trust_env=False) as http:
        return await sign_token(Door(http))


async def sign_token(
    identity: Door, *, scopes: str = SCOPES, audience: str = AUDIENCE, hours: float = 12
) -> str:
    """Have the simulated identity provider sign a token; one that lasts less than no hours has expired."""
    grant = {
        "subject": "administrator",
        "scope": scopes,
        "audience": audience,
        "expires_in": round(hours * 3600),
    }
    token: str = (await identity.post("/token", grant))["access_token"]
    return token


def _json(response: httpx2.Response) -> Any:
    if not response.is_success:
        asked = response.request
        raise UnexpectedAnswerError(
            f"{asked.method} {asked.url} answered {response.status_code}: {response.text}"
        )
    return response.json() if response.content else None
