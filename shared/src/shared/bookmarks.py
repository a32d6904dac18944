"""Where a consumer means to go on in each partition: so it notices records that were gone before it came (pure)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition

Places = dict[TopicPartition, int]
"""An offset in each of some partitions."""


class Bookmarks:
    """The next offset of every partition that is ours. Offsets of one partition have no holes but lost records.

    (That is so where topics are not compacted and nobody writes in Kafka transactions.)
    """

    def __init__(self) -> None:
        self._next: Places = {}

    def forget(self) -> None:
        """Forget everything: the partitions go, and whoever has them next moves on in them."""
        self._next.clear()

    def standing(self, offsets: Mapping[TopicPartition, int]) -> Places:
        """Return those offsets in whose partitions a bookmark still stands."""
        return {partition: offset for partition, offset in offsets.items() if partition in self._next}

    def missing(self, partitions: Iterable[TopicPartition]) -> list[TopicPartition]:
        """Return those of which we do not know where to go on."""
        return sorted(partition for partition in partitions if partition not in self._next)

    def place(self, committed: Mapping[TopicPartition, int | None], begins: Places) -> Places:
        """Begin to follow partitions; return where the log begins in those that lost unread records.

        Nothing committed means nothing read, or so long ago that the broker forgot it: the log should begin at 0.
        """
        lost = {}
        for partition, offset in committed.items():
            begin = begins.get(partition, 0)
            if begin > (offset or 0):
                lost[partition] = begin
            self._next[partition] = max(begin, offset or 0)
        return lost

    def move(self, records: Mapping[TopicPartition, Sequence[Any]]) -> Places:
        """Move behind these records; return the first offset of those that do not follow the ones before."""
        lost = {}
        for partition, got in records.items():
            first = got[0].offset
            if first > self._next.get(partition, first):
                lost[partition] = first
            self._next[partition] = got[-1].offset + 1
        return lost
