"""Token-based proof of a sender: `authorization: bearer <JWT>`, as "Establishing a token-based connection" says."""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

TOKEN_LIFE_SECONDS = 3600.0  # older ones are ExpiredProviderToken
SKEW_SECONDS = 300.0
SIGNATURE_NUMBER = 32  # bytes of each of the two numbers of an ES256 signature (RFC 7518, 3.4)
REMEMBERED = 1000  # tokens whose signature is not checked again


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """The public half of a signing key, and the team whose key it is."""

    team_id: str
    public_key: ECKey


class ProviderTokens:
    """Knows the keys of teams; says which of Apple's reasons speaks against a token.

    `TooManyProviderTokenUpdates`, `UnrelatedKeyIdInToken` and `BadEnvironmentKeyIdInToken` come by script only.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._keys: dict[str, ProviderKey] = {}
        self._issued_at: dict[str, float] = {}

    def trust(self, key_id: str, *, team_id: str, public_key_pem: str) -> None:
        """Make a key known. Raises `ValueError` when it is no EC key in PEM."""
        self._keys[key_id] = ProviderKey(team_id, ECKey.import_key(public_key_pem))
        self._issued_at.clear()

    def reset(self) -> None:
        """Forget all keys."""
        self._keys.clear()
        self._issued_at.clear()

    def reason_against(self, authorization: str | None) -> str | None:
        """Return Apple's reason for a 403, or `None` when the token is good."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return "MissingProviderToken"
        issued_at = self._issued_at.get(token) or self._verify(token)
        if issued_at is None or issued_at > self._clock() + SKEW_SECONDS:
            return "InvalidProviderToken"
        if issued_at < self._clock() - TOKEN_LIFE_SECONDS:
            return "ExpiredProviderToken"
        return None

    def _verify(self, token: str) -> float | None:
        """Return when a token was issued; `None` when it is not signed by a key of its team with ES256."""
        try:
            key = self._keys[str(jws.extract_compact(token.encode()).headers()["kid"])]
            claims = jwt.decode(_as_jose(token), key.public_key, algorithms=["ES256"]).claims
            issued_at = float(claims["iat"])
        except (JoseError, KeyError, TypeError, ValueError):
            return None
        if claims.get("iss") != key.team_id:
            return None
        if len(self._issued_at) >= REMEMBERED:
            self._issued_at.clear()
        self._issued_at[token] = issued_at
        return issued_at


def _as_jose(token: str) -> str:
    """Write a signature in DER, as Java makes them and Pushy sends them, in the form of JOSE: Apple takes both."""
    signed, _, signature = token.rpartition(".")
    try:
        numbers = decode_dss_signature(urlsafe_b64decode(signature.encode()))
        raw = b"".join(number.to_bytes(SIGNATURE_NUMBER) for number in numbers)
    except (OverflowError, ValueError):  # as most senders write it, or nothing good
        return token
    return f"{signed}.{urlsafe_b64encode(raw).decode()}"
