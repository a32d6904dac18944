"""The public keys of one token issuer: fetched when first needed, renewed beside the work, kept within bounds.

The issuer is an outside party: the start does not wait for it, an unknown key id makes us ask it again but not
more often than every few seconds, and while it is silent its last keys stay good for an hour.
"""

import asyncio
import json
import math
from typing import Any

import httpx2
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from shared.clock import Clock
from shared.errors import Unavailable
from shared.metrics import ISSUER_KEY_FETCHES

log = structlog.get_logger(__name__)

FRESH_SECONDS = 300.0
"""Older keys are still used while newer ones are fetched beside the work."""
USABLE_SECONDS = 3600.0
"""Still older keys are not used: about as long as tokens live, so a withdrawn key ends at the latest here."""
PAUSE_SECONDS = 10.0
"""Between two fetches, whatever callers send."""

_LARGEST_BYTES = 256 * 1024
_TIMEOUT_SECONDS = 5.0
"""For the whole answer: callers with a key that is not known yet wait for it, however slowly it drips."""

PublicKey = ECKey | RSAKey


class IssuerKeys:
    """The keys of one issuer, by their key id."""

    def __init__(self, issuer: str, url: str, *, http: httpx2.AsyncClient, clock: Clock) -> None:
        self._issuer = issuer
        self._url = url
        self._http = http
        self._clock = clock
        self._keys: dict[str, PublicKey] = {}
        self._fetched_at = -math.inf
        self._next_fetch_at = -math.inf
        self._fetching = asyncio.Lock()
        self._beside: asyncio.Task[None] | None = None

    async def find(self, key_id: str) -> PublicKey | None:
        """Return the key of this id, or None if the issuer has none. Raises Unavailable: no key is usable."""
        if key_id not in self._keys or self._age() > USABLE_SECONDS:
            await self._renew()
        elif self._age() > FRESH_SECONDS and (self._beside is None or self._beside.done()):
            self._beside = asyncio.create_task(self._renew())
        if self._age() > USABLE_SECONDS:
            raise Unavailable("issuer_unreachable", retry_after_seconds=PAUSE_SECONDS)
        return self._keys.get(key_id)

    def _age(self) -> float:
        return self._clock.monotonic() - self._fetched_at

    async def _renew(self) -> None:
        """Fetch, unless somebody just did; what cannot be fetched leaves the keys as they are."""
        async with self._fetching:
            now = self._clock.monotonic()
            if now < self._next_fetch_at:
                return
            self._next_fetch_at = now + PAUSE_SECONDS
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    self._keys = _public_keys(await self._fetch())
            except (httpx2.HTTPError, ValueError, TimeoutError) as problem:
                ISSUER_KEY_FETCHES.labels(self._issuer, "failed").inc()
                log.warning("issuer keys not fetched", issuer=self._issuer, problem=problem)
                return
            self._fetched_at = now
            ISSUER_KEY_FETCHES.labels(self._issuer, "fetched").inc()

    async def _fetch(self) -> bytes:
        body = bytearray()
        async with self._http.stream("GET", self._url) as answer:
            answer.raise_for_status()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > _LARGEST_BYTES:
                    raise ValueError(f"more than {_LARGEST_BYTES} bytes of keys")
        return bytes(body)


def _public_keys(body: bytes) -> dict[str, PublicKey]:
    """Return the keys that can prove a token; others in the set are passed over (RFC 7517, section 5)."""
    document = json.loads(body)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a key set")  # noqa: TRY004 - to the caller both are an unreadable answer
    read = {entry["kid"]: _public_key(entry) for entry in entries if _is_for_us(entry)}
    keys = {key_id: key for key_id, key in read.items() if key is not None}
    if not keys:
        raise ValueError("a key set without a key for ES256 or RS256")
    return keys


def _is_for_us(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("kid"), str)
        and entry.get("use", "sig") == "sig"
        and (entry.get("kty") == "RSA" or (entry.get("kty") == "EC" and entry.get("crv") == "P-256"))
    )


def _public_key(entry: dict[str, Any]) -> PublicKey | None:
    """Return the key, None where it cannot be read: it must not take the others with it."""
    kind = RSAKey if entry["kty"] == "RSA" else ECKey
    try:
        return kind.import_key(entry)
    except (JoseError, ValueError):
        return None
