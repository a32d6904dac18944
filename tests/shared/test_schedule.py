"""What runs by the clock: every job at its pace, whatever the others do, by one replica at a time."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shared.database import Database
from shared.schedule import Job, Schedule
from tests.conftest import NewDatabase

OFTEN = 0.05


@asynccontextmanager
async def scheduled(*schedules: Schedule) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [asyncio.create_task(schedule.run(stop)) for schedule in schedules]
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await asyncio.gather(*tasks)


@pytest.fixture
async def small(new_database: NewDatabase) -> AsyncIterator[Database]:
    """A database to which few connections lead."""
    database = Database(await new_database("schedule"), pool_size=6)
    yield database
    await database.close()


async def test_more_jobs_than_connections_all_run_though_each_needs_two(small: Database) -> None:
    ran = Counter[str]()

    def job(name: str) -> Job:
        async def run() -> None:
            async with small.transaction() as tx:
                await tx.raw.execute("SELECT pg_sleep(0.01)")
            ran[name] += 1

        return Job(name, OFTEN, run)

    names = [f"job {number}" for number in range(12)]
    async with scheduled(Schedule(small, [job(name) for name in names])), asyncio.timeout(10):
        while min(ran[name] for name in names) < 2:
            await asyncio.sleep(0.02)


async def test_a_job_that_fails_runs_again_and_holds_up_nobody(small: Database) -> None:
    ran = Counter[str]()

    async def fail() -> None:
        ran["fails"] += 1
        raise ValueError("as the test wants it")

    async def work() -> None:
        ran["works"] += 1

    jobs = [Job("fails", OFTEN, fail), Job("works", OFTEN, work)]
    async with scheduled(Schedule(small, jobs)), asyncio.timeout(10):
        while min(ran["fails"], ran["works"]) < 2:
            await asyncio.sleep(0.02)


async def test_a_job_is_run_by_one_replica_at_a_time(small: Database) -> None:
    running, most = 0, 0

    async def run() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1

    replicas = [Schedule(small, [Job("the office", 0.01, run)]) for _ in range(2)]
    async with scheduled(*replicas):
        await asyncio.sleep(0.5)
    assert most == 1
