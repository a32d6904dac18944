"""The push service's admin door: register tokens, listen as a courier, see the pushes, write the script."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import FastAPI, Path
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from local.simulators.apns.registry import Push, Registry
from local.simulators.apns.script import (
    Answer,
    BodyForm,
    GoAway,
    LimitStreams,
    Mischief,
    Reset,
    Rule,
    Silence,
)

if TYPE_CHECKING:
    from local.simulators.apns.simulator import ApnsSimulator

Token = Annotated[str, Field(pattern=r"^([0-9a-f]{2})+$")]
CourierLine = asyncio.Queue[Push | None]  # `None` ends it
HEARTBEAT_SECONDS = 15.0  # an empty line, so that both ends notice a dead courier line


class TokensBody(BaseModel):
    """Tokens in lower-case hex."""

    tokens: list[Token]


class RegisterBody(TokensBody):
    """Tokens that become valid for one topic; `courier` names the line on which their pushes leave."""

    topic: str
    courier: str = ""


class UnregisterBody(TokensBody):
    """Tokens that are gone, since `at` (seconds since 1970; now when left out)."""

    at: float | None = None


class LimitBody(BaseModel):
    """A new MAX_CONCURRENT_STREAMS."""

    max_concurrent_streams: int = Field(ge=0)


class RuleBody(BaseModel):
    """One rule of the script; the fields that its `kind` does not use are ignored."""

    kind: Literal["answer", "reset", "silence", "goaway", "limit_streams"]
    prefix: str = ""
    times: int | None = Field(default=None, ge=1)
    status: int = 200
    reason: str | None = None
    timestamp_ms: int | None = None
    body_form: BodyForm = "whole"
    delay_seconds: float = 0.0
    error_code: int = 7
    max_concurrent_streams: int = 1

    def mischief(self) -> Mischief:
        """Say it in the script's own words."""
        match self.kind:
            case "answer":
                return Answer(self.status, self.reason, self.timestamp_ms, self.body_form, self.delay_seconds)
            case "reset":
                return Reset(self.error_code)
            case "silence":
                return Silence()
            case "goaway":
                return GoAway(self.reason or "Shutdown")
            case "limit_streams":
                return LimitStreams(self.max_concurrent_streams)


def admin_door(simulator: "ApnsSimulator", courier_lines: set[CourierLine]) -> FastAPI:
    """Build the app; `courier_lines` holds the open ones, each ends when it is given `None`."""
    door = FastAPI(title="Simulated APNs, admin door")
    _token_routes(door, simulator.registry)
    _watching_routes(door, simulator)
    _script_routes(door, simulator)

    @door.post("/reset", status_code=204)
    async def reset() -> None:
        simulator.reset()

    @door.get("/couriers/{name}")
    async def listen(name: Annotated[str, Path(min_length=1)]) -> StreamingResponse:
        """One JSON object per line and push, for the tokens registered under this courier's name."""
        lines = _courier_lines(simulator.registry, name, courier_lines)
        return StreamingResponse(lines, media_type="application/x-ndjson")

    return door


def _token_routes(door: FastAPI, registry: Registry) -> None:
    @door.post("/tokens", status_code=204)
    async def register(body: RegisterBody) -> None:
        registry.register(body.tokens, topic=body.topic, courier=body.courier)

    @door.post("/tokens/unregister", status_code=204)
    async def unregister(body: UnregisterBody) -> None:
        registry.unregister(body.tokens, at=body.at)

    @door.post("/tokens/offline", status_code=204)
    async def go_offline(body: TokensBody) -> None:
        registry.go_offline(body.tokens)

    @door.post("/tokens/online", status_code=204)
    async def go_online(body: TokensBody) -> None:
        registry.go_online(body.tokens)


def _watching_routes(door: FastAPI, simulator: "ApnsSimulator") -> None:
    @door.get("/pushes")
    async def pushes(token: str | None = None, limit: int = 1000) -> list[dict[str, Any]]:
        """List the newest pushes, the last one last, with what they were answered."""
        seen = [s for s in simulator.pushes if token is None or s.push.token == token]
        return [asdict(s.push) | {"status": s.status, "reason": s.reason} for s in seen[-limit:]]

    @door.get("/counts")
    async def counts() -> dict[str, Any]:
        return {
            "answers": dict(simulator.answers),
            "deliveries": dict(simulator.registry.counts),
            "connections": len(simulator.connections),
        }


def _script_routes(door: FastAPI, simulator: "ApnsSimulator") -> None:
    @door.post("/script", status_code=204)
    async def add_rule(body: RuleBody) -> None:
        simulator.script.rules.append(Rule(body.mischief(), body.prefix, body.times))

    @door.delete("/script", status_code=204)
    async def clear_script() -> None:
        simulator.script.rules.clear()

    @door.post("/connections/limit", status_code=204)
    async def limit_streams(body: LimitBody) -> None:
        simulator.limit_streams(body.max_concurrent_streams)

    @door.post("/connections/goaway", status_code=204)
    async def go_away() -> None:
        simulator.go_away()


async def _courier_lines(registry: Registry, name: str, lines: set[CourierLine]) -> AsyncIterator[str]:
    line: CourierLine = asyncio.Queue()
    lines.add(line)
    registry.attach(name, line.put_nowait)
    try:
        yield "\n"  # the headers leave with it: the courier knows that it is heard
        while (push := await _next(line)) is not None:
            yield json.dumps(asdict(push)) + "\n" if isinstance(push, Push) else "\n"
    finally:
        registry.detach(name, line.put_nowait)
        lines.discard(line)


async def _next(line: CourierLine) -> Push | Literal["heartbeat"] | None:
    try:
        async with asyncio.timeout(HEARTBEAT_SECONDS):
            return await line.get()
    except TimeoutError:
        return "heartbeat"
