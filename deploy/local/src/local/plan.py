"""What the local system will look like before anything runs: ports, addresses, and each service's environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from local.ports import LOOPBACK, free_ports

SERVICES = ("assignment", "licensing", "invitation", "mdm-push")
AUDIENCE = "managed-distribution"
MAX_TARGETS_EMBEDDED = 10_000

_LOOKS = "1,2,5,15,60,300"
"""When mdm-push looks whether an app is there: simulated devices install within a second or two."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one service: its HTTP doors and its metrics."""

    http: int
    metrics: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where one service runs and what it is told by its environment."""

    name: str
    ports: Ports
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        """The base of its HTTP doors."""
        return f"https://localhost:{self.ports.http}"

    @property
    def ready_url(self) -> str:
        """Where it says that it is ready."""
        return f"http://{LOOPBACK}:{self.ports.metrics}/readyz"

    def told(self, settings: Mapping[str, str]) -> Self:
        """Return the same place with some settings told otherwise or besides."""
        return replace(self, environment={**self.environment, **settings})


FIXED_PORTS = {
    service: Ports(http=8001 + number, metrics=9001 + number) for number, service in enumerate(SERVICES)
}


def any_ports() -> dict[str, Ports]:
    """Return free ports for each service."""
    free = free_ports(2 * len(SERVICES))
    return {
        service: Ports(http=free[2 * number], metrics=free[2 * number + 1])
        for number, service in enumerate(SERVICES)
    }


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a service meets: its database, the broker, whom it trusts, and the outside parties of the box."""

    database_url: str
    bootstrap_servers: str
    broker_keeps_log: bool
    vault_keys_file: Path
    ca_file: Path
    certificate: tuple[Path, Path]
    cards: Mapping[str, Mapping[str, str]]


def place(service: str, ports: Mapping[str, Ports], around: Surroundings) -> Place:
    """Return where `service` runs and its whole environment."""
    mine = ports[service]
    certificate_file, key_file = around.certificate
    common = {
        "PATH": os.environ.get("PATH", ""),
        "DATABASE_URL": around.database_url,
        "KAFKA_BOOTSTRAP_SERVERS": around.bootstrap_servers,
        "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "BROKER_KEEPS_LOG": str(around.broker_keeps_log).lower(),
        "VAULT_KEYS_FILE": str(around.vault_keys_file),
        "OIDC_ISSUERS": around.cards["identity"]["url"],
        "JWKS_URLS": around.cards["identity"]["jwks_url"],
        "AUDIENCE": AUDIENCE,
        "HTTP_HOST": LOOPBACK,
        "HTTP_PORT": str(mine.http),
        "METRICS_PORT": str(mine.metrics),
        "TLS_CERT_FILE": str(certificate_file),
        "TLS_KEY_FILE": str(key_file),
        "TRUST_CA_FILE": str(around.ca_file),
        **({} if around.broker_keeps_log else {"MAX_TARGETS": str(MAX_TARGETS_EMBEDDED)}),
    }
    return Place(service, mine, common | _own(service, ports, around))


def _own(service: str, ports: Mapping[str, Ports], around: Surroundings) -> dict[str, str]:
    """Return what only this service is told: where its one outside party is."""
    cards = around.cards
    apns = urlsplit(cards["apns"]["url"])
    match service:
        case "licensing":
            return {
                "APPLE_BASE_URL": cards["apple"]["url"],
                "NOTIFICATION_BASE_URL": f"https://localhost:{ports['licensing'].http}",
            }
        case "mdm-push":
            return {
                "APNS_HOST": apns.hostname or LOOPBACK,
                "APNS_PORT": str(apns.port),
                "DEVICE_CA_FILE": str(around.ca_file),
                "VERIFY_SECONDS": _LOOKS,
            }
        case "invitation":
            return {
                "SMTP_URL": cards["mailbox"]["url"],
                "MAIL_FROM": "apps@school.example",
                "ORGANIZATION_NAME": "Lycée Exemple",
            }
        case _:
            return {}
