"""The App and Book Management API as clients see it: paths, Bearer tokens, envelopes, scripted faults."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.simulators.apple.asset_writes import read_asset_write
from local.simulators.apple.client_config import config_answer, read_config_change
from local.simulators.apple.errors import AppleError
from local.simulators.apple.events import Event, EventType
from local.simulators.apple.library import Library
from local.simulators.apple.notify import Notifier
from local.simulators.apple.reads import list_assets, list_assignments, service_config
from local.simulators.apple.worker import Worker
from local.simulators.apple.world import LoggedRequest, Token, World, token_fields

BASE = "/mdm/v2"
OPEN_PATH = "service/config"  # answered without a token, and to any
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

Body = Mapping[str, Any]
Handler = Callable[[Library, Request], Awaitable[Body]]


class Wire:
    """Answers requests from the world, hands events to the worker and calls subscribers to test them."""

    def __init__(self, world: World, worker: Worker, notifier: Notifier) -> None:
        self._world = world
        self._worker = worker
        self._notifier = notifier
        self._handlers: dict[str, dict[str, Handler]] = {
            "client/config": {"GET": self._get_client_config, "POST": self._post_client_config},
            "assets": {"GET": self._get_assets},
            "assets/associate": {"POST": self._associate},
            "assets/disassociate": {"POST": self._disassociate},
            "assignments": {"GET": self._get_assignments},
            "status": {"GET": self._get_status},
        }

    def app(self) -> Starlette:
        """Make the ASGI app. One route takes all, so that a wrong method too is refused in Apple's words."""
        return Starlette(routes=[Route(BASE + "/{path:path}", self._serve, methods=METHODS)])

    async def _serve(self, request: Request) -> Response:
        path, token = request.path_params["path"], None
        try:
            if path != OPEN_PATH:
                token = self._world.token_for(request.headers.get("authorization"))
                self._world.admit(token.library, now=asyncio.get_running_loop().time())
            response = await self._answer(path, token, request)
        except AppleError as error:
            response = _refusal(error)
        self._record(path, token, request, response)
        return response

    async def _answer(self, path: str, token: Token | None, request: Request) -> Response:
        """Answer honestly, unless a fault is scripted for this request."""
        fault = self._world.faults.take(path, token.library.uid if token else None)
        if fault is None:
            return await self._honest(path, token, request)
        honest = await self._honest(path, token, request) if fault.does_the_work() else Response()
        await _linger(request, fault.seconds)
        return fault.respond(honest)

    async def _honest(self, path: str, token: Token | None, request: Request) -> Response:
        if token is None:
            return self._describe_service(request)
        handlers = self._handlers.get(path)
        if handlers is None:
            return Response(status_code=404)
        handler = handlers.get(request.method)
        if handler is None:
            return _refusal(AppleError(9726), allow=handlers)
        try:
            body = await handler(token.library, request)
        except AppleError as error:
            return _refusal(error)
        return _ok({**body, **token_fields(token)})

    def _describe_service(self, request: Request) -> Response:
        if request.method != "GET":
            return _refusal(AppleError(9726), allow=["GET"])
        return _ok(service_config(str(request.base_url).rstrip("/") + BASE, self._world.knobs.limits))

    async def _get_client_config(self, library: Library, _: Request) -> Body:
        return config_answer(library)

    async def _post_client_config(self, library: Library, request: Request) -> Body:
        """Nothing is stored unless the subscriber to be answers a test notification now."""
        body = await _json(request)
        change = read_config_change(body, library=library, limits=self._world.knobs.limits)
        if change.must_answer and not await self._notifier.test(library.uid, change.subscription):
            raise AppleError(9728)
        change.store(library)
        return config_answer(library)

    async def _get_assets(self, library: Library, request: Request) -> Body:
        return list_assets(library, request.query_params, page_size=self._world.knobs.page_size)

    async def _get_assignments(self, library: Library, request: Request) -> Body:
        return list_assignments(library, request.query_params, page_size=self._world.knobs.page_size)

    async def _associate(self, library: Library, request: Request) -> Body:
        return await self._accept(EventType.ASSOCIATE, library, request)

    async def _disassociate(self, library: Library, request: Request) -> Body:
        return await self._accept(EventType.DISASSOCIATE, library, request)

    async def _accept(self, kind: EventType, library: Library, request: Request) -> Body:
        """Queue an event: the answer says that it is queued, nothing more."""
        body = await _json(request)
        write = read_asset_write(body, kind=kind, library=library, limits=self._world.knobs.limits)
        event = Event(self._world.new_id(), library.uid, kind, write.assets, write.targets)
        self._worker.accept(library, event)
        return {"eventId": event.event_id}

    async def _get_status(self, library: Library, request: Request) -> Body:
        event = self._world.events.get(request.query_params.get("eventId", ""))
        if event is None or event.uid != library.uid:
            raise AppleError(9708)
        return event.wire()

    def _record(self, path: str, token: Token | None, request: Request, response: Response) -> None:
        uid = token.library.uid if token else None
        at = datetime.now(UTC).isoformat()
        self._world.record(LoggedRequest(at, request.method, path, uid, response.status_code))


async def _linger(request: Request, seconds: float) -> None:
    """Wait, but no longer than the client does."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass


async def _json(request: Request) -> Body:
    """Read the object in a POST. Raises `AppleError` 9727 for another content type, 9602 for no object."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise AppleError(9727)
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise AppleError(9602, detail="the body is no JSON") from None
    if not isinstance(body, dict):
        raise AppleError(9602, detail="the body is no object")
    return body


def _ok(body: Body) -> Response:
    return _response(200, body)


def _refusal(error: AppleError, *, allow: Iterable[str] = ()) -> Response:
    """Refuse in Apple's envelope; `allow` names the methods that a path does take."""
    response = _response(error.status, error.body)
    if allow:
        response.headers["Allow"] = ", ".join(allow)
    return response


def _response(status: int, body: Body) -> Response:
    """JSON in ASCII: a serial number may hold anything, lone surrogates included."""
    content = json.dumps(body, separators=(",", ":")).encode()
    return Response(content, status, media_type="application/json")
