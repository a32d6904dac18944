"""How to reach the broker: one place for addresses, security and the settings that all clients share."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from shared.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """Where the broker is and how to prove who we are.

    `keeps_log` is false for the broker in memory: it forgets records without a word, and does not wake a
    waiting fetch.
    """

    bootstrap_servers: str
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    keeps_log: bool = True
    request_seconds: float = 20.0
    """What a broker gets to answer, or to take a connection: connections are made one after the other, so a
    broker that swallows everything holds up the others for as long. More than a rebalance takes."""

    @classmethod
    def of(cls, settings: ServiceSettings) -> Self:
        """Return the connection that a service's environment describes."""
        password = settings.kafka_sasl_password
        return cls(
            bootstrap_servers=settings.kafka_bootstrap_servers,
            security_protocol=settings.kafka_security_protocol,
            sasl_mechanism=settings.kafka_sasl_mechanism,
            sasl_username=settings.kafka_sasl_username,
            sasl_password=password.get_secret_value() if password is not None else None,
            ca_file=settings.kafka_ssl_ca_file,
            certificate_file=settings.kafka_ssl_cert_file,
            key_file=settings.kafka_ssl_key_file,
            keeps_log=settings.broker_keeps_log,
        )

    def options(self) -> dict[str, Any]:
        """Return the options that every aiokafka client takes."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "security_protocol": self.security_protocol,
            "request_timeout_ms": round(self.request_seconds * 1000),
        }
        if self.security_protocol.endswith("SSL"):
            options["ssl_context"] = self._ssl_context()
        if self.security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.sasl_username
            options["sasl_plain_password"] = self.sasl_password
        return options

    def _ssl_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.certificate_file is not None:
            context.load_cert_chain(self.certificate_file, self.key_file)
        return context
