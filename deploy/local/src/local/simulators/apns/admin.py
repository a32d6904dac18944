"""The push service's admin door: register tokens, listen as a courier, see the pushes, write the script."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path
from fastapi.responses import StreamingResponse
from pydantic import PositiveInt

from local.simulators.admin import new_door, since
from local.simulators.apns.admin_bodies import (
    GoAwayBody,
    LimitBody,
    ProviderKeyBody,
    RegisterBody,
    RuleBody,
    TokensBody,
    TurnAwayBody,
    UnregisterBody,
)
from local.simulators.apns.registry import Push, Registry
from local.simulators.apns.script import GoAway, Rule

if TYPE_CHECKING:
    from local.simulators.apns.simulator import ApnsSimulator

CourierLine = asyncio.Queue[Push | None]  # `None` ends it
HEARTBEAT_SECONDS = 15.0  # an empty line, so that both ends notice a dead courier line


def admin_door(simulator: "ApnsSimulator", courier_lines: set[CourierLine]) -> FastAPI:
    """Build the app; `courier_lines` holds the open ones, each ends when it is given `None`."""
    door = new_door("Simulated APNs: the admin door")
    _token_routes(door, simulator.registry)
    _watching_routes(door, simulator)
    _script_routes(door, simulator)
    _connection_routes(door, simulator)

    @door.post("/provider-keys", status_code=204)
    async def trust_provider_key(body: ProviderKeyBody) -> None:
        try:
            simulator.provider_tokens.trust(
                body.key_id, team_id=body.team_id, public_key_pem=body.public_key_pem
            )
        except ValueError as error:
            raise HTTPException(422, "public_key_pem is no EC key in PEM") from error

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
    async def pushes(token: str | None = None, limit: PositiveInt = 1000) -> list[dict[str, Any]]:
        """List the newest pushes, the last one last, with what they were answered."""
        seen = [s for s in simulator.pushes if token is None or s.push.token == token]
        return [asdict(s.push) | {"status": s.status, "reason": s.reason} for s in seen[-limit:]]

    @door.get("/requests")
    async def requests(after: int = 0) -> dict[str, Any]:
        """Show the requests answered since the `after`-th; `last` is what to ask with the next time.

        Those that are no push are among them. Of a token they have the beginning, and no magic.
        """
        return since(simulator.requests, last=simulator.answers.total(), after=after)

    @door.get("/stored")
    async def stored() -> list[dict[str, Any]]:
        """List what is kept for devices that are away."""
        return [asdict(push) for push in simulator.registry.stored()]

    @door.get("/counts")
    async def counts() -> dict[str, Any]:
        return {
            "answers": dict(simulator.answers),
            "deliveries": dict(simulator.registry.counts),
            "connections": len(simulator.connections),
            "connections_accepted": simulator.connections_accepted,
        }


def _script_routes(door: FastAPI, simulator: "ApnsSimulator") -> None:
    @door.get("/script")
    async def rules() -> list[dict[str, Any]]:
        """List the rules in force, with the times they have left."""
        return [
            {
                "kind": type(rule.mischief).__name__,
                **asdict(rule.mischief),
                "prefix": rule.prefix,
                "times": rule.times,
            }
            for rule in simulator.script.rules
        ]

    @door.post("/script", status_code=204)
    async def add_rule(body: RuleBody) -> None:
        mischief = body.mischief()
        if not simulator.can(mischief):
            raise HTTPException(409, "only the scripted door can do this")
        simulator.script.rules.append(Rule(mischief, body.prefix, body.times))

    @door.delete("/script", status_code=204)
    async def clear_script() -> None:
        simulator.script.rules.clear()


def _connection_routes(door: FastAPI, simulator: "ApnsSimulator") -> None:
    def scripted_only() -> None:
        if simulator.settings.door != "scripted":
            raise HTTPException(409, "only the scripted door can do this")

    connections = APIRouter(prefix="/connections", dependencies=[Depends(scripted_only)])

    @connections.post("/limit", status_code=204)
    async def limit_streams(body: LimitBody) -> None:
        simulator.limit_streams(body.max_concurrent_streams)

    @connections.post("/goaway", status_code=204)
    async def go_away(body: GoAwayBody | None = None) -> None:
        body = body or GoAwayBody()
        simulator.go_away(GoAway(body.reason, body.error_code), last_stream=body.last_stream_id)

    @connections.post("/turn-away", status_code=204)
    async def turn_away(body: TurnAwayBody) -> None:
        simulator.turn_away(body.times)

    door.include_router(connections)


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
