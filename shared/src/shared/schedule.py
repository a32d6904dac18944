"""What runs by the clock: each job at its own pace however many replicas there are, and however often they start."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from shared.database import Database, unavailable
from shared.waiting import pause

_log = structlog.get_logger(__name__)

_AT_ONCE = 3
"""Jobs that run at the same time. Each holds a connection for its office and takes another for its work: more
of them, all begun at the start, could hold every connection of the pool and wait for one more for ever."""

_STOP_SECONDS = 10.0
"""What a job gets to come to its end: less than the grace of the process, for others stop after it."""

_RETRY_SECONDS = 60.0
_LOOK_SECONDS = 5.0

_NEXT = """
SELECT clock_timestamp() AS now,
       (SELECT extract(epoch FROM ran_at - clock_timestamp())::float8 + $2::float8 FROM job WHERE name = $1) AS seconds
"""
_RAN = (
    "INSERT INTO job (name, ran_at) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET ran_at = excluded.ran_at"
)


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do every so many seconds, by one replica at a time."""

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[object]]


class Schedule:
    """Runs each job at its pace; one that fails is told in the log, and runs again after a minute at most.

    When a job last came to its end is stored: a restart does not run it again before its time. Its office, an
    advisory lock, keeps two replicas from running it at once.
    """

    def __init__(
        self, database: Database, jobs: Sequence[Job], *, stop_seconds: float = _STOP_SECONDS
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._stop_seconds = stop_seconds
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def run(self, stop: asyncio.Event) -> None:
        """Run all jobs until `stop` is set; one under way that takes too long then is cut off, and runs again."""
        running = [asyncio.create_task(self._repeat(job, stop), name=job.name) for job in self._jobs]
        try:
            await stop.wait()
            if running:
                await asyncio.wait(running, timeout=self._stop_seconds)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _repeat(self, job: Job, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                _, seconds = await self._next(job)
                if seconds <= 0:
                    seconds = await self._turn(job)
            except Exception as error:  # noqa: BLE001 - one job's fault must not end the others
                if not unavailable(error):
                    _log.exception("a scheduled job failed", job=job.name)
                else:
                    _log.warning("a scheduled job waits", job=job.name, cause=type(error).__name__)
                seconds = min(job.every_seconds, _RETRY_SECONDS)
            await pause(stop, seconds)

    async def _turn(self, job: Job) -> float:
        """Run a job that is due, unless another replica is at it; return in how many seconds to look again."""
        async with self._turns, self._database.elected(job.name) as mine:
            if not mine:
                return min(job.every_seconds, _LOOK_SECONDS)
            began_at, seconds = await self._next(job)
            if seconds <= 0:
                await job.run()
                async with self._database.transaction() as tx:
                    await tx.raw.execute(_RAN, job.name, began_at)
        return 0.0

    async def _next(self, job: Job) -> tuple[datetime, float]:
        """Return the database's time and in how many seconds the job is due."""
        [row] = await self._database.fetch(_NEXT, job.name, job.every_seconds)
        return row["now"], row["seconds"] or 0.0


async def repeat(stop: asyncio.Event, seconds: float, run: Callable[[], Awaitable[object]]) -> None:
    """Do something in this process, whatever the others do, at this pace until `stop` is set."""
    while not stop.is_set():
        try:
            await run()
        except Exception as error:
            if not unavailable(error):
                raise
        await pause(stop, seconds)
