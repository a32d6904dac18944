"""One HTTP exchange with Apple: what goes out, and what an answer means, whatever its status says.

Source: "Handling error responses"; Apple answers errors with HTTP 200 too, so the body is read first.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self, assert_never

import httpx2
import structlog

from licensing.model import AppleFailure, AppleRefused, OutcomeUnknown, TokenRefused
from licensing.model.errors import RULES, Consequence, consequence_of
from shared.errors import Unavailable
from shared.trust import tls_context

_log = structlog.get_logger(__name__)

_CONNECT_SECONDS = 10.0
LARGEST_ANSWER = 32 * 1024 * 1024
LONGEST_RETRY_AFTER_SECONDS = 3600.0

_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
_NOT_TAKEN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class SlowDown(Unavailable):
    """Apple wants fewer requests of this library."""


class Moved(Unavailable):
    """Apple's service has other addresses now, or will have."""


def http_client(trust_ca_file: Path | None) -> httpx2.AsyncClient:
    """Return a client for Apple's service. It follows no redirect: the token goes to no other place.

    Connections are given up after two idle seconds: a write must not be lost on one that Apple just closed.
    """
    return httpx2.AsyncClient(
        verify=tls_context(trust_ca_file),
        follow_redirects=False,
        trust_env=False,
        timeout=httpx2.Timeout(None, connect=_CONNECT_SECONDS, pool=_CONNECT_SECONDS),
        limits=httpx2.Limits(keepalive_expiry=2.0),
        headers={"user-agent": "managed-distribution", "accept": "application/json"},
    )


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `body` None is a GET. `writes` says that an unreadable answer leaves the outcome unknown."""

    url: str
    query: Mapping[str, str]
    body: Mapping[str, Any] | None = None
    writes: bool = False


@dataclass(slots=True)
class _Connections:
    """The connections of one client, and how many exchanges are under way on them."""

    http: httpx2.AsyncClient
    exchanges: int = 0


class Wire:
    """Exchanges requests for answers, each within a deadline. At its end its connections are closed."""

    def __init__(self, connect: Callable[[], httpx2.AsyncClient], *, deadline_seconds: float) -> None:
        self._connect = connect
        self._connections = _Connections(connect())
        self._deadline_seconds = deadline_seconds

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connections.http.aclose()

    async def exchange(self, call: Call, *, authorization: str | None) -> dict[str, Any]:
        """Send a request and return the JSON object that answers it.

        Raises AppleRefused, TokenRefused; Unavailable (SlowDown, Moved) where the same request may be sent
        again: nothing was queued; OutcomeUnknown where a write may have been queued.
        """
        headers = {} if authorization is None else {"authorization": authorization}
        async with self._connected() as http:
            try:
                async with asyncio.timeout(self._deadline_seconds):
                    response, content = await _send(http, call, headers)
            except _NOT_SENT as error:
                raise Unavailable("apple_unreachable") from error
            except (httpx2.HTTPError, TimeoutError) as error:
                raise _unreadable(call, "apple_unreachable", None) from error
            return _meaning(call, response, content)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[httpx2.AsyncClient]:
        """Lend connections. Where the service has moved, whoever comes next connects anew, with fresh DNS.

        Exchanges under way keep theirs to their end: a write cut off would have no outcome.
        """
        mine = self._connections
        mine.exchanges += 1
        try:
            yield mine.http
        except Moved:
            if self._connections is mine:
                self._connections = _Connections(self._connect())
            raise
        finally:
            mine.exchanges -= 1
            if self._connections is not mine and not mine.exchanges:
                await mine.http.aclose()


async def _send(
    http: httpx2.AsyncClient, call: Call, headers: Mapping[str, str]
) -> tuple[httpx2.Response, bytes]:
    method = "GET" if call.body is None else "POST"
    async with http.stream(method, call.url, params=call.query, json=call.body, headers=headers) as response:
        return response, await _bounded(response)


def retry_after(response: httpx2.Response, now: datetime) -> float | None:
    """Return how long Apple wants us to wait, in seconds; both forms of RFC 9110, section 10.2.3."""
    said = response.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        seconds = float(said)
    else:
        try:
            until = parsedate_to_datetime(said)
        except (ValueError, OverflowError):
            return None
        seconds = (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def failure_of(body: Mapping[str, Any]) -> AppleFailure | None:
    """Read an `ErrorResponse`, of a request or of an event's element; None where the body is none."""
    number = body.get("errorNumber")
    if not isinstance(number, int) or isinstance(number, bool) or number == 0:
        return None
    if number not in RULES:
        _log.error("apple: an error number that we do not know", number=number)
    told = body.get("errorInfo")
    told = told if isinstance(told, dict) else {}
    return AppleFailure(number, _names(told, "serialNumbers"), _names(told, "clientUserIds"))


def _names(told: Mapping[str, Any], field: str) -> frozenset[str]:
    names = told.get(field)
    return (
        frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()
    )


async def _bounded(response: httpx2.Response) -> bytes:
    content = bytearray()
    async for part in response.aiter_bytes():
        content += part
        if len(content) > LARGEST_ANSWER:
            raise httpx2.RemoteProtocolError("the answer is larger than any of Apple's")
    return bytes(content)


def _meaning(call: Call, response: httpx2.Response, content: bytes) -> dict[str, Any]:
    """Tell an answer from an error: the body says it before the status does."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    wait = retry_after(response, datetime.now(UTC))
    failure = failure_of(body) if isinstance(body, dict) else None
    if failure is not None:
        raise _refusal(failure, response.status_code, wait)
    if isinstance(body, dict) and response.is_success:
        return body
    status = response.status_code
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise SlowDown("apple_http_429", retry_after_seconds=wait)
    if response.is_redirect:  # never followed: the token goes to no other place
        raise Moved("apple_redirected", retry_after_seconds=wait)
    if status in _NOT_TAKEN or response.is_client_error:
        raise Unavailable(f"apple_http_{status}", retry_after_seconds=wait)
    raise _unreadable(call, "apple_garbled" if response.is_success else f"apple_http_{status}", wait)


def _refusal(failure: AppleFailure, status: int, wait: float | None) -> Exception:
    """Return the error for an error number: nothing was queued."""
    match consequence_of(failure.number, status):
        case Consequence.REFUSED:
            return AppleRefused(failure, retry_after_seconds=wait)
        case Consequence.SUSPEND:
            return TokenRefused(failure, retry_after_seconds=wait)
        case Consequence.AGAIN:
            return Unavailable(f"apple_{failure.number}", retry_after_seconds=wait)
        case Consequence.SLOW_DOWN:
            return SlowDown(f"apple_{failure.number}", retry_after_seconds=wait)
        case Consequence.MOVED:
            return Moved(f"apple_{failure.number}", retry_after_seconds=wait)
        case never:
            assert_never(never)


def _unreadable(call: Call, reason: str, wait: float | None) -> Exception:
    if call.writes:
        return OutcomeUnknown(reason, retry_after_seconds=wait)
    return Unavailable(reason, retry_after_seconds=wait)
