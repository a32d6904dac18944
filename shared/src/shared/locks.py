"""The one order in which every transaction takes its locks, and the names of advisory locks.

A pool has several writers, an entitlement too: whoever locks in this order cannot deadlock, and whoever
appends to the outbox after the last lock publishes in the order in which the locks were held.
"""

import hashlib
from enum import IntEnum


class Rung(IntEnum):
    """A transaction only ever climbs: it may take locks of its present rung or a higher one."""

    START = 0
    WORK = 1
    PEOPLE = 2
    GROUPS = 3
    TARGETS = 4
    POOLS = 5
    COUNTERS = 6
    OUTBOX = 7


def advisory_key(*parts: str) -> int:
    """Return the 64-bit key of an advisory lock that is known by these words."""
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
