"""Everything the environment may say to any service; each service's own settings extend these.

The names are prefix-free and the same everywhere. What is required has no default, a secret never has one.
"""

import json
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FilePath,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from shared.errors import SettingsError

_LOCAL = {("http", "127.0.0.1"), ("http", "::1"), ("http", "localhost")}

Settings = TypeVar("Settings", bound=BaseSettings)


def _split(text: Any) -> Any:
    return [part.strip() for part in text.split(",") if part.strip()] if isinstance(text, str) else text


def _json(text: Any) -> Any:
    return json.loads(text) if isinstance(text, str) else text


def _postgresql(url: SecretStr) -> SecretStr:
    try:
        parts = make_url(url.get_secret_value())
    except (ArgumentError, ValueError):
        parts = None  # what they complain of may be a part of the password
    if parts is None or parts.drivername != "postgresql" or not parts.host or not parts.database:
        raise ValueError("it must read postgresql://user:password@host/database")
    return url


def _unchanged_on_the_way(urls: tuple[str, ...]) -> tuple[str, ...]:
    for url in map(urlsplit, urls):
        if url.scheme != "https" and (url.scheme, url.hostname) not in _LOCAL:
            raise ValueError("each must begin with https://, or be on this machine")
    return urls


Commas = (NoDecode, BeforeValidator(_split))
"""Marks a setting whose parts are separated by commas."""


class ServiceSettings(BaseSettings):
    """What all four services need."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    database_url: Annotated[SecretStr, AfterValidator(_postgresql)]
    vault_keys_file: FilePath

    kafka_bootstrap_servers: str
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_ca_file: FilePath | None = None
    kafka_ssl_cert_file: FilePath | None = None
    kafka_ssl_key_file: FilePath | None = None
    broker_keeps_log: bool = True
    """False with the embedded broker: it forgets old records, and nothing it lost is asked for again."""

    oidc_issuers: Annotated[tuple[str, ...], *Commas] = Field(min_length=1)
    jwks_urls: Annotated[tuple[str, ...], *Commas, AfterValidator(_unchanged_on_the_way)] = Field(
        min_length=1
    )
    """One for each issuer, in the same order; over https: whoever changes keys on their way says who calls."""
    audience: str
    subject_scopes: Annotated[dict[str, dict[str, frozenset[str]]], NoDecode, BeforeValidator(_json)] = {}
    """JSON, issuer -> subject -> scopes: for tokens without any, as a cluster's service accounts have."""

    http_host: str = "127.0.0.1"
    """The image says 0.0.0.0; a process started by hand is not on the network by accident."""
    http_port: NonNegativeInt = 8000
    metrics_port: NonNegativeInt = 9000
    """0 takes a free port, for both."""
    tls_cert_file: FilePath | None = None
    tls_key_file: FilePath | None = None
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], *Commas] = ()
    trust_ca_file: FilePath | None = None
    """Authorities to trust beside the system's."""

    max_targets: PositiveInt = 1_000_000
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    otel_exporter_otlp_endpoint: str | None = None

    @model_validator(mode="after")
    def _settings_that_go_together(self) -> Self:
        if len(self.oidc_issuers) != len(self.jwks_urls):
            raise ValueError("JWKS_URLS needs one URL for each of OIDC_ISSUERS, in the same order")
        if len(set(self.oidc_issuers)) != len(self.oidc_issuers):
            raise ValueError("OIDC_ISSUERS names an issuer twice")
        _both("TLS_CERT_FILE", self.tls_cert_file, "TLS_KEY_FILE", self.tls_key_file)
        _both("KAFKA_SSL_CERT_FILE", self.kafka_ssl_cert_file, "KAFKA_SSL_KEY_FILE", self.kafka_ssl_key_file)
        sasl = (self.kafka_sasl_mechanism, self.kafka_sasl_username, self.kafka_sasl_password)
        if self.kafka_security_protocol.startswith("SASL") and None in sasl:
            raise ValueError(
                f"KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol} needs KAFKA_SASL_MECHANISM, "
                "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
            )
        return self

    @property
    def issuers(self) -> dict[str, str]:
        """Return the URL of each issuer's keys."""
        return dict(zip(self.oidc_issuers, self.jwks_urls, strict=True))


def load(settings: type[Settings]) -> Settings:
    """Read the environment. Raises SettingsError: one line for each name that is missing or unreadable."""
    try:
        return settings()
    except ValidationError as error:
        raise SettingsError("\n".join(_line(problem["loc"], problem) for problem in error.errors())) from None


def _both(name: str, value: object, other_name: str, other: object) -> None:
    if (value is None) != (other is None):
        raise ValueError(f"{name} and {other_name} go together")


def _line(where: tuple[int | str, ...], problem: Any) -> str:
    """Say what is wrong with one setting, without repeating its value."""
    if not where:
        return str(problem["ctx"]["error"])
    name = str(where[0]).upper()
    return f"{name} is missing" if problem["type"] == "missing" else f"{name}: {problem['msg']}"
