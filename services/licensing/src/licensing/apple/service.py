"""Apple's `service/config`: where each endpoint is and how much a request may hold; read again every 5 minutes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

REFRESH_SECONDS = 300.0

_PATHS = {
    "clientConfig": "client/config",
    "getAssets": "assets",
    "getAssignments": "assignments",
    "associateAssets": "assets/associate",
    "disassociateAssets": "assets/disassociate",
    "eventStatus": "status",
}
_DEFAULT_SERIAL_NUMBERS = 1000
_DEFAULT_PER_SECOND = 15


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """The published limits and addresses; a missing limit has Apple's documented sample."""

    urls: Mapping[str, str]
    most_serial_numbers: int
    requests_per_second: float


def read_service_config(body: Mapping[str, Any], base_url: str, *, overridden: bool) -> ServiceConfig:
    """Read the answer of `service/config`.

    An address counts only if it is https and its host is Apple's, or where the base was overridden, exactly
    the base's; else the path under the base is used.
    """
    limits = body.get("limits")
    limits = limits if isinstance(limits, dict) else {}
    urls = body.get("urls")
    urls = urls if isinstance(urls, dict) else {}
    return ServiceConfig(
        {
            name: urls[name]
            if _is_apples(urls.get(name), base_url, overridden=overridden)
            else f"{base_url}/{path}"
            for name, path in _PATHS.items()
        },
        _limit(limits, "maxSerialNumbers", _DEFAULT_SERIAL_NUMBERS),
        _limit(limits, "maxRequestPerSecond", _DEFAULT_PER_SECOND),
    )


def _is_apples(url: object, base_url: str, *, overridden: bool) -> bool:
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if overridden:
            return (parts.scheme, parts.netloc) == tuple(urlsplit(base_url)[:2])
        return parts.scheme == "https" and parts.port in {None, 443} and host.endswith(".apple.com")
    except ValueError:  # no address at all, or a port that is none
        return False


def _limit(limits: Mapping[str, Any], name: str, default: int) -> int:
    value = limits.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default
