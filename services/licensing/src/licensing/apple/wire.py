"""One HTTP exchange with Apple: what goes out, and what an answer means, whatever its status says.

Source: "Handling error responses"; Apple answers errors with HTTP 200 too, so the body is read first.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx2

from licensing.model import AppleFailure, AppleRefused, OutcomeUnknown, TokenRefused
from shared.errors import Unavailable
from shared.trust import tls_context

_CONNECT_SECONDS = 10.0
LARGEST_ANSWER = 32 * 1024 * 1024
LONGEST_RETRY_AFTER_SECONDS = 3600.0

TOKEN_NUMBERS = frozenset({9601, 9621, 9622, 9625, 9637, 9647, 9722})
"""Login required, token expired, invalid, revoked; not allowed (facilitator, legacy token); malformed header."""
MOVED_NUMBERS = frozenset({9617, 9634, 9729})
"""The URL moved, the service is gone, it is temporarily unavailable: new addresses, a new connection."""
SLOW_DOWN_NUMBER = 9646
_AGAIN_NUMBERS = MOVED_NUMBERS | {9603, 9644, SLOW_DOWN_NUMBER}
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


class Wire:
    """Exchanges requests for answers, each within a deadline."""

    def __init__(self, http: httpx2.AsyncClient, *, deadline_seconds: float) -> None:
        self._http = http
        self._deadline_seconds = deadline_seconds

    async def exchange(self, call: Call, *, authorization: str | None) -> dict[str, Any]:
        """Send a request and return the JSON object that answers it.

        Raises AppleRefused, TokenRefused; Unavailable (SlowDown, Moved) where the same request may be sent
        again: nothing was queued; OutcomeUnknown where a write may have been queued.
        """
        headers = {} if authorization is None else {"authorization": authorization}
        try:
            async with asyncio.timeout(self._deadline_seconds):
                response, content = await self._send(call, headers)
        except _NOT_SENT as error:
            raise Unavailable("apple_unreachable") from error
        except (httpx2.HTTPError, TimeoutError) as error:
            raise _unreadable(call, "apple_unreachable", None) from error
        return _meaning(call, response, content)

    async def _send(self, call: Call, headers: Mapping[str, str]) -> tuple[httpx2.Response, bytes]:
        method = "GET" if call.body is None else "POST"
        async with self._http.stream(
            method, call.url, params=call.query, json=call.body, headers=headers
        ) as response:
            return response, await _bounded(response)


def retry_after(response: httpx2.Response, now: datetime) -> float | None:
    """Return how long Apple wants us to wait, in seconds; both forms of RFC 9110, section 10.2.3."""
    said = response.headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit():
        seconds = float(said)
    else:
        try:
            until = parsedate_to_datetime(said)
        except ValueError:
            return None
        seconds = (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)


def failure_of(body: Mapping[str, Any]) -> AppleFailure | None:
    """Read an `ErrorResponse`; None where the body is none."""
    number = body.get("errorNumber")
    if not isinstance(number, int) or isinstance(number, bool) or number == 0:
        return None
    told = body.get("errorInfo")
    serials = told.get("serialNumbers") if isinstance(told, dict) else None
    named = [serial for serial in serials if isinstance(serial, str)] if isinstance(serials, list) else []
    return AppleFailure(number, frozenset(named))


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
    """Return the error for an error number: nothing was queued. An unknown number on a 5xx is tried again."""
    if failure.number in TOKEN_NUMBERS:
        return TokenRefused(failure)
    if failure.number == SLOW_DOWN_NUMBER:
        return SlowDown("apple_9646", retry_after_seconds=wait)
    if failure.number in MOVED_NUMBERS:
        return Moved(f"apple_{failure.number}", retry_after_seconds=wait)
    if failure.number in _AGAIN_NUMBERS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable(f"apple_{failure.number}", retry_after_seconds=wait)
    return AppleRefused(failure)


def _unreadable(call: Call, reason: str, wait: float | None) -> Exception:
    return OutcomeUnknown(reason) if call.writes else Unavailable(reason, retry_after_seconds=wait)
