"""The App and Book Management API as clients see it: paths, Bearer tokens, envelopes, scripted faults."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from local.simulators.apple.asset_writes import read_asset_write
from local.simulators.apple.assets import HolderKind
from local.simulators.apple.bodies import Body, ok, read_json, refusal
from local.simulators.apple.client_config import config_answer, read_config_change
from local.simulators.apple.errors import AppleError
from local.simulators.apple.events import Event, EventType
from local.simulators.apple.faults import Answer, Fault
from local.simulators.apple.library import Library
from local.simulators.apple.notify import Notifier
from local.simulators.apple.reads import list_assets, list_assignments, list_users
from local.simulators.apple.service_config import service_config
from local.simulators.apple.tokens import Rights, Token, token_fields
from local.simulators.apple.user_writes import read_user_write
from local.simulators.apple.worker import Worker
from local.simulators.apple.world import LoggedRequest, World

OPEN_PATH = "service/config"  # answered without a token, and to any
LISTS = frozenset({"assets", "assignments", "users"})  # told page by page


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with a good token, and what is scripted to go wrong with it."""

    library: Library
    request: Request
    fault: Fault | None = None


Handler = Callable[[Asked], Awaitable[Body]]


class Wire:
    """Answers requests from the world, hands events to the worker and calls subscribers to test them."""

    def __init__(self, world: World, worker: Worker, notifier: Notifier) -> None:
        self._world = world
        self._worker = worker
        self._notifier = notifier
        self._handlers: dict[str, dict[str, Handler]] = {
            "client/config": {"GET": self._get_client_config, "POST": self._post_client_config},
            "assets": {"GET": self._get_assets},
            "assets/associate": {"POST": self._asset_write(EventType.ASSOCIATE)},
            "assets/disassociate": {"POST": self._asset_write(EventType.DISASSOCIATE)},
            "assets/revoke": {"POST": self._asset_write(EventType.REVOKE)},
            "assignments": {"GET": self._get_assignments},
            "status": {"GET": self._get_status},
            "users": {"GET": self._get_users},
            "users/create": {"POST": self._user_write(EventType.CREATE)},
            "users/retire": {"POST": self._user_write(EventType.RETIRE)},
            "users/update": {"POST": self._user_write(EventType.UPDATE)},
        }

    async def serve(self, request: Request) -> Response:
        """Answer one request. Slashes around a path are no part of it: clients join it in their own ways."""
        path, token = request.path_params["path"].strip("/"), None
        try:
            if path != OPEN_PATH:
                token = self._world.token_for(request.headers.get("authorization"))
                self._world.admit(token, now=asyncio.get_running_loop().time())
                _check_rights(token, request.method)
            if token is not None and path in LISTS and "pageIndex" in request.query_params:
                response = await self._answer_page(path, token, request)
            else:
                response = await self._answer(path, token, request)
        except AppleError as error:
            response = refusal(error)
            if error.number == 9646 and self._world.knobs.retry_after_on_429:
                response.headers["Retry-After"] = "1"
        self._record(path, token, request, response)
        return response

    async def _answer_page(self, path: str, token: Token, request: Request) -> Response:
        """Answer one page of a list. Raises `AppleError` 9646 where the token reads too many of them right now.

        However short it lingers, requests that have come meanwhile are counted.
        """
        with self._world.reading(token):
            await linger(request, self._world.knobs.page_seconds)
            return await self._answer(path, token, request)

    async def _answer(self, path: str, token: Token | None, request: Request) -> Response:
        """Answer honestly, unless a fault is scripted for this request."""
        uid = token.library.uid if token else None
        fault = self._world.faults.take(path, uid, opened_at=request.scope["state"]["opened_at"])
        if fault is None:
            return await self._honest(path, token, request, None)
        honest = await self._honest(path, token, request, fault) if fault.does_the_work() else Response()
        if fault.answer is not Answer.SLOW_BODY:
            await linger(request, fault.seconds)
        return fault.respond(honest)

    async def _honest(
        self, path: str, token: Token | None, request: Request, fault: Fault | None
    ) -> Response:
        if token is None:
            return self._describe_service(request)
        handlers = self._handlers.get(path)
        if handlers is None:
            return Response(status_code=404)
        handler = handlers.get(request.method)
        if handler is None:
            return refusal(AppleError(9726), allow=handlers)
        try:
            body = await handler(Asked(token.library, request, fault))
        except AppleError as error:
            return refusal(error)
        return ok({**body, **token_fields(token, tells_expiry=self._world.tells_expiry(token))})

    def _describe_service(self, request: Request) -> Response:
        if request.method != "GET":
            return refusal(AppleError(9726), allow=["GET"])
        return ok(service_config(str(request.base_url).rstrip("/"), self._world.knobs.limits))

    async def _get_client_config(self, asked: Asked) -> Body:
        return config_answer(asked.library)

    async def _post_client_config(self, asked: Asked) -> Body:
        """Nothing is stored unless the subscriber to be answers a test notification now."""
        library = asked.library
        change = read_config_change(await self._json(asked), library=library, limits=self._world.knobs.limits)
        if change.must_answer and not await self._notifier.test(library.uid, change.subscription):
            raise AppleError(9728)
        change.store(library)
        return config_answer(library)

    async def _get_assets(self, asked: Asked) -> Body:
        return list_assets(asked.library, asked.request.query_params, knobs=self._world.knobs)

    async def _get_assignments(self, asked: Asked) -> Body:
        return list_assignments(asked.library, asked.request.query_params, knobs=self._world.knobs)

    async def _get_users(self, asked: Asked) -> Body:
        return list_users(asked.library, asked.request.query_params, knobs=self._world.knobs)

    async def _get_status(self, asked: Asked) -> Body:
        event = self._worker.status(asked.library, asked.request.query_params.get("eventId", ""))
        return event.wire(shortage_names=self._world.knobs.shortage_names)

    def _asset_write(self, kind: EventType) -> Handler:
        async def handle(asked: Asked) -> Body:
            body = await self._json(asked)
            write = read_asset_write(body, kind=kind, library=asked.library, knobs=self._world.knobs)
            event = Event(self._world.new_id(), asked.library.uid, kind, write.assets, write.targets)
            return self._accept(asked, event)

        return handle

    def _user_write(self, kind: EventType) -> Handler:
        async def handle(asked: Asked) -> Body:
            wishes = read_user_write(await self._json(asked), knobs=self._world.knobs)
            targets = {HolderKind.USER: list(wishes)}
            event = Event(self._world.new_id(), asked.library.uid, kind, [], targets, wishes)
            return self._accept(asked, event)

        return handle

    def _accept(self, asked: Asked, event: Event) -> Body:
        """Queue an event: the answer says that it is queued, nothing more."""
        if asked.fault is not None:
            asked.fault.curse(event)
        self._worker.accept(asked.library, event)
        return {"eventId": event.event_id}

    async def _json(self, asked: Asked) -> Body:
        return await read_json(asked.request, type_required=self._world.knobs.content_type_required)

    def _record(self, path: str, token: Token | None, request: Request, response: Response) -> None:
        uid = token.library.uid if token else None
        at = self._world.clock.now().isoformat()
        self._world.record(LoggedRequest(at, request.method, path, uid, response.status_code))


async def linger(request: Request, seconds: float) -> None:
    """Wait, but no longer than the client does."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass


def _check_rights(token: Token, method: str) -> None:
    """Raise `AppleError` 9637 where a token that may only read wants to write, 9647 where it is a legacy one."""
    if token.rights is Rights.LEGACY:
        raise AppleError(9647)
    if token.rights is Rights.READ and method != "GET":
        raise AppleError(9637)
