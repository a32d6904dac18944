"""What the suite is pointed at: a service that speaks APNs, and an admin door that knows its devices.

By default it is this project's own simulator, started as a command, once for each of its doors. To judge another one,
set APNS_URL, APNS_CA_FILE, APNS_CERTIFICATE_FILE, APNS_KEY_FILE and APNS_TOPIC; and APNS_ADMIN_URL where something
answers to `Devices`, or else override that fixture.
"""

import asyncio
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

OWN_DOORS = ("scripted", "fast")
GIVEN = "given"
COURIER = "suite"  # on whose line the devices hear their pushes
COMMAND = (sys.executable, "-m", "local.simulators", "apns")


@dataclass(frozen=True)
class LookAlike:
    """`certificate_file` and `key_file` are a push certificate for `topic`, signed by whom the service trusts."""

    url: str
    ca_file: Path
    certificate_file: Path
    key_file: Path
    topic: str
    admin_url: str = ""

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 443

    def context(self, *, with_certificate: bool = True) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        if with_certificate:
            context.load_cert_chain(self.certificate_file, self.key_file)
        context.set_alpn_protocols(["h2"])
        return context


class Devices:
    """Tokens come, go, and lose their network."""

    def __init__(self, admin: httpx2.AsyncClient, topic: str) -> None:
        self._admin = admin
        self._topic = topic

    async def register(self, tokens: Sequence[str], *, topic: str = "") -> None:
        await self._post("/tokens", tokens=tokens, topic=topic or self._topic, courier=COURIER)

    async def unregister(self, tokens: Sequence[str], *, at: float) -> None:
        await self._post("/tokens/unregister", tokens=tokens, at=at)

    async def go_offline(self, tokens: Sequence[str]) -> None:
        await self._post("/tokens/offline", tokens=tokens)

    async def go_online(self, tokens: Sequence[str]) -> None:
        await self._post("/tokens/online", tokens=tokens)

    @asynccontextmanager
    async def heard_by(self, token: str) -> AsyncIterator[AsyncIterator[str]]:
        """Hear the magic of each push that reaches this device."""
        async with self._admin.stream("GET", f"/couriers/{COURIER}") as line:
            lines = line.aiter_lines()
            assert await anext(lines) == ""
            pushes = (json.loads(each) async for each in lines if each)
            yield (push["magic"] async for push in pushes if push["token"] == token)

    async def _post(self, path: str, **body: Any) -> None:
        (await self._admin.post(path, json=body)).raise_for_status()


def doors() -> tuple[str, ...]:
    """Name what is judged: the one that the environment names, or our own two."""
    return (GIVEN,) if "APNS_URL" in os.environ else OWN_DOORS


@asynccontextmanager
async def opened(door: str) -> AsyncIterator[LookAlike]:
    """Point at what is given, or start our own."""
    if door == GIVEN:
        yield _given()
        return
    process = await asyncio.create_subprocess_exec(
        *COMMAND, f"--apns-door={door}", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        cards = json.loads(await process.stdout.readline())
        card = cards["apns"]
        yield LookAlike(
            url=card["url"],
            ca_file=Path(cards["authority"]["certificate_file"]),
            certificate_file=Path(card["certificate_file"]),
            key_file=Path(card["key_file"]),
            topic=card["topic"],
            admin_url=card["admin_url"],
        )
    finally:
        process.terminate()
        await process.wait()


def _given() -> LookAlike:
    said = os.environ
    return LookAlike(
        url=said["APNS_URL"],
        ca_file=Path(said["APNS_CA_FILE"]),
        certificate_file=Path(said["APNS_CERTIFICATE_FILE"]),
        key_file=Path(said["APNS_KEY_FILE"]),
        topic=said["APNS_TOPIC"],
        admin_url=said.get("APNS_ADMIN_URL", ""),
    )
