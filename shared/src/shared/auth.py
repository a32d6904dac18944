"""Who calls: bearer tokens (OAuth 2, RFC 9068) of the configured issuers, and the scope each route asks for.

Nothing in a token chooses how it is proven: the issuer must be one of ours by its exact name, the key is one
that this issuer publishes, and each kind of key proves exactly one algorithm.
"""

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import httpx2
import structlog
from fastapi import Depends, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from joserfc import jwt
from joserfc.errors import JoseError

from shared.clock import Clock
from shared.errors import Forbidden, Unauthorized
from shared.issuer_keys import IssuerKeys
from shared.metrics import AUTH_REFUSALS

LEEWAY_SECONDS = 60.0
"""How far the issuer's clock may be from ours."""

_LARGEST_TOKEN = 8 * 1024
_ALGORITHMS = {"EC": ["ES256"], "RSA": ["RS256"]}

SubjectScopes = Mapping[str, Mapping[str, frozenset[str]]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever proved a token: the subject as its issuer knows it, and what it may do."""

    issuer: str
    subject: str
    scopes: frozenset[str]


class Verifier:
    """Turns a token into its caller.

    `issuers` maps the exact name of each to the URL of its keys. `subject_scopes` (issuer -> subject -> scopes)
    gives scopes to tokens that carry none, as those of a Kubernetes cluster's service accounts.
    """

    def __init__(
        self,
        issuers: Mapping[str, str],
        *,
        audience: str,
        http: httpx2.AsyncClient,
        clock: Clock,
        subject_scopes: SubjectScopes | None = None,
    ) -> None:
        self._keys = {
            issuer: IssuerKeys(issuer, url, http=http, clock=clock) for issuer, url in issuers.items()
        }
        self._audience = audience
        self._clock = clock
        self._subject_scopes = subject_scopes or {}

    async def verify(self, token: str) -> Caller:
        """Return who proved this token. Raises Unauthorized, and Unavailable while no keys can be had."""
        if len(token) > _LARGEST_TOKEN:
            raise _refused("too_large")
        header, claims = _unproven(token)
        issuer, key_id = claims.get("iss"), header.get("kid")
        if not isinstance(issuer, str) or issuer not in self._keys:
            raise _refused("unknown_issuer")
        key = await self._keys[issuer].find(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise _refused("unknown_key")
        try:
            proven = jwt.decode(token, key, algorithms=_ALGORITHMS[key.key_type]).claims
        except (JoseError, ValueError):
            raise _refused("bad_signature") from None
        return self._caller(issuer, proven)

    def _caller(self, issuer: str, claims: Mapping[str, Any]) -> Caller:
        now = self._clock.now().timestamp()
        audience, subject = claims.get("aud"), claims.get("sub")
        if not _is_number(claims.get("exp")) or claims["exp"] <= now - LEEWAY_SECONDS:
            raise _refused("expired")
        if "nbf" in claims and (not _is_number(claims["nbf"]) or claims["nbf"] > now + LEEWAY_SECONDS):
            raise _refused("not_yet_valid")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise _refused("wrong_audience")
        if not isinstance(subject, str) or not subject:
            raise _refused("no_subject")
        granted = self._subject_scopes.get(issuer, {}).get(subject, frozenset())
        return Caller(issuer, subject, _scopes(claims) | granted)


_bearer = HTTPBearer(
    auto_error=False, bearerFormat="JWT", description="An access token with the route's scope."
)


def requires(scope: str) -> Any:
    """Declare the scope of a route.

    Either as a parameter, `caller: Annotated[Caller, requires("licenses:read")]`, or among its `dependencies`.
    A call without a good token is answered 401, one whose token lacks the scope 403.
    """
    return Security(_caller, scopes=[scope])


def asks_for_scope(route: Dependant) -> bool:
    """Say whether a route (or what it depends on) requires a scope."""
    return (route.call is _caller and bool(route.own_oauth_scopes)) or any(
        map(asks_for_scope, route.dependencies)
    )


async def _caller(
    request: Request,
    needed: SecurityScopes,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    if credentials is None:
        raise Unauthorized("missing_token", "this route asks for a bearer token")
    verifier: Verifier = request.app.state.verifier
    caller = await verifier.verify(credentials.credentials)
    structlog.contextvars.bind_contextvars(caller=caller.subject)
    if missing := [scope for scope in needed.scopes if scope not in caller.scopes]:
        AUTH_REFUSALS.labels("insufficient_scope").inc()
        raise Forbidden("insufficient_scope", f"this route asks for the scope {' '.join(missing)}")
    return caller


def _refused(reason: str) -> Unauthorized:
    AUTH_REFUSALS.labels(reason).inc()
    return Unauthorized("invalid_token", f"the token is refused: {reason.replace('_', ' ')}")


def _unproven(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims as the token says them, only to know whose key must prove it."""
    parts = token.split(".")
    if len(parts) != 3:
        raise _refused("malformed")
    try:
        header, claims = (json.loads(_decoded(part)) for part in parts[:2])
    except (ValueError, RecursionError):
        raise _refused("malformed") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise _refused("malformed")
    return header, claims


def _decoded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _is_number(value: object) -> bool:
    """Say whether a claim is a finite number: JSON as Python reads it knows NaN, and true is an int."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -math.inf < value < math.inf


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the scopes a token carries: `scope`, a text (RFC 9068), or `scp`, which some issuers send as a list."""
    said = claims.get("scope", claims.get("scp", ""))
    parts = said.split() if isinstance(said, str) else said
    return (
        frozenset(part for part in parts if isinstance(part, str)) if isinstance(parts, list) else frozenset()
    )
