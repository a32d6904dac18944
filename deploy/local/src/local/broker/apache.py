"""One Apache Kafka node (KRaft: broker and controller in one process) on loopback ports."""

import asyncio
import base64
import contextlib
import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from local.broker.maven import fetch_kafka
from local.children import Child, Command
from local.ports import LOOPBACK, free_ports

QUICK_START = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""JVM options for tests and trying out: up sooner, slower once warm."""

FULL_SPEED = ("-XX:+UseG1GC",)
"""JVM options for measuring."""

SERVER = "kafka.Kafka"
FORMATTER = "kafka.tools.StorageTool"
READY_WITHIN_SECONDS = 60.0

# A whole cluster in one small process: what Kafka would replicate and spread, once and narrow.
PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "CLIENTS",
    "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",  # a topic nobody made is a mistake to be seen
    "offsets.topic.num.partitions": "8",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": "16777216",  # the default takes a quarter of the heap
    # A killed node is let in again once its former self has timed out, which takes 9 seconds by default.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "num.network.threads": "2",
    "num.io.threads": "4",
}


def apache_available() -> bool:
    """Say whether `java` and `mvn` are on the PATH."""
    return shutil.which("java") is not None and shutil.which("mvn") is not None


class ApacheBroker:
    """A single node whose log lies in a directory; stopped or killed and started again, it keeps its port."""

    keeps_log = True

    def __init__(self, directory: Path, *, cache: Path, jvm_options: Sequence[str] = QUICK_START) -> None:
        """`cache` is where Maven puts Kafka's jars, fetched by the first `start` that finds none."""
        self._directory = directory.resolve()
        self._cache = cache
        self._jvm_options = jvm_options
        self._child: Child | None = None
        self._port, self._controller_port = free_ports(2)

    @property
    def bootstrap_servers(self) -> str:
        """The node's address, the same for its whole life."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int:
        """The process id of the JVM. Raises RuntimeError when it was never started."""
        if self._child is None:
            raise RuntimeError("this Apache Kafka was never started")
        return self._child.pid

    async def start(self) -> None:
        """Format the log directory the first time, start the node, and return once it answers a client.

        Raises ChildFailedError with the end of its log where it does not come up.
        """
        jars = await asyncio.to_thread(fetch_kafka, self._cache)
        await asyncio.to_thread(self._write_properties)
        if not self._formatted.exists():
            await self._format(jars)
        self._child = Child(self._java(jars, SERVER, str(self._properties)))
        try:
            await self._child.wait_until(self._answers, within_seconds=READY_WITHIN_SECONDS)
        except BaseException:  # also when we are cancelled: nobody else knows of the child yet
            await self._child.kill()
            raise

    async def stop(self) -> None:
        """End the node in good order. Harmless when it is down."""
        if self._child is not None:
            await self._child.stop()

    async def kill(self) -> None:
        """End it with SIGKILL. What it acknowledged is in the system's page cache: `start` finds it."""
        if self._child is not None:
            await self._child.kill()

    async def discard(self) -> None:
        """Stop the node and remove its directory."""
        await self.stop()
        await asyncio.to_thread(shutil.rmtree, self._directory)

    @property
    def _properties(self) -> Path:
        return self._directory / "server.properties"

    @property
    def _formatted(self) -> Path:
        return self._directory / "log" / "meta.properties"

    async def _format(self, jars: Path) -> None:
        # Kafka wants a UUID in 22 characters; this beginning keeps it from looking like an option ("-...").
        cluster_id = base64.urlsafe_b64encode(b"local" + secrets.token_bytes(11)).decode().rstrip("=")
        command = self._java(jars, FORMATTER, "format", "-t", cluster_id, "-c", str(self._properties))
        await Child(command).finish()

    def _write_properties(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        properties = {
            **PROPERTIES,
            "log.dirs": str(self._directory / "log"),
            "controller.quorum.voters": f"1@{LOOPBACK}:{self._controller_port}",
            "listeners": f"CLIENTS://{self.bootstrap_servers},CONTROLLER://{LOOPBACK}:{self._controller_port}",
            "advertised.listeners": f"CLIENTS://{self.bootstrap_servers}",
        }
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))

    def _java(self, jars: Path, main: str, *arguments: str) -> Command:
        java = shutil.which("java")
        if java is None:
            raise FileNotFoundError("Apache Kafka needs java on the PATH")
        options = (
            "-Xms256m",
            "-Xmx512m",
            "-XX:-UsePerfData",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        )
        return Command(
            name="Apache Kafka",
            arguments=[java, *options, *self._jvm_options, "-cp", f"{jars}/*", main, *arguments],
            environment={"PATH": os.defpath},
            log_file=self._directory / "kafka.log",
            directory=self._directory,
        )

    async def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            # A bare connection first: the client complains aloud of a port that is still closed.
            _, writer = await asyncio.open_connection(LOOPBACK, self._port)
            writer.close()
            await writer.wait_closed()
            return await self._names_its_topics()
        return False

    async def _names_its_topics(self) -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers, request_timeout_ms=5_000)
        with contextlib.suppress(KafkaError):
            try:
                await admin.start()
                await admin.list_topics()
            finally:
                await admin.close()
            return True
        return False
