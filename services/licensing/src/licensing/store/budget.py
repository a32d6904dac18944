"""The request budget of a library: one row that all replicas take their turns from."""

from shared.database import Database
from shared.errors import Unavailable

MOST_SECONDS = 20.0
"""Who would have to wait longer comes again later, and keeps no turn."""

_MARGIN = 0.9
"""Apple counts arrivals, and the network bunches what was evenly spaced: stay below its limit."""

_SLOWEST = 16.0
_RECOVERY = 0.97
"""Each turn brings a library that was slowed down this much nearer to its full rate."""

_TAKE = """
UPDATE library SET next_request_at = greatest(library.next_request_at, clock_timestamp())
                                   + make_interval(secs => $2::float8 * former.slowness),
                   slowness = greatest(1, former.slowness * $4::float8)
FROM (SELECT id, slowness FROM library WHERE id = $1 FOR UPDATE) AS former
WHERE library.id = former.id
  AND coalesce(library.next_request_at, '-infinity') <= clock_timestamp() + make_interval(secs => $3::float8)
RETURNING extract(epoch FROM library.next_request_at - clock_timestamp())::float8 - $2::float8 * former.slowness
"""
_PAUSE = """
UPDATE library SET next_request_at =
       greatest(next_request_at, clock_timestamp() + make_interval(secs => $2::float8))
WHERE id = $1
"""
_SLOW_DOWN = """
UPDATE library SET slowness = least($3::float8, slowness * 2), next_request_at =
       greatest(next_request_at, clock_timestamp() + make_interval(secs => coalesce($2::float8, slowness)))
WHERE id = $1
"""


class RequestBudget:
    """Turns evenly spaced, by the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, library_id: str, *, per_second: float) -> float:
        """Take the next turn of a stored library and return the seconds until it.

        Raises Unavailable when it is too far off; no turn is taken then.
        """
        rows = await self._database.fetch(
            _TAKE, library_id, 1.0 / (per_second * _MARGIN), MOST_SECONDS, _RECOVERY
        )
        if not rows:
            raise Unavailable("apple_budget", retry_after_seconds=MOST_SECONDS)
        return max(0.0, float(rows[0][0]))

    async def pause(self, library_id: str, seconds: float) -> None:
        """Let no turn begin for so long."""
        async with self._database.transaction() as tx:
            await tx.raw.execute(_PAUSE, library_id, seconds)

    async def slow_down(self, library_id: str, seconds: float | None) -> None:
        """Halve the rate, and let no turn begin for so long; None: longer each time that Apple says so (9646).

        The rate recovers with the turns that are taken.
        """
        async with self._database.transaction() as tx:
            await tx.raw.execute(_SLOW_DOWN, library_id, seconds, _SLOWEST)
