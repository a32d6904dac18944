"""What every admin door has: strict bodies, refusals in words, and a page with a form for each thing to ask."""

import json
from collections.abc import Sequence
from importlib import resources
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, ConfigDict, model_validator

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)  # a typo is an error, and JSON has no Infinity
LONGEST_DAYS = 36_500  # in one step of a clock, or of a token's life
LONGEST_SECONDS = LONGEST_DAYS * 86_400.0


class Body(BaseModel):
    """What is said at an admin door."""

    model_config = STRICT

    @model_validator(mode="before")
    @classmethod
    def check_characters(cls, said: Any) -> Any:
        """Refuse half a character (an unpaired surrogate), which JSON can escape and nothing else can hold."""
        json.dumps(said, ensure_ascii=False, default=str).encode()
        return said


class Ascii(JSONResponse):
    """JSON in ASCII: at Apple's door a serial number may hold anything, half a character included."""

    def render(self, content: Any) -> bytes:
        """Escape all else."""
        return json.dumps(content, separators=(",", ":")).encode()


def new_door(title: str) -> FastAPI:
    """Make the app of an admin door, with its page at `/` and nothing to ask yet.

    The page needs nothing from outside. It draws its forms from the app's own OpenAPI document, and goes on
    showing what is in the simulator and the last requests, where the app has a route for it: `/state` or its like,
    and `/requests`.
    """
    app = FastAPI(title=title, default_response_class=Ascii)
    app.add_exception_handler(RequestValidationError, _refuse)
    html = (resources.files("local.simulators") / "page.html").read_text("utf-8")

    async def page() -> HTMLResponse:
        return HTMLResponse(html)

    app.add_api_route("/", page, include_in_schema=False)
    return app


def since(log: Sequence[NamedTuple], *, last: int, after: int) -> dict[str, Any]:
    """Answer `GET /requests`: of `last` requests so far those after the `after`-th, as far as the log still has them.

    `last` is what to ask with the next time.
    """
    new = max(0, min(last - after, len(log)))
    return {"last": last, "requests": [log[place]._asdict() for place in range(-new, 0)]}


async def _refuse(_: Request, error: Exception) -> Response:
    """Say where and why, and never repeat the input: it may be NaN, which no JSON can hold."""
    said = error.errors() if isinstance(error, RequestValidationError) else []
    detail = [{name: each[name] for name in ("loc", "msg", "type")} for each in said]
    return Ascii({"detail": detail}, 422)
