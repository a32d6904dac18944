"""A client of Apple's API whose requests are answered by a function, and remembered."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx2

from licensing.apple import Apple, Guard, Wire
from licensing.model import Access, AssetKey, IntentKind
from shared.clock import TurnedClock
from shared.vault import Secret
from tests.licensing.office import APP
from tests.licensing.situation import NOON

BASE = "https://apple.test/mdm/v2"
KEY = AssetKey(APP, "STDQ")
ACCESS = Access("lib", Secret(b"dG9rZW4="))

Answers = Callable[[httpx2.Request], httpx2.Response]


class FreeBudget:
    """Turns without end; notes who was asked to slow down."""

    def __init__(self) -> None:
        self.pauses: list[float | None] = []
        self.slowed = 0
        self.rates: list[float] = []

    async def take(self, _library_id: str, *, per_second: float) -> float:
        self.rates.append(per_second)
        return 0.0

    async def pause(self, _library_id: str, seconds: float) -> None:
        self.pauses.append(seconds)

    async def slow_down(self, _library_id: str, seconds: float | None) -> None:
        self.slowed += 1
        self.pauses.append(seconds)


class Scripted:
    """A client, and what it sent. `answer` answers all but `service/config`, which `config` answers."""

    def __init__(self, answer: Answers, *, base_url: str | None = BASE, guard: Guard | None = None) -> None:
        self.requests: list[httpx2.Request] = []
        self.budget = FreeBudget()
        self.clock = TurnedClock(NOON)
        self.answer = answer
        self.config: Answers = answering(limits={}, urls={})
        wire = Wire(self._connect, deadline_seconds=5.0)
        self.apple = Apple(wire, base_url=base_url, budget=self.budget, clock=self.clock, guard=guard)

    def paths(self) -> list[str]:
        return [request.url.path.removeprefix("/mdm/v2/") for request in self.requests]

    def said(self) -> Any:
        """Read the body that was sent last."""
        return json.loads(self.requests[-1].content)

    async def write(self) -> str:
        return await self.apple.write(ACCESS, IntentKind.ASSOCIATE, KEY, ["S"])

    def _connect(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(transport=httpx2.MockTransport(self._serve), follow_redirects=False)

    async def _serve(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        await asyncio.sleep(0)  # as on a real wire, others get their turn
        return (self.config if request.url.path.endswith("service/config") else self.answer)(request)


def answering(status: int = 200, *, headers: Mapping[str, str] | None = None, **body: Any) -> Answers:
    return lambda _: httpx2.Response(status, json=body, headers=headers)


def raising(error: Exception) -> Answers:
    def answer(_: httpx2.Request) -> httpx2.Response:
        raise error

    return answer
