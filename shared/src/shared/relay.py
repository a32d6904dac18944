"""The relay: takes events from the outbox to Kafka, in order, and deletes them once they are acknowledged."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from shared import metrics
from shared.database import Database, unavailable
from shared.ids import new_id
from shared.kafka import KafkaConnection
from shared.leases import Leases
from shared.outbox import unpack
from shared.publisher import Publisher, PublishFailed, ToPublish
from shared.retry import Backoff
from shared.waiting import pause

_log = structlog.get_logger(__name__)

_STUCK_SECONDS = 120.0

# Values stay where they are stored until it is known which rows are wanted. NOT IN is hashed, NOT = ANY is not.
_TAKE = """
WITH gone AS (DELETE FROM outbox WHERE id = ANY ($1::bigint[]))
SELECT id, topic, key, headers, value
FROM (SELECT *, sum(bytes) OVER (ORDER BY id) - bytes AS bytes_before
      FROM (SELECT *, coalesce(octet_length(value), 0) AS bytes FROM outbox
            WHERE bucket = ANY ($2::smallint[]) AND id NOT IN (SELECT unnest($1::bigint[]))
            ORDER BY id LIMIT $3) AS first) AS counted
WHERE bytes_before < $4 ORDER BY id
"""
_DELETE = "DELETE FROM outbox WHERE id = ANY ($1::bigint[])"


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """`batch` rows or `batch_bytes` are read at once.

    While there is nothing to do, polling slows down from `fastest` to `slowest` seconds; while the broker takes
    nothing, the pause between tries grows to `trouble`.
    """

    batch: int = 2000
    batch_bytes: int = 16_000_000
    fastest_seconds: float = 0.005
    slowest_seconds: float = 0.25
    trouble_seconds: float = 5.0
    lease_seconds: float = 15.0
    send_deadline_seconds: float = 10.0


class Relay:
    """Publishes the buckets it holds leases for. Replicas share the buckets; a bucket has one publisher.

    Whatever happens an event is sent at least once: consumers know it again by its id.
    """

    def __init__(
        self, database: Database, kafka: KafkaConnection, settings: RelaySettings | None = None
    ) -> None:
        self._database = database
        self._settings = settings or RelaySettings()
        self._publisher = Publisher(kafka, deadline_seconds=self._settings.send_deadline_seconds)
        self._leases = Leases(database, owner=new_id(), seconds=self._settings.lease_seconds)
        self._acknowledged: list[int] = []
        self._turned_at = database.clock.monotonic()

    @property
    def owner(self) -> UUID:
        """The id under which this relay holds its leases."""
        return self._leases.owner

    def progressing(self) -> bool:
        """Say whether the loop still turns; what it cannot reach does not count against it."""
        return self._database.clock.monotonic() - self._turned_at < _STUCK_SECONDS

    async def run(self, stop: asyncio.Event) -> None:
        """Publish until `stop` is set, then finish the batch at hand and give the leases back."""
        trouble = Backoff(most=self._settings.trouble_seconds)
        while not stop.is_set():
            try:
                await self._turn(stop, trouble)
            except PublishFailed as error:
                _log.warning("relay: the broker does not take events", cause=error.cause)
                await pause(stop, trouble.next())
            except Exception as error:
                if not unavailable(error):
                    raise
                _log.warning("relay: the database does not answer", cause=type(error).__name__)
                await pause(stop, trouble.next())
        await self.close()

    async def drain(self) -> int:
        """Publish whatever is there now and return how many events it was. Raises PublishFailed."""
        published = 0
        while (count := await self._publish_batch()) > 0:
            published += count
        return published

    async def close(self) -> None:
        """Delete what was acknowledged last, give the leases back, close the producer."""
        try:
            await self._delete_acknowledged()
            await self._leases.give_back()
        except Exception as error:
            if not unavailable(error):
                raise
            _log.warning("relay: leases were left to expire", cause=type(error).__name__)
        await self._publisher.close()

    async def _turn(self, stop: asyncio.Event, trouble: Backoff) -> None:
        """Publish until the outbox is empty, then wait: a nudge ends the wait, else polling slows down."""
        wait = Backoff(first=self._settings.fastest_seconds, most=self._settings.slowest_seconds)
        while not stop.is_set():
            self._turned_at = self._database.clock.monotonic()
            published = await self._publish_batch()
            trouble.reset()
            if published or await self._database.nudges.outbox.wait(wait.next()):
                wait.reset()

    async def _publish_batch(self) -> int:
        """Delete what was acknowledged, read the next rows and publish them; return how many were sent."""
        if self._leases.due():
            await self._delete_acknowledged()  # a bucket that is given up takes with it what was sent already
            await self._leases.renew()
        buckets = self._leases.held()
        rows = await self._take(buckets) if buckets else []
        if not rows or not self._leases.held():  # the read may have taken longer than the lease
            return 0
        try:
            self._acknowledged = await self._publisher.publish([_to_publish(row) for row in rows])
        except PublishFailed as error:
            self._acknowledged = error.acknowledged
            raise
        finally:
            metrics.EVENTS_PUBLISHED.inc(len(self._acknowledged))
        return len(self._acknowledged)

    async def _delete_acknowledged(self) -> None:
        async with self._database.transaction() as tx:
            await tx.raw.execute(_DELETE, self._acknowledged)
        self._acknowledged = []

    async def _take(self, buckets: Sequence[int]) -> Sequence[Mapping[str, Any]]:
        """Read the first rows of these buckets; those acknowledged before are deleted on the same trip.

        Always from the beginning: a row with a lower id may have been committed meanwhile.
        """
        settings = self._settings
        rows = await self._database.fetch(
            _TAKE, self._acknowledged, buckets, settings.batch, settings.batch_bytes
        )
        self._acknowledged = []
        return rows


def _to_publish(row: Mapping[str, Any]) -> ToPublish:
    return ToPublish(row["id"], row["topic"], row["key"], unpack(row["headers"]), row["value"])
