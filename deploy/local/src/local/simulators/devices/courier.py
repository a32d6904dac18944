"""The fleet's line to the simulated APNs, in this process or over its admin door."""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import httpx2

from local.simulators.apns import ApnsSimulator, Push

Wake = Callable[[str, str], None]  # (token in hex, push magic)
START_SECONDS = 10.0
RECONNECT_SECONDS = 0.5


class Courier(Protocol):
    """Keeps the devices' tokens at APNs and brings their pushes."""

    async def start(self) -> None:
        """Listen; returns once pushes would be heard."""

    async def stop(self) -> None:
        """Stop listening."""

    async def register(self, tokens: Iterable[str]) -> None:
        """Make tokens valid."""

    async def unregister(self, tokens: Iterable[str]) -> None:
        """Make tokens answer 410."""

    async def go_offline(self, tokens: Iterable[str]) -> None:
        """Have APNs keep what comes for them."""

    async def go_online(self, tokens: Iterable[str]) -> None:
        """Hear what was kept."""


def courier_to(apns: ApnsSimulator | str, *, topic: str, name: str, wake: Wake) -> Courier:
    """Choose the line by what was given: the simulator itself, or the URL of its admin door."""
    if isinstance(apns, str):
        return RemoteCourier(apns, topic=topic, name=name, wake=wake)
    return LocalCourier(apns, topic=topic, name=name, wake=wake)


class LocalCourier:
    """Hears the pushes of a simulator in this process."""

    def __init__(self, apns: ApnsSimulator, *, topic: str, name: str, wake: Wake) -> None:
        self._registry = apns.registry
        self._topic = topic
        self._name = name
        self._wake = wake

    async def start(self) -> None:
        """Attach to the registry."""
        self._registry.attach(self._name, self._deliver)

    async def stop(self) -> None:
        """Detach."""
        self._registry.detach(self._name, self._deliver)

    async def register(self, tokens: Iterable[str]) -> None:
        """Make tokens valid."""
        self._registry.register(tokens, topic=self._topic, courier=self._name)

    async def unregister(self, tokens: Iterable[str]) -> None:
        """Make tokens answer 410."""
        self._registry.unregister(tokens)

    async def go_offline(self, tokens: Iterable[str]) -> None:
        """Have APNs keep what comes for them."""
        self._registry.go_offline(tokens)

    async def go_online(self, tokens: Iterable[str]) -> None:
        """Hear what was kept."""
        self._registry.go_online(tokens)

    def _deliver(self, push: Push) -> None:
        self._wake(push.token, push.magic)


class RemoteCourier:
    """Hears pushes as lines of JSON from the admin door, and connects again when the line breaks."""

    def __init__(self, admin_url: str, *, topic: str, name: str, wake: Wake) -> None:
        self._client = httpx2.AsyncClient(base_url=admin_url, timeout=httpx2.Timeout(10, read=60))
        self._topic = topic
        self._name = name
        self._wake = wake
        self._heard = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the line. Raises `TimeoutError` when nobody answers."""
        self._listening = asyncio.create_task(self._listen())
        async with asyncio.timeout(START_SECONDS):
            await self._heard.wait()

    async def stop(self) -> None:
        """Hang up."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        await self._client.aclose()

    async def register(self, tokens: Iterable[str]) -> None:
        """Make tokens valid."""
        await self._post("/tokens", tokens, topic=self._topic, courier=self._name)

    async def unregister(self, tokens: Iterable[str]) -> None:
        """Make tokens answer 410."""
        await self._post("/tokens/unregister", tokens)

    async def go_offline(self, tokens: Iterable[str]) -> None:
        """Have APNs keep what comes for them."""
        await self._post("/tokens/offline", tokens)

    async def go_online(self, tokens: Iterable[str]) -> None:
        """Hear what was kept."""
        await self._post("/tokens/online", tokens)

    async def _post(self, path: str, tokens: Iterable[str], **fields: str) -> None:
        body: dict[str, Any] = {"tokens": list(tokens), **fields}
        (await self._client.post(path, json=body)).raise_for_status()

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear_one_line_out()
            except httpx2.HTTPError:
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _hear_one_line_out(self) -> None:
        async with self._client.stream("GET", f"/couriers/{self._name}") as line:
            line.raise_for_status()
            async for text in line.aiter_lines():
                self._heard.set()
                if text:
                    push = json.loads(text)
                    self._wake(push["token"], push["magic"])
