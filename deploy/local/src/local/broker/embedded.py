"""librdkafka's mock cluster as a broker: Kafka's wire protocol from this process's memory, faults on demand.

For trying out, and for tests of what a client does when a broker misbehaves. It keeps 5 MiB per partition and
forgets older records without a word; a consumer group should have one member; new records do not wake a fetch
that waits (clients set `fetch_max_wait_ms` to 20); a topic gets four partitions when it is first named.
"""

import asyncio
import ctypes

from local.broker.librdkafka import ALL_BROKERS, ALREADY_EXISTS, PRODUCER, Api, librdkafka

PARTITIONS = 4
"""Of a topic: what the mock cluster gives a topic it was not told of."""


class EmbeddedBroker:
    """A cluster of `brokers` brokers, numbered from 1, on loopback ports of its own choice.

    Each start is empty and has new ports.
    """

    keeps_log = False

    def __init__(self, *, brokers: int = 3) -> None:
        """Nothing listens before `start`."""
        self._brokers = brokers
        self._client: int | None = None
        self._cluster: int | None = None

    @property
    def bootstrap_servers(self) -> str:
        """The address of every broker. Raises RuntimeError when it is down."""
        servers: bytes = librdkafka().rd_kafka_mock_cluster_bootstraps(self._running())
        return servers.decode()

    async def start(self) -> None:
        """Listen. Raises OSError where librdkafka cannot."""
        library = librdkafka()
        complaint = ctypes.create_string_buffer(512)
        configuration = library.rd_kafka_conf_new()
        # The cluster lives in a client that never sends anything: nothing it could log is of interest.
        library.rd_kafka_conf_set(configuration, b"log_level", b"0", complaint, len(complaint))
        self._client = library.rd_kafka_new(PRODUCER, configuration, complaint, len(complaint))
        if self._client is None:
            raise OSError(f"librdkafka: {complaint.value.decode()}")
        self._cluster = library.rd_kafka_mock_cluster_new(self._client, self._brokers)
        if self._cluster is None:
            await self.stop()
            raise OSError("librdkafka: the mock cluster does not start")
        # By default a group waits 3 seconds for more members to join; nobody here needs that.
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)

    async def stop(self) -> None:
        """Hang up on every client and forget everything."""
        library = librdkafka()
        cluster, self._cluster = self._cluster, None
        client, self._client = self._client, None
        # Both wait for threads of the library to end.
        if cluster is not None:
            await asyncio.to_thread(library.rd_kafka_mock_cluster_destroy, cluster)
        if client is not None:
            await asyncio.to_thread(library.rd_kafka_destroy, client)

    def create_topic(self, name: str, *, partitions: int = PARTITIONS) -> None:
        """Make a topic that every broker replicates; one that exists stays as it is.

        Kafka's own CreateTopics request is not served here.
        """
        create = librdkafka().rd_kafka_mock_topic_create
        code = create(self._running(), name.encode(), partitions, self._brokers)
        if code != ALREADY_EXISTS:
            _check(code)

    def push_errors(self, api: Api, *codes: int) -> None:
        """Answer the next requests of this type with these error codes, one each, then well again."""
        array = (ctypes.c_int * len(codes))(*codes)
        librdkafka().rd_kafka_mock_push_request_errors_array(self._running(), api, len(codes), array)

    def clear_errors(self, api: Api) -> None:
        """Forget the pushed errors of this type that no request has met yet."""
        librdkafka().rd_kafka_mock_clear_request_errors(self._running(), api)

    def down(self, broker: int = ALL_BROKERS) -> None:
        """Hang up and refuse connections. The partitions a broker leads stay with it."""
        _check(librdkafka().rd_kafka_mock_broker_set_down(self._running(), broker))

    def up(self, broker: int = ALL_BROKERS) -> None:
        """Accept connections again."""
        _check(librdkafka().rd_kafka_mock_broker_set_up(self._running(), broker))

    def set_rtt(self, milliseconds: int, *, broker: int = ALL_BROKERS) -> None:
        """Delay every answer by so much; 0 for none."""
        _check(librdkafka().rd_kafka_mock_broker_set_rtt(self._running(), broker, milliseconds))

    def move_coordinator(self, group: str, *, broker: int) -> None:
        """Let this broker coordinate the consumer group; its members have to find that out."""
        _check(librdkafka().rd_kafka_mock_coordinator_set(self._running(), b"group", group.encode(), broker))

    def move_leader(self, topic: str, partition: int, *, broker: int) -> None:
        """Let this broker lead the partition."""
        set_leader = librdkafka().rd_kafka_mock_partition_set_leader
        _check(set_leader(self._running(), topic.encode(), partition, broker))

    def _running(self) -> int:
        if self._cluster is None:
            raise RuntimeError("the embedded broker is down")
        return self._cluster


def _check(code: int) -> None:
    if code:
        name: bytes = librdkafka().rd_kafka_err2name(code)
        raise ValueError(f"librdkafka: {name.decode()}")
