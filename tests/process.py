"""A service as a process of its own, as tests start it, and what others tell it on the bus meanwhile."""

import sys
from collections.abc import Mapping
from pathlib import Path

from aiokafka import AIOKafkaProducer

from local.children import Child, Command, answers
from local.ports import free_ports
from local.simulators.identity import IdentitySimulator
from shared.events import Event, Heard
from shared.events.registry import encode
from shared.kafka import KafkaConnection
from shared.vault import Vault

Environment = dict[str, str]


def surroundings(
    service: str, *, database_url: str, kafka: KafkaConnection, identity: IdentitySimulator, directory: Path
) -> Environment:
    """Return what every service is told, on free ports, with fresh keys and itself as its tokens' audience."""
    keys = directory / "keys.json"
    keys.write_text(Vault.generate())
    http_port, metrics_port = free_ports(2)
    return {
        "DATABASE_URL": database_url,
        "VAULT_KEYS_FILE": str(keys),
        "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
        "BROKER_KEEPS_LOG": str(kafka.keeps_log).lower(),
        "OIDC_ISSUERS": identity.url,
        "JWKS_URLS": identity.jwks_url,
        "AUDIENCE": service,
        "HTTP_PORT": str(http_port),
        "METRICS_PORT": str(metrics_port),
    }


def process(service: str, *arguments: str, environment: Mapping[str, str], directory: Path) -> Child:
    """Return the process of a command, `serve` say, not yet started; its log is `<command>.log` in the directory."""
    return Child(
        Command(
            name=arguments[0],
            arguments=[str(Path(sys.executable).with_name(service)), *arguments],
            environment=environment,
            log_file=directory / f"{arguments[0]}.log",
        )
    )


async def ready(serving: Child, environment: Mapping[str, str]) -> None:
    """Wait until a process that serves says that it is ready. Raises ChildFailedError with the end of its log."""
    url = f"http://127.0.0.1:{environment['METRICS_PORT']}/readyz"
    await serving.wait_until(answers(url), within_seconds=30)


async def publish(kafka: KafkaConnection, *told: Heard[Event]) -> None:
    """Publish events, in this order, as their owner would."""
    async with AIOKafkaProducer(**kafka.options()) as producer:
        for heard in told:
            await producer.send_and_wait(
                heard.event.topic.name,
                encode(heard.event),
                key=heard.event.key().encode(),
                headers=heard.envelope.headers(),
            )
