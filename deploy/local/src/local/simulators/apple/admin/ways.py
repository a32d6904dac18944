"""Admin routes of the simulator itself: knobs, faults, the clock, its state dumped and loaded, its requests."""

import asyncio
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from joserfc.jwk import ECKey
from pydantic import ValidationError

from local.simulators.admin import since
from local.simulators.apple.admin.bodies import DeveloperKey, Turn
from local.simulators.apple.bodies import ok
from local.simulators.apple.dump import describe
from local.simulators.apple.faults import Fault
from local.simulators.apple.notify import Notifier
from local.simulators.apple.settings import Knobs
from local.simulators.apple.snapshot import dump, read
from local.simulators.apple.worker import Worker
from local.simulators.apple.world import World


class Ways:
    """How the simulator behaves, and what it knows."""

    def __init__(self, world: World, worker: Worker, notifier: Notifier) -> None:
        self._world = world
        self._worker = worker
        self._notifier = notifier

    def router(self) -> APIRouter:
        """Make the routes; their table stands here."""
        router = APIRouter()
        for method, path, endpoint in (
            ("GET", "/knobs", self.knobs),
            ("PATCH", "/knobs", self.turn_knobs),
            ("POST", "/faults", self.script_faults),
            ("DELETE", "/faults", self.clear_faults),
            ("DELETE", "/events", self.forget_events),
            ("POST", "/developer-keys", self.know_developer),
            ("GET", "/clock", self.clock),
            ("POST", "/clock", self.turn_clock),
            ("GET", "/state", self.state),
            ("GET", "/requests", self.requests),
            ("GET", "/dump", self.dump),
            ("PUT", "/dump", self.load),
            ("POST", "/reset", self.reset),
        ):
            router.add_api_route(path, endpoint, methods=[method])
        return router

    async def knobs(self) -> Knobs:
        """Answer all knobs as they stand."""
        return self._world.knobs

    async def turn_knobs(self, changes: dict[str, Any]) -> Knobs:
        """Turn the knobs named; `limits` too may be named in part. Answers them all."""
        try:
            self._world.knobs = self._world.knobs.turned(changes)
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from None
        self._worker.heed_knobs()
        return self._world.knobs

    async def script_faults(self, faults: list[Fault]) -> None:
        """Append faults to the script."""
        self._world.faults.add(faults, now=asyncio.get_running_loop().time())

    async def clear_faults(self) -> None:
        """From now on every answer is honest."""
        self._world.faults.clear()

    async def forget_events(self) -> None:
        """Forget all events that have ended: their ids are unknown from now on (9708)."""
        self._world.events = {name: event for name, event in self._world.events.items() if event.open}

    async def know_developer(self, body: DeveloperKey) -> None:
        """Let the metadata service trust a developer's key; 422 for what is none."""
        try:
            ECKey.import_key(body.public_key_pem)
        except ValueError:
            raise HTTPException(422, "public_key_pem is no EC key in PEM") from None
        self._world.developer_keys[f"{body.team_id} {body.key_id}"] = body.public_key_pem

    async def clock(self) -> dict[str, Any]:
        """Answer the time it is here, and whether it stands."""
        clock = self._world.clock
        return {"now": clock.now().isoformat(), "frozen": clock.frozen_at is not None}

    async def turn_clock(self, body: Turn) -> dict[str, Any]:
        """Turn the clock forward, let it stand or run on, and answer the time it is then; 422 where time ends."""
        clock = self._world.clock
        try:
            clock.advance(timedelta(days=body.days, seconds=body.seconds))
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        if body.frozen is not None:
            (clock.freeze if body.frozen else clock.thaw)()
        return await self.clock()

    async def state(self, *, holders: bool = True) -> Response:
        """Show all there is to assert on; `holders=false` leaves out who holds licenses, maybe a million."""
        return ok(describe(self._world, holders=holders))

    async def requests(self, *, after: int = 0) -> dict[str, Any]:
        """Show the requests answered since the `after`-th; `last` is what to ask with the next time."""
        return since(self._world.log, last=self._world.requests.total(), after=after)

    async def dump(self) -> Response:
        """Answer the whole state, tokens and all, to be put back later, here or in another simulator."""
        return ok(dump(self._world))

    async def load(self, document: dict[str, Any]) -> None:
        """Take over a whole state in the place of this one; events and notifications go on where they were."""
        try:
            other = read(document, now=asyncio.get_running_loop().time())
        except ValueError as error:
            raise HTTPException(422, f"this is no state: {error}") from None
        await self._forget_work()
        self._world.become(other)
        self._worker.heed_knobs()
        self._worker.resume()
        self._notifier.resume()

    async def reset(self) -> None:
        """Forget libraries, tokens, events and faults, and put back the knobs and the clock of the start."""
        await self._forget_work()
        self._world.reset()
        self._worker.heed_knobs()

    async def _forget_work(self) -> None:
        await self._worker.stop()
        await self._notifier.forget()
