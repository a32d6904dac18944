"""Apple's `service/config`: where each endpoint is and how much a request may hold; read again every 5 minutes."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from licensing.apple.wire import Call, Wire
from licensing.model import AppleRefused, Limits
from shared.clock import Clock
from shared.errors import Unavailable

APPLE = "https://vpp.itunes.apple.com/mdm/v2"
REFRESH_SECONDS = 300.0
CODE_PLACE = "%25inviteCode%25"
"""What the address of invitations has in the place of the code."""

_AGAIN_SECONDS = 30.0
_PATHS = {
    "clientConfig": "client/config",
    "getAssets": "assets",
    "getAssignments": "assignments",
    "associateAssets": "assets/associate",
    "disassociateAssets": "assets/disassociate",
    "getUsers": "users",
    "createUsers": "users/create",
    "updateUsers": "users/update",
    "retireUsers": "users/retire",
    "eventStatus": "status",
}


@dataclass(frozen=True, slots=True)
class Lengths:
    """How many characters what we say of ourselves may have."""

    mdm_id: int
    mdm_name: int
    mdm_metadata: int
    notification: int


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """The published limits and addresses; a missing limit has Apple's documented sample.

    `invitation` is the address of invitations, with CODE_PLACE in it; None where Apple tells none that we
    would send anybody to.
    """

    urls: Mapping[str, str]
    limits: Limits
    lengths: Lengths
    requests_per_second: float
    invitation: str | None


class Service:
    """Knows Apple's service as it is now. `base_url` None is Apple itself; an override names another host."""

    def __init__(self, wire: Wire, *, base_url: str | None, clock: Clock) -> None:
        self._wire = wire
        self._base_url = (base_url or APPLE).rstrip("/")
        self._overridden = base_url is not None
        self._clock = clock
        self._known: ServiceConfig | None = None
        self._due_at = 0.0
        self._not_before = 0.0  # Apple does not want to be asked earlier, whatever we miss
        self._reading = asyncio.Lock()

    async def config(self) -> ServiceConfig:
        """Return the service's description; where none can be had now, the former one serves.

        Raises Unavailable where there is no former one.
        """
        async with self._reading:
            now = self._clock.monotonic()
            if now >= self._not_before and (self._known is None or now >= self._due_at):
                self._known = await self._read(now) or self._known
        if self._known is None:
            raise Unavailable("apple_without_config", retry_after_seconds=max(0.0, self._not_before - now))
        return self._known

    def forget(self) -> None:
        """Read the description again before the next request: it is not what we believed."""
        self._due_at = 0.0

    async def _read(self, now: float) -> ServiceConfig | None:
        try:
            body = await self._wire.exchange(Call(f"{self._base_url}/service/config", {}), authorization=None)
        except (Unavailable, AppleRefused) as error:
            self._not_before = now + (error.retry_after_seconds or 0.0)
            self._due_at = now + _AGAIN_SECONDS
            if self._known is None and isinstance(error, Unavailable):
                raise
            return None
        self._due_at = now + REFRESH_SECONDS
        return read_service_config(body, self._base_url, overridden=self._overridden)


def read_service_config(body: Mapping[str, Any], base_url: str, *, overridden: bool) -> ServiceConfig:
    """Read the answer of `service/config`.

    An address counts only if it is https and its host is Apple's, or where the base was overridden, exactly
    the base's; else the path under the base is used.
    """
    told, urls = _object(body.get("limits")), _object(body.get("urls"))

    def kept(url: object) -> str | None:
        return url if isinstance(url, str) and _is_apples(url, base_url, overridden=overridden) else None

    def most(name: str, default: int) -> int:
        value = told.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default

    invitation = kept(urls.get("invitationEmail"))
    return ServiceConfig(
        urls={name: kept(urls.get(name)) or f"{base_url}/{path}" for name, path in _PATHS.items()},
        limits=Limits(
            serial_numbers=most("maxSerialNumbers", 1000),
            client_user_ids=most("maxClientUserIds", 1000),
            users=most("maxUsers", 100),
            assets=most("maxAssets", 25),
        ),
        lengths=Lengths(
            mdm_id=most("maxMdmIdLength", 100),
            mdm_name=most("maxMdmNameLength", 100),
            mdm_metadata=most("maxMdmMetadataLength", 255),
            notification=most("maxNotificationLength", 512),
        ),
        requests_per_second=most("maxRequestPerSecond", 15),
        invitation=invitation if invitation is not None and CODE_PLACE in invitation else None,
    )


def _is_apples(url: str, base_url: str, *, overridden: bool) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if overridden:
            return (parts.scheme, parts.netloc) == tuple(urlsplit(base_url)[:2])
        return parts.scheme == "https" and parts.port in {None, 443} and host.endswith(".apple.com")
    except ValueError:  # no address at all, or a port that is none
        return False


def _object(said: Any) -> Mapping[str, Any]:
    return said if isinstance(said, dict) else {}
