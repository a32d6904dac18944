"""Bucket leases: replicas of a relay share the buckets evenly, and each bucket has one publisher at a time."""

from datetime import timedelta
from uuid import UUID

from shared.database import Database
from shared.tables import BUCKETS

_HERE = """
INSERT INTO outbox_relay (owner, seen_at) VALUES ($1, $2)
ON CONFLICT (owner) DO UPDATE SET seen_at = excluded.seen_at
"""
_GONE = "DELETE FROM outbox_relay WHERE seen_at < $1"
_BUCKETS = """
INSERT INTO outbox_lease (bucket) SELECT generate_series(0, $1 - 1) ON CONFLICT DO NOTHING
"""
_RENEW = """
UPDATE outbox_lease SET expires_at = $2 WHERE owner = $1 AND expires_at > $3 RETURNING bucket
"""
_RELEASE = """
UPDATE outbox_lease SET owner = NULL, expires_at = NULL WHERE owner = $1 AND bucket = ANY ($2::smallint[])
"""
_CLAIM = """
UPDATE outbox_lease AS lease SET owner = $1, epoch = lease.epoch + 1, expires_at = $2
WHERE lease.bucket = ANY (ARRAY(
    SELECT bucket FROM outbox_lease WHERE owner IS NULL OR expires_at <= $3
    ORDER BY bucket LIMIT $4 FOR UPDATE SKIP LOCKED))
RETURNING lease.bucket
"""


class Leases:
    """The buckets that one relay may publish, renewed every third of `seconds`.

    Times are the database's, so that replicas with different clocks agree; the holder itself counts on its
    monotonic clock from before it asked, and so stops earlier than a successor begins.
    """

    def __init__(self, database: Database, *, owner: UUID, seconds: float) -> None:
        self.owner = owner
        self._database = database
        self._seconds = seconds
        self._buckets: list[int] = []
        self._asked_at = float("-inf")

    def due(self) -> bool:
        """Say whether it is time to renew."""
        return self._database.clock.monotonic() - self._asked_at > self._seconds / 3

    def held(self) -> list[int]:
        """Return the buckets that are surely ours now; none once the lease may have passed on."""
        if self._database.clock.monotonic() - self._asked_at > self._seconds * 0.9:
            return []
        return self._buckets

    async def renew(self) -> None:
        """Renew what is held, give back what exceeds the fair share, claim what is free within it."""
        asked_at = self._database.clock.monotonic()
        async with self._database.transaction() as tx:
            now = await tx.raw.fetchval("SELECT clock_timestamp()")
            until = now + timedelta(seconds=self._seconds)
            await tx.raw.execute(_HERE, self.owner, now)
            await tx.raw.execute(_GONE, now - (until - now))  # its leases are over, it has no share any more
            await tx.raw.execute(_BUCKETS, BUCKETS)
            relays = await tx.raw.fetchval("SELECT count(*) FROM outbox_relay")
            share = -(-BUCKETS // relays)
            mine = sorted(row["bucket"] for row in await tx.raw.fetch(_RENEW, self.owner, until, now))
            if len(mine) > share:
                await tx.raw.execute(_RELEASE, self.owner, mine[share:])
                mine = mine[:share]
            claimed = await tx.raw.fetch(_CLAIM, self.owner, until, now, share - len(mine))
        self._buckets = mine + [row["bucket"] for row in claimed]
        self._asked_at = asked_at

    async def give_back(self) -> None:
        """Release everything, so that the others need not wait for the leases to expire."""
        async with self._database.transaction() as tx:
            await tx.raw.execute(_RELEASE, self.owner, self._buckets)
            await tx.raw.execute("DELETE FROM outbox_relay WHERE owner = $1", self.owner)
        self._buckets = []
