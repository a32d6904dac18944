import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from shared import schedule
from shared.database import Database
from shared.errors import Unavailable
from shared.schedule import Job, Schedule, repeat
from tests.shared.conftest import fetch
from tests.shared.consuming import until


@asynccontextmanager
async def scheduling(*schedules: Schedule) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [asyncio.create_task(each.run(stop)) for each in schedules]
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)


class Diary:
    """When something ran, and how often at once."""

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.times: list[float] = []
        self.at_once = 0
        self._running = 0
        self._seconds = seconds

    async def write(self) -> None:
        self.times.append(time.monotonic())
        self._running += 1
        self.at_once = max(self.at_once, self._running)
        await asyncio.sleep(self._seconds)
        self._running -= 1


async def test_one_of_two_replicas_is_elected_for_each_run(database: Database) -> None:
    """However many there are, a job keeps its pace."""
    diary = Diary(seconds=0.05)
    jobs = [Job("sweep", 0.3, diary.write)]
    began = time.monotonic()
    async with scheduling(*(Schedule(database, jobs) for _ in range(3))):
        await until(lambda: len(diary.times) >= 5)
    assert diary.at_once == 1
    assert len(diary.times) <= 1.1 + (time.monotonic() - began) / 0.3


async def test_a_job_that_takes_too_long_holds_up_no_stop_and_leaves_its_office(database: Database) -> None:
    diary = Diary(seconds=60)
    jobs = [Job("reconcile", 0.1, diary.write)]
    async with scheduling(Schedule(database, jobs, stop_seconds=0.2)):
        await until(lambda: bool(diary.times))
        began = time.monotonic()
    assert time.monotonic() - began < 2
    async with scheduling(Schedule(database, jobs, stop_seconds=0.2)):
        await until(lambda: len(diary.times) == 2)


async def test_a_restart_does_not_run_a_job_before_its_time(database: Database) -> None:
    diary = Diary()
    for _ in range(3):
        async with scheduling(Schedule(database, [Job("daily", 86_400, diary.write)])):
            await asyncio.sleep(0.15)
    assert len(diary.times) == 1
    await fetch(database, "UPDATE job SET ran_at = ran_at - interval '1 day'")
    async with scheduling(Schedule(database, [Job("daily", 86_400, diary.write)])):
        await until(lambda: len(diary.times) == 2)


@pytest.mark.parametrize("error", [ValueError(), Unavailable("not now")])
async def test_a_job_that_fails_runs_again_and_does_not_end_the_others(
    database: Database, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "_RETRY_SECONDS", 0.1)
    diary, tries = Diary(), 0

    async def stumble() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise error

    jobs = [Job("stumble", 3600, stumble), Job("walk", 0.1, diary.write)]
    async with scheduling(Schedule(database, jobs)):
        await until(lambda: tries == 3 and len(diary.times) > 3)
        await asyncio.sleep(0.3)
    assert tries == 3  # it came to its end: now it has an hour


async def test_more_jobs_than_connections_do_not_hold_each_other_up(database: Database) -> None:
    diary = Diary()

    async def work() -> None:
        async with database.transaction() as tx:
            await tx.raw.execute("SELECT 1")
            await diary.write()

    jobs = [Job(f"job {number}", 0.2, work) for number in range(12)]
    async with scheduling(Schedule(database, jobs)):
        await until(lambda: len(diary.times) >= 24)
    assert diary.at_once <= 3


async def test_a_stop_lets_a_job_come_to_its_end(database: Database) -> None:
    diary = Diary(seconds=0.5)
    done: list[bool] = []

    async def work() -> None:
        await diary.write()
        done.append(True)

    async with scheduling(Schedule(database, [Job("slow", 3600, work)])):
        await until(lambda: bool(diary.times))
    assert done == [True]


async def test_what_every_process_repeats_goes_on_when_the_database_is_away() -> None:
    stop = asyncio.Event()
    ran: list[int] = []

    async def run() -> None:
        ran.append(1)
        if len(ran) == 3:
            stop.set()
        raise ConnectionError

    async with asyncio.timeout(20):
        await repeat(stop, 0.01, run)
    assert len(ran) == 3


async def test_what_every_process_repeats_does_not_hide_a_fault() -> None:
    async def fail() -> None:
        raise ValueError("a fault of ours")

    with pytest.raises(ValueError, match="a fault of ours"):
        await repeat(asyncio.Event(), 0.01, fail)
