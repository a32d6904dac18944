"""The C interface of librdkafka's mock cluster (rdkafka_mock.h), as the confluent-kafka wheel carries it.

librdkafka calls it experimental: the wheel is pinned, and the tests call every function declared here.
"""

import ctypes
import functools
import importlib.util
from ctypes import POINTER, c_char_p, c_int, c_int16, c_int32, c_size_t, c_void_p
from enum import IntEnum
from pathlib import Path

PRODUCER = 0
ALL_BROKERS = -1
ALREADY_EXISTS = 36
DISCONNECT = -195
"""Pushed in place of an error code, it makes the broker hang up instead of answering."""


class Api(IntEnum):
    """Kafka's request types by their ApiKey, as far as tests spoil them."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    LEAVE_GROUP = 13
    SYNC_GROUP = 14
    INIT_PRODUCER_ID = 22


# Name, result, arguments. Handles are opaque pointers; error codes are ints.
_SIGNATURES: tuple[tuple[str, type | None, tuple[type, ...]], ...] = (
    ("rd_kafka_conf_new", c_void_p, ()),
    ("rd_kafka_conf_set", c_int, (c_void_p, c_char_p, c_char_p, c_char_p, c_size_t)),
    ("rd_kafka_new", c_void_p, (c_int, c_void_p, c_char_p, c_size_t)),
    ("rd_kafka_destroy", None, (c_void_p,)),
    ("rd_kafka_err2name", c_char_p, (c_int,)),
    ("rd_kafka_mock_cluster_new", c_void_p, (c_void_p, c_int)),
    ("rd_kafka_mock_cluster_destroy", None, (c_void_p,)),
    ("rd_kafka_mock_cluster_bootstraps", c_char_p, (c_void_p,)),
    ("rd_kafka_mock_topic_create", c_int, (c_void_p, c_char_p, c_int, c_int)),
    ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, (c_void_p, c_int32)),
    ("rd_kafka_mock_push_request_errors_array", None, (c_void_p, c_int16, c_size_t, POINTER(c_int))),
    ("rd_kafka_mock_clear_request_errors", None, (c_void_p, c_int16)),
    ("rd_kafka_mock_broker_set_down", c_int, (c_void_p, c_int32)),
    ("rd_kafka_mock_broker_set_up", c_int, (c_void_p, c_int32)),
    ("rd_kafka_mock_broker_set_rtt", c_int, (c_void_p, c_int32, c_int)),
    ("rd_kafka_mock_coordinator_set", c_int, (c_void_p, c_char_p, c_char_p, c_int32)),
    ("rd_kafka_mock_partition_set_leader", c_int, (c_void_p, c_char_p, c_int32, c_int32)),
)


@functools.cache
def librdkafka() -> ctypes.CDLL:
    """Load the library once and declare the functions used. Raises FileNotFoundError without the wheel."""
    found = importlib.util.find_spec("confluent_kafka")
    if found is None or found.origin is None:
        raise FileNotFoundError("the wheel confluent-kafka is not installed")
    package = Path(found.origin).parent
    # Linux wheels carry their libraries beside the package, macOS wheels inside it.
    candidates = [
        *package.with_name("confluent_kafka.libs").glob("librdkafka*"),
        *package.glob(".dylibs/librdkafka*"),
    ]
    if not candidates:
        raise FileNotFoundError("the wheel confluent-kafka carries no librdkafka here")
    library = ctypes.CDLL(str(candidates[0]))
    for name, result, arguments in _SIGNATURES:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
