"""The secret that Apple shows at our door with each notification: only its hash is kept."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable

from shared.vault import Secret

_BYTES = 32


def new_secret() -> Secret:
    """Return a new one: random, and short enough for Apple's `maxNotificationLength`."""
    return Secret(secrets.token_urlsafe(_BYTES).encode())


def secret_hash(secret: bytes) -> bytes:
    """Return what is stored of it. It is long and random: it needs neither salt nor slowness."""
    return hashlib.sha256(secret).digest()


def shows_secret(authorization: str, hashes: Iterable[bytes]) -> bool:
    """Say whether an Authorization header shows one of the secrets, compared in constant time."""
    scheme, _, shown = authorization.partition(" ")
    digest = secret_hash(shown.encode("latin-1", "replace"))
    return scheme.lower() == "bearer" and any(hmac.compare_digest(digest, each) for each in hashes)
