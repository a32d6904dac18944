"""A simulated identity provider: it publishes its keys, and signs access tokens for whoever asks at the admin door."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from pydantic import Field

from local.simulators.admin import LONGEST_SECONDS, Body, new_door
from local.simulators.serving import HOST, Serving
from local.simulators.simulator import Simulator

ALGORITHM = "ES256"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySettings:
    """Port 0 takes a free one; with both files the public door speaks https."""

    port: int = 0
    admin_port: int = 0
    certificate_file: Path | None = None
    key_file: Path | None = None


class Grant(Body):
    """What a token says. A negative `expires_in` (seconds) makes one that has expired already."""

    subject: str
    scope: str = ""
    audience: str | list[str]
    expires_in: Annotated[int, Field(ge=-LONGEST_SECONDS, le=LONGEST_SECONDS)] = 3600
    client_id: str | None = None  # None: the subject, as a client that speaks for itself


class Rotation(Body):
    """Whether tokens of the former keys stay verifiable, as while a real provider rotates."""

    keep_former: bool = True


class IdentitySimulator(Simulator):
    """Its keys are ES256 and live as long as the process."""

    def __init__(self, settings: IdentitySettings | None = None) -> None:
        super().__init__()
        self._settings = settings or IdentitySettings()
        self._keys = [_new_key()]

    async def _open(self) -> None:
        settings = self._settings
        self._door = await Serving.start(
            self._public_app(),
            port=settings.port,
            certificate_file=settings.certificate_file,
            key_file=settings.key_file,
        )
        self._stack.push_async_callback(self._door.stop)
        await self._open_admin_door(self._admin_app(), settings.admin_port)

    @property
    def url(self) -> str:
        """The issuer: what stands in `iss`."""
        scheme = "https" if self._settings.certificate_file else "http"
        return f"{scheme}://{HOST}:{self._door.port}"

    @property
    def jwks_url(self) -> str:
        """Where the public keys are."""
        return f"{self.url}/jwks"

    def sign(self, grant: Grant) -> str:
        """Sign an access token with the newest key, in the profile of RFC 9068."""
        key, now = self._keys[0], int(time.time())
        claims = {
            "iss": self.url,
            "aud": grant.audience,
            "sub": grant.subject,
            "client_id": grant.client_id or grant.subject,
            "scope": grant.scope,
            "iat": now,
            "exp": now + grant.expires_in,
            "jti": str(uuid.uuid4()),
        }
        return jwt.encode({"alg": ALGORITHM, "typ": "at+jwt", "kid": key.kid}, claims, key)

    def _public_app(self) -> FastAPI:
        app = FastAPI(title="A simulated identity provider")
        app.add_api_route("/jwks", self._jwks)
        app.add_api_route("/.well-known/openid-configuration", self._configuration)
        return app

    def _admin_app(self) -> FastAPI:
        app = new_door("A simulated identity provider: the admin door")
        app.add_api_route("/token", self._token, methods=["POST"])
        app.add_api_route("/keys", self._rotate, methods=["POST"])
        return app

    async def _jwks(self) -> dict[str, Any]:
        """Publish the keys that verify, RFC 7517."""
        return dict(KeySet([*self._keys]).as_dict(private=False))

    async def _configuration(self) -> dict[str, str | Sequence[str]]:
        """Describe the provider, OpenID Connect Discovery 1.0."""
        return {
            "issuer": self.url,
            "jwks_uri": self.jwks_url,
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "response_types_supported": ["token"],
            "subject_types_supported": ["public"],
        }

    async def _token(self, grant: Grant) -> dict[str, Any]:
        """Sign an access token; the answer has the shape of RFC 6749, section 5.1."""
        return {
            "access_token": self.sign(grant),
            "token_type": "Bearer",
            "expires_in": grant.expires_in,
            "scope": grant.scope,
        }

    async def _rotate(self, rotation: Rotation) -> dict[str, str]:
        """Sign with a new key from now on and answer its id."""
        key = _new_key()
        self._keys = [key, *(self._keys if rotation.keep_former else [])]
        return {"kid": str(key.kid)}


def _new_key() -> ECKey:
    """Make a key whose id is its thumbprint, RFC 7638."""
    key = ECKey.generate_key("P-256", {"alg": ALGORITHM, "use": "sig"})
    key.ensure_kid()
    return key
