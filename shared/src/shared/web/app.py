"""Builds the HTTP door of a service: the same manners everywhere, and no route without a declared scope."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from starlette.requests import Request

from shared.auth import Verifier, asks_for_scope
from shared.web.body_limit import BodyLimitMiddleware
from shared.web.health import Health
from shared.web.problems import RESPONSES, SCHEMA, handle_problems
from shared.web.thread import ThreadMiddleware

HEALTH_DOORS = frozenset({"/livez", "/readyz"})


def build_app(
    *,
    title: str,
    description: str,
    verifier: Verifier,
    health: Health,
    routers: Sequence[APIRouter],
    open_doors: Collection[str] = (),
) -> FastAPI:
    """Return the app of a service's API port.

    `open_doors` are the paths that outside parties open with a proof of their own. Raises ValueError if any other
    route declares no scope. The OpenAPI document is not served: it is generated from `app.openapi()`.
    """
    app = _App(
        title=title,
        description=description,
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses=RESPONSES,
        routes=[*health.routes()],
    )
    app.state.verifier = verifier
    app.state.health = health
    app.add_middleware(BodyLimitMiddleware)
    app.add_middleware(ThreadMiddleware)  # the last one added is the outermost
    handle_problems(app)
    for router in routers:
        app.include_router(router)
    if forgotten := open_routes(app) - HEALTH_DOORS - set(open_doors):
        raise ValueError(f"routes without a scope: {', '.join(sorted(forgotten))}")
    return app


class _App(FastAPI):
    """FastAPI whose OpenAPI document knows the problem documents."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document.setdefault("components", {}).setdefault("schemas", {}).setdefault("Problem", SCHEMA)
        return document


def keeps_serving(request: Request) -> bool:
    """Say whether an answer that has no end of its own may go on: not once the process is stopping."""
    health: Health = request.app.state.health
    return not health.stopping()


def open_routes(app: FastAPI) -> frozenset[str]:
    """Return the paths that answer without a bearer token."""
    return frozenset(_open_paths(app))


def _open_paths(app: FastAPI) -> Iterator[str]:
    for route in iter_route_contexts(app.routes):
        dependant: Dependant | None = getattr(route, "dependant", None)
        if dependant is None or not asks_for_scope(dependant):
            yield str(route.path)
