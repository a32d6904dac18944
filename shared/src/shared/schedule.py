"""What runs by the clock: each job is elected among the replicas, each run anew."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from shared.database import Database, unavailable

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do every so many seconds, by one replica at a time."""

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[object]]


class Schedule:
    """Runs each job at its pace; a job that fails is told in the log and runs again at its next time."""

    def __init__(self, database: Database, jobs: Sequence[Job]) -> None:
        self._database = database
        self._jobs = jobs

    async def run(self, stop: asyncio.Event) -> None:
        """Run all jobs until `stop` is set."""
        async with asyncio.TaskGroup() as tasks:
            for job in self._jobs:
                tasks.create_task(self._repeat(job, stop), name=job.name)

    async def _repeat(self, job: Job, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._once(job)
            try:
                async with asyncio.timeout(job.every_seconds):
                    await stop.wait()
            except TimeoutError:
                continue

    async def _once(self, job: Job) -> None:
        try:
            async with self._database.elected(job.name) as mine:
                if mine:
                    await job.run()
        except Exception as error:  # noqa: BLE001 - one job's fault must not end the others
            if not unavailable(error):
                _log.exception("a scheduled job failed", job=job.name)
            else:
                _log.warning("a scheduled job waits", job=job.name, cause=type(error).__name__)
