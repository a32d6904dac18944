"""Whether the process lives, is ready, and what it counts: /livez, /readyz and /metrics.

Liveness never asks whether the broker or the database is there: a restart would not bring them back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.metrics import READY

_PATIENCE_SECONDS = 2.0  # less than a probe waits


@dataclass(frozen=True, slots=True)
class Health:
    """The two questions of a probe; each is answered with the reasons why not, as slugs that strangers may read.

    `stuck` names the parts that only a restart helps, `unready` says why no work should be sent here; `stopping` says
    that the process is on its way out, and answers without an end of their own come to one.
    """

    stuck: Callable[[], Sequence[str]]
    unready: Callable[[], Awaitable[Sequence[str]]]
    stopping: Callable[[], bool] = lambda: False

    def routes(self) -> list[Route]:
        """Return /livez and /readyz."""
        return [Route("/livez", self._livez), Route("/readyz", self._readyz)]

    async def _livez(self, _request: Request) -> Response:
        return _answer(self.stuck())

    async def _readyz(self, _request: Request) -> Response:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                reasons = await self.unready()
        except TimeoutError:
            reasons = ["checks_timed_out"]
        READY.set(not reasons)
        return _answer(reasons)


def operations_app(health: Health) -> Starlette:
    """Return the app of the metrics port: /metrics, /livez and /readyz, open to whoever reaches that port."""
    return Starlette(routes=[Route("/metrics", _metrics), *health.routes()])


def _answer(reasons: Sequence[str]) -> Response:
    return JSONResponse({"ok": not reasons, "reasons": list(reasons)}, status_code=503 if reasons else 200)


async def _metrics(_request: Request) -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
