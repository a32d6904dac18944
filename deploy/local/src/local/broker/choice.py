"""The one setting BROKER, and what every broker has in common."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Protocol, assert_never

from local.broker.apache import ApacheBroker
from local.broker.embedded import EmbeddedBroker
from local.broker.external import ExternalBroker


class BrokerKind(StrEnum):
    """The values of BROKER."""

    EMBEDDED = "embedded"
    APACHE = "apache"
    EXTERNAL = "external"


class Broker(Protocol):
    """A broker that can be started and stopped; between the two its address stands."""

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients, `host:port` with commas between several."""
        ...

    @property
    def keeps_log(self) -> bool:
        """Whether a record stays until its topic's retention ends, also over a restart."""
        ...

    async def start(self) -> None:
        """Return once clients are answered."""
        ...

    async def stop(self) -> None:
        """Return once nothing of it runs any more. Harmless when it is down."""
        ...


def choose(environment: Mapping[str, str], *, directory: Path, cache: Path) -> Broker:
    """Return the broker that BROKER names (embedded where it is not set), not yet started.

    `directory` is where Apache Kafka keeps its log, `cache` where Maven puts its files.
    Raises ValueError for an unknown value, or for `external` without KAFKA_BOOTSTRAP_SERVERS.
    """
    kind = BrokerKind(environment.get("BROKER", BrokerKind.EMBEDDED))
    match kind:
        case BrokerKind.EMBEDDED:
            return EmbeddedBroker()
        case BrokerKind.APACHE:
            return ApacheBroker(directory, cache=cache)
        case BrokerKind.EXTERNAL:
            return ExternalBroker(environment.get("KAFKA_BOOTSTRAP_SERVERS", ""))
        case _:
            assert_never(kind)
