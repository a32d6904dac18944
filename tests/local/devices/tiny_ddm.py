"""A tiny server of declarative management: a set of declarations per channel, and the reports it was told."""

import hashlib
import json
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse, Response

KINDS = {
    "activation": "Activations",
    "asset": "Assets",
    "configuration": "Configurations",
    "management": "Management",
}
SIMPLE = "com.apple.activation.simple"
APP = "com.apple.configuration.app.managed"
SUBSCRIPTIONS = "com.apple.configuration.management.status-subscriptions"


@dataclass
class TinyDdm:
    """`replies` go out, by endpoint and first come first served, instead of the honest answer."""

    sets: defaultdict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: defaultdict(dict))
    asked: list[tuple[str, str]] = field(default_factory=list)  # channel, endpoint
    reports: defaultdict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    replies: defaultdict[str, deque[Response]] = field(default_factory=lambda: defaultdict(deque))

    def declare(self, channel: str, declaration_type: str, identifier: str, **payload: Any) -> None:
        """Put a declaration into a channel's set, with a ServerToken of its content."""
        content = json.dumps([declaration_type, payload], sort_keys=True).encode()
        self.sets[channel][identifier] = {
            "Type": declaration_type,
            "Identifier": identifier,
            "ServerToken": hashlib.sha256(content).hexdigest()[:32],
            "Payload": payload,
        }

    def activate(self, channel: str, *configurations: str, **payload: Any) -> None:
        """Have one activation name exactly these configurations."""
        names = list(configurations)
        self.declare(channel, SIMPLE, "activation", StandardConfigurations=names, **payload)

    def token(self, channel: str) -> str:
        """Answer the DeclarationsToken of a channel's set: another one whenever anything changes."""
        content = sorted((each["Identifier"], each["ServerToken"]) for each in self.sets[channel].values())
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def sync_tokens(self, channel: str) -> dict[str, Any]:
        return {"SyncTokens": {"DeclarationsToken": self.token(channel), "Timestamp": "2026-11-22T08:00:00Z"}}

    def endpoints(self, channel: str) -> list[str]:
        """Answer what a channel asked for since the last time, and forget it."""
        mine = [endpoint for name, endpoint in self.asked if name == channel]
        self.asked = [each for each in self.asked if each[0] != channel]
        return mine

    def answer(self, channel: str, endpoint: str, data: bytes | None) -> Response:
        self.asked.append((channel, endpoint))
        if self.replies[endpoint]:
            return self.replies[endpoint].popleft()
        if endpoint == "status":
            assert data is not None
            self.reports[channel].append(json.loads(data))
            return Response()
        assert data is None
        if endpoint == "tokens":
            return JSONResponse(self.sync_tokens(channel))
        if endpoint == "declaration-items":
            return JSONResponse(self._items(channel))
        _, kind, identifier = endpoint.split("/", 2)
        found = self.sets[channel].get(identifier)
        return (
            Response(status_code=404)
            if found is None or _kind(found["Type"]) != kind
            else JSONResponse(found)
        )

    def _items(self, channel: str) -> dict[str, Any]:
        listed: dict[str, list[dict[str, str]]] = {plural: [] for plural in KINDS.values()}
        for each in self.sets[channel].values():
            item = {name: each[name] for name in ("Identifier", "ServerToken")}
            listed[KINDS[_kind(each["Type"])]].append(item)
        return {"Declarations": listed, "DeclarationsToken": self.token(channel)}


def _kind(declaration_type: str) -> str:
    return declaration_type.split(".")[2]
