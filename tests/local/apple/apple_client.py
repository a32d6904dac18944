"""A small client of Apple's API and of the admin door, and a receiver of notifications, for the tests."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.simulators.apple import AppleSimulator

APP = {"adamId": "361285480", "pricingParam": "STDQ"}
BOOK = {"adamId": "551664871", "pricingParam": "PLUS"}
SECRET = "a secret of the subscriber"

Row = dict[str, Any]


def app_of(total: int, adam_id: str = APP["adamId"], **more: Any) -> Row:
    """An app for the admin door."""
    return {"adam_id": adam_id, "total": total, **more}


def book_of(total: int) -> Row:
    """A book for the admin door."""
    return {"adam_id": BOOK["adamId"], "pricing_param": "PLUS", "product_type": "Book", "total": total}


def serials(count: int, start: int = 0) -> list[str]:
    """Serial numbers, each once."""
    return [f"C02{number:09}" for number in range(start, start + count)]


@dataclass
class Library:
    """One token of one library, and what is asked with it."""

    client: httpx2.AsyncClient
    uid: str
    token: str

    async def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        return await self.client.request(
            method, path, headers={"Authorization": f"Bearer {self.token}"}, **more
        )

    async def get(self, path: str, **query: Any) -> Row:
        response = await self.ask("GET", path, params=query)
        return dict(response.json())

    async def post(self, path: str, body: Any) -> Row:
        """In ASCII, so that any text can be a serial number."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        response = await self.client.post(path, content=json.dumps(body), headers=headers)
        return dict(response.json())

    async def associate(self, targets: Sequence[str], *assets: Row) -> str:
        body = {"assets": list(assets) or [APP], "serialNumbers": list(targets)}
        return str((await self.post("assets/associate", body))["eventId"])

    async def disassociate(self, targets: Sequence[str], *assets: Row) -> str:
        body = {"assets": list(assets) or [APP], "serialNumbers": list(targets)}
        return str((await self.post("assets/disassociate", body))["eventId"])

    async def outcome(self, event_id: str) -> Row:
        """The status once it is no longer PENDING."""
        while True:
            status = await self.get("status", eventId=event_id)
            if status["eventStatus"] != "PENDING":
                return status
            await asyncio.sleep(0.005)

    async def counts(self, asset: Row = APP) -> tuple[int, int, int]:
        """Total, available, assigned."""
        (row,) = (await self.get("assets", **asset))["assets"]
        assert row["totalCount"] == row["availableCount"] + row["assignedCount"] + row["retiredCount"]
        return row["totalCount"], row["availableCount"], row["assignedCount"]

    async def subscribe(self, subscriber: "Subscriber", *types: str) -> Row:
        body = {
            "notificationUrl": subscriber.url,
            "notificationAuthToken": SECRET,
            "notificationTypes": list(types),
        }
        return await self.post("client/config", body)


@dataclass
class AppleBox:
    """Both doors of the simulated Apple."""

    client: httpx2.AsyncClient
    admin: httpx2.AsyncClient
    simulator: AppleSimulator

    async def tell(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        response = await self.admin.request(method, path, json=body, params=query)
        assert response.is_success, response.text
        return response.json()

    async def turn(self, **knobs: Any) -> None:
        await self.tell("PATCH", "/knobs", knobs)

    async def fault(self, path: str, **more: Any) -> None:
        await self.tell("POST", "/faults", [{"path": path, **more}])

    async def library(self, *assets: Row, **more: Any) -> Library:
        made = await self.tell("POST", "/libraries", {"assets": assets, **more})
        return Library(self.client, made["uid"], made["token"])

    async def state(self) -> Row:
        return dict(await self.tell("GET", "/state"))


@dataclass
class Subscriber:
    """Receives notifications; answers `statuses` one by one, then 200."""

    url: str = ""
    received: list[Row] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/apple/notifications", self._receive, methods=["POST"])])

    async def _receive(self, request: Request) -> Response:
        self.tokens.append(request.headers["authorization"])
        self.received.append(await request.json())
        return Response(status_code=self.statuses.pop(0) if self.statuses else 200)

    def of(self, kind: str) -> list[Row]:
        return [row for row in self.received if row["notificationType"] == kind]


async def eventually(found: Callable[[], bool]) -> None:
    """Wait until it is so, ten seconds at most."""
    for _ in range(2000):
        if found():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came about")
