"""Every "no" over HTTP is a problem document (RFC 9457) with a stable `type` slug, and never a stack trace."""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

import asyncpg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from shared.database import unavailable
from shared.errors import Forbidden, Problem, Unauthorized, Unavailable

MEDIA_TYPE = "application/problem+json"

_RETRY_AFTER_SECONDS = 1.0
_SLUGS = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class ProblemBody(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    correlation_id: UUID
    fields: dict[str, str] = {}


SCHEMA = ProblemBody.model_json_schema()
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": said,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, said in {"4XX": "What the caller can mend", "5XX": "What the caller cannot mend"}.items()
}
"""For the OpenAPI document: any route may answer so."""


def handle_problems(app: FastAPI) -> None:
    """Let an app answer its expected errors with problem documents; what is unexpected stays for the thread."""
    app.exception_handler(Problem)(_on_problem)
    app.exception_handler(RequestValidationError)(_on_invalid_request)
    app.exception_handler(HTTPException)(_on_http_exception)
    app.exception_handler(asyncpg.CharacterNotInRepertoireError)(_on_unstorable)
    app.exception_handler(asyncpg.UntranslatableCharacterError)(_on_unstorable)


def problem_for(error: Exception, correlation_id: UUID) -> JSONResponse:
    """Answer an error that no handler expected: 503 if the same call may succeed later, else 500."""
    if not unavailable(error):
        detail = "something failed on our side; the correlation id leads to its cause in our logs"
        return _document(correlation_id, 500, "internal_error", detail)
    seconds = error.retry_after_seconds if isinstance(error, Unavailable) else None
    headers = {"retry-after": str(math.ceil(seconds or _RETRY_AFTER_SECONDS))}
    detail = "something this call needs does not answer now; try again later"
    return _document(correlation_id, 503, "unavailable", detail, headers=headers)


async def _on_problem(request: Request, problem: Problem) -> JSONResponse:
    return _document(
        request.state.correlation_id,
        problem.status,
        problem.slug,
        problem.detail,
        fields=problem.fields,
        headers=_challenge(problem),
    )


async def _on_invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
    fields = {_field(problem["loc"]): problem["msg"] for problem in error.errors()}
    detail = f"cannot be read: {', '.join(fields)}"
    return _document(request.state.correlation_id, 422, "invalid", detail, fields=fields)


async def _on_http_exception(request: Request, error: HTTPException) -> JSONResponse:
    if isinstance(error.__cause__, ValueError | RecursionError):  # a body that FastAPI's parser stumbles over
        fields = {"body": "this is no JSON that can be read"}
        return _document(request.state.correlation_id, 422, "invalid", "cannot be read: body", fields=fields)
    slug = _SLUGS.get(error.status_code, f"http_{error.status_code}")
    return _document(
        request.state.correlation_id, error.status_code, slug, str(error.detail), headers=error.headers
    )


async def _on_unstorable(request: Request, _error: Exception) -> JSONResponse:
    """Answer a text with a NUL in it, which JSON and URLs may carry and PostgreSQL does not hold."""
    detail = "a text holds a NUL character"
    return _document(request.state.correlation_id, 422, "invalid", detail)


def _challenge(problem: Problem) -> dict[str, str] | None:
    """Return the header that says what to prove (RFC 6750, section 3); it names no error if no token came."""
    if not isinstance(problem, Unauthorized | Forbidden):
        return None
    error = "" if problem.slug == "missing_token" else f', error="{problem.slug}"'
    return {"www-authenticate": f'Bearer realm="managed-distribution"{error}'}


def _field(location: tuple[int | str, ...]) -> str:
    """Return the name of a field as callers write it, `targets.3.id`; a body that is no JSON is `body`."""
    where, *rest = location
    return ".".join(str(part) for part in rest) if any(isinstance(part, str) for part in rest) else str(where)


def _document(
    correlation_id: UUID,
    status: int,
    slug: str,
    detail: str,
    *,
    fields: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    body = ProblemBody(
        type=slug,
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        correlation_id=correlation_id,
        fields=dict(fields or {}),
    )
    return JSONResponse(
        body.model_dump(mode="json"), status_code=status, headers=headers, media_type=MEDIA_TYPE
    )
