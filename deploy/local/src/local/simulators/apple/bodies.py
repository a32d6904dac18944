"""JSON in and out: what a POST holds, and the two forms of an answer."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from local.simulators.apple.errors import AppleError

Body = Mapping[str, Any]


async def read_json(request: Request, *, type_required: bool) -> Body:
    """Read the object in a POST. Raises `AppleError` 9727 for another content type, 9602 for no object.

    Apple documents that the content type is required, and has let requests pass that name none at all.
    """
    said = request.headers.get("content-type")
    if said is None and type_required:
        raise AppleError(9727)
    if said is not None and said.partition(";")[0].strip().lower() != "application/json":
        raise AppleError(9727)
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise AppleError(9602, detail="the body is no JSON") from None
    if not isinstance(body, dict):
        raise AppleError(9602, detail="the body is no object")
    return body


def ok(body: Body) -> Response:
    """Answer with a body."""
    return answer(200, body)


def refusal(error: AppleError, *, allow: Iterable[str] = ()) -> Response:
    """Refuse in Apple's envelope; `allow` names the methods that a path does take."""
    response = answer(error.status, error.body)
    if allow:
        response.headers["Allow"] = ", ".join(allow)
    return response


def answer(status: int, body: Body) -> Response:
    """JSON in ASCII: a serial number may hold anything, lone surrogates included."""
    content = json.dumps(body, separators=(",", ":")).encode()
    return Response(content, status, media_type="application/json")
