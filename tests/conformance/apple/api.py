"""A client of Apple's App and Book Management API that adds nothing: one request, its answer as JSON."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

Row = dict[str, Any]

APP: Row = {"adamId": "361285480", "pricingParam": "STDQ"}
OTHER: Row = {"adamId": "361309726", "pricingParam": "STDQ"}
BOOK: Row = {"adamId": "551664871", "pricingParam": "PLUS"}
STOCK = [
    {"adam_id": APP["adamId"], "total": 10},
    {"adam_id": OTHER["adamId"], "total": 10},
    {"adam_id": BOOK["adamId"], "pricing_param": "PLUS", "product_type": "Book", "total": 10},
]
PATIENCE_SECONDS = 20.0


def serials(count: int, start: int = 0) -> list[str]:
    """Serial numbers, each once."""
    return [f"C02{number:09}" for number in range(start, start + count)]


def wait_for(found: Callable[[], Any]) -> Any:
    """Look until there is something to see, for a bounded time, and return it."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        seen = found()
        if seen:
            return seen
        time.sleep(0.01)
    raise AssertionError("it never came about")


@dataclass
class Api:
    """One content token at one service. `poll_seconds` keeps to Apple's rules of asking for a status."""

    http: httpx2.Client
    token: str
    uid: str = ""
    poll_seconds: float = 0.005
    between_seconds: float = 0.0

    def ask(self, method: str, path: str, **more: Any) -> httpx2.Response:
        time.sleep(self.between_seconds)
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **more)

    def get(self, path: str, **query: Any) -> Row:
        return dict(self.ask("GET", path, params=query).json())

    def post(self, path: str, body: Any) -> Row:
        """In ASCII, so that any text can be a serial number."""
        headers = {"Content-Type": "application/json"}
        return dict(self.ask("POST", path, content=json.dumps(body), headers=headers).json())

    def refused(self, path: str, body: Any) -> tuple[int, int]:
        """Return the HTTP status and the error number of a POST."""
        headers = {"Content-Type": "application/json"}
        answer = self.ask("POST", path, content=json.dumps(body), headers=headers)
        return answer.status_code, answer.json()["errorNumber"]

    def outcome(self, answer: Row) -> Row:
        """Return the status of an event once it is through."""
        while True:
            status = self.get("status", eventId=answer["eventId"])
            if status["eventStatus"] not in {"PENDING", "PROCESSING"}:
                return status
            time.sleep(self.poll_seconds)

    def done(self, path: str, body: Any) -> Row:
        """Write, and return the status of the event once it is through."""
        return self.outcome(self.post(path, body))

    def associate(self, targets: Sequence[str], *assets: Row) -> Row:
        body = {"assets": list(assets) or [APP], "serialNumbers": list(targets)}
        return self.done("assets/associate", body)

    def disassociate(self, targets: Sequence[str], *assets: Row) -> Row:
        body = {"assets": list(assets) or [APP], "serialNumbers": list(targets)}
        return self.done("assets/disassociate", body)

    def give(self, users: Sequence[str], *assets: Row) -> Row:
        body = {"assets": list(assets) or [APP], "clientUserIds": list(users)}
        return self.done("assets/associate", body)

    def manage(self, verb: str, *users: Row) -> Row:
        return self.done(f"users/{verb}", {"users": list(users)})

    def user(self, client_user_id: str) -> Row:
        """Return the newest record of a user."""
        return dict(self.get("users", clientUserId=client_user_id)["users"][-1])

    def asset(self, asset: Row = APP) -> Row:
        (row,) = self.get("assets", **asset)["assets"]
        return dict(row)

    def counts(self, asset: Row = APP) -> tuple[int, int, int, int]:
        """Return total, available, assigned and retired."""
        row = self.asset(asset)
        return row["totalCount"], row["availableCount"], row["assignedCount"], row["retiredCount"]

    def pages(self, path: str, **query: Any) -> Iterator[Row]:
        """Walk the pages until none is named as the next."""
        page: int | None = 0
        while page is not None:
            answer = self.get(path, pageIndex=page, **query)
            yield answer
            page = answer.get("nextPageIndex")

    def rows(self, path: str, **query: Any) -> list[Row]:
        return [row for page in self.pages(path, **query) for row in page[path]]


@dataclass
class Admin:
    """The door behind a simulated service: makes things happen that Apple's own portal and people would."""

    http: httpx2.Client
    service: httpx2.Client
    first_knobs: Row = field(default_factory=dict)

    def tell(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        answer = self.http.request(method, path, content=content, headers=headers, params=query)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def turn(self, **knobs: Any) -> None:
        self.tell("PATCH", "/knobs", knobs)

    def fault(self, path: str, **more: Any) -> None:
        self.tell("POST", "/faults", [{"path": path, **more}])

    def library(self, *assets: Row, **more: Any) -> Api:
        """Open a library with these assets, or with the usual stock."""
        made = self.tell("POST", "/libraries", {"assets": list(assets) or STOCK, **more})
        return Api(self.service, made["token"], made["uid"])

    def token(self, api: Api, **more: Any) -> Api:
        """Download another token of a library."""
        made = self.tell("POST", f"/libraries/{api.uid}/tokens", more)
        return Api(self.service, made["token"], api.uid)

    def accept(self, api: Api, client_user_id: str, account: str) -> httpx2.Response:
        """Let a person with an Apple Account accept the invitation of a user."""
        body = {"client_user_id": client_user_id, "account": account}
        return self.http.post(f"/libraries/{api.uid}/invitations/accept", json=body)
