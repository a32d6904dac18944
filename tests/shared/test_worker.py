import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from shared import worker
from shared.database import Database
from shared.errors import Unavailable
from shared.ids import new_id
from shared.worker import LeaseLost, NewWork, Step, Worker, WorkerSettings, WorkRow
from tests.shared.conftest import fetch
from tests.shared.consuming import until

QUICK = WorkerSettings(first_retry_seconds=0.05, longest_retry_seconds=0.1)


@asynccontextmanager
async def working(
    database: Database, steps: dict[str, Step], settings: WorkerSettings = QUICK
) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(Worker(database, steps, settings).run(stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(10):
            await task


async def add(database: Database, *payloads: dict[str, Any]) -> None:
    async with database.transaction() as tx:
        await worker.add(tx, [NewWork("mail", payload, new_id()) for payload in payloads])


async def until_empty(database: Database) -> None:
    async with asyncio.timeout(10):
        while await fetch(database, "SELECT id FROM work"):
            await asyncio.sleep(0.02)


async def test_each_row_is_done_once_by_however_many_workers(database: Database) -> None:
    done: list[object] = []

    async def step(row: WorkRow) -> None:
        await asyncio.sleep(0)
        async with database.transaction() as tx:
            await worker.finish(tx, row)
        done.append(row.payload["number"])

    await add(database, *({"number": number} for number in range(60)))
    async with working(database, {"mail": step}), working(database, {"mail": step}):
        await until_empty(database)
    assert sorted(str(number) for number in done) == sorted(str(number) for number in range(60))


async def test_what_is_unavailable_is_tried_again_until_it_is_done(database: Database) -> None:
    tries: list[int] = []

    async def step(row: WorkRow) -> None:
        tries.append(row.attempts)
        if row.attempts < 3:
            raise Unavailable("mail_relay_down")
        async with database.transaction() as tx:
            await worker.finish(tx, row)

    await add(database, {})
    async with working(database, {"mail": step}):
        await until_empty(database)
    assert tries == [0, 1, 2, 3]


async def test_a_step_that_fails_keeps_its_row_with_the_cause(database: Database) -> None:
    async def step(_row: WorkRow) -> None:
        raise ValueError

    await add(database, {})
    async with working(database, {"mail": step}):
        async with asyncio.timeout(10):
            while not await fetch(
                database, "SELECT id FROM work WHERE problem = 'ValueError' AND attempts > 1"
            ):
                await asyncio.sleep(0.02)


async def test_a_row_goes_on_with_its_next_part(database: Database) -> None:
    cursors: list[object] = []

    async def step(row: WorkRow) -> None:
        cursor = int(row.payload["cursor"])
        cursors.append(cursor)
        async with database.transaction() as tx:
            if cursor == 3:
                await worker.finish(tx, row)
            else:
                await worker.proceed(tx, row, payload={"cursor": cursor + 1}, due_at=tx.now)

    await add(database, {"cursor": 0})
    async with working(database, {"mail": step}):
        await until_empty(database)
    assert cursors == [0, 1, 2, 3]


async def test_scenario_32_a_frozen_worker_that_wakes_writes_nothing(database: Database) -> None:
    """Its lease passed to another worker meanwhile, whose outcome stands."""
    frozen, woken = asyncio.Event(), asyncio.Event()
    outcomes: list[str] = []

    async def slow(row: WorkRow) -> None:
        frozen.set()
        await woken.wait()
        with pytest.raises(LeaseLost):
            async with database.transaction() as tx:
                await worker.finish(tx, row)
        outcomes.append("lost")

    async def quick(row: WorkRow) -> None:
        async with database.transaction() as tx:
            await worker.finish(tx, row)
        outcomes.append("done")

    await add(database, {})
    async with working(database, {"mail": slow}, WorkerSettings(concurrency=1, lease_seconds=20)):
        await frozen.wait()
        await fetch(database, "UPDATE work SET leased_until = now() - interval '1 second'")
        async with working(database, {"mail": quick}):
            await until_empty(database)
        woken.set()
    assert outcomes == ["done", "lost"]


async def test_a_stop_lets_steps_come_to_their_end_and_cuts_off_what_takes_too_long(
    database: Database,
) -> None:
    begun: list[object] = []

    async def step(row: WorkRow) -> None:
        begun.append(row.payload["seconds"])
        await asyncio.sleep(row.payload["seconds"])
        async with database.transaction() as tx:
            await worker.finish(tx, row)

    await add(database, {"seconds": 0.3}, {"seconds": 60})
    began = time.monotonic()
    async with working(database, {"mail": step}, WorkerSettings(stop_seconds=1.0)):
        await until(lambda: len(begun) == 2)
    assert time.monotonic() - began < 5
    [left] = await fetch(database, "SELECT payload, leased_until > now() AS leased FROM work")
    assert (left["payload"], left["leased"]) == ({"seconds": 60}, True)


async def test_a_worker_does_only_the_kinds_it_has_steps_for(database: Database) -> None:
    async def step(row: WorkRow) -> None:
        async with database.transaction() as tx:
            await worker.finish(tx, row)

    async with database.transaction() as tx:
        await worker.add(tx, [NewWork("fax", {}, new_id()), NewWork("mail", {}, new_id())])
    async with working(database, {"mail": step}):
        async with asyncio.timeout(10):
            while len(await fetch(database, "SELECT id FROM work")) > 1:
                await asyncio.sleep(0.02)
    assert [row["kind"] for row in await fetch(database, "SELECT kind FROM work")] == ["fax"]


async def test_only_what_was_never_tried_is_brought_forward(database: Database) -> None:
    """What failed once waits as long as it was asked to."""
    await add(database, {}, {}, {})
    fresh, failed, due = [row["id"] for row in await fetch(database, "SELECT id FROM work ORDER BY id")]
    await put_off(database, fresh, attempts=0)
    await put_off(database, failed, attempts=1)
    async with database.transaction() as tx:
        await worker.hasten(tx, [failed, fresh, due])
    assert await waiting(database) == [failed]


async def test_what_failed_is_resumed_and_what_is_planned_for_later_is_not(database: Database) -> None:
    await add(database, {}, {}, {})
    planned, failed, taken = [row["id"] for row in await fetch(database, "SELECT id FROM work ORDER BY id")]
    await put_off(database, planned, attempts=0)
    for row_id in (failed, taken):
        await put_off(database, row_id, attempts=1)
    await fetch(database, "UPDATE work SET lease = id WHERE id = $1", taken)
    async with database.transaction() as tx:
        await worker.resume(tx)
    assert await waiting(database) == [planned, taken]


@pytest.mark.parametrize("attempts", [0, 1], ids=["hasten", "resume"])
async def test_two_who_bring_the_same_rows_forward_do_not_block_each_other(
    database: Database, attempts: int
) -> None:
    await add(database, {}, {})
    first, last = [row["id"] for row in await fetch(database, "SELECT id FROM work ORDER BY id")]
    for row_id in (last, first):  # a plain scan comes to the first one last
        await put_off(database, row_id, attempts=attempts)

    async def both() -> None:
        async with database.transaction() as tx:
            await tx.raw.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off")
            await (worker.resume(tx) if attempts else worker.hasten(tx, [last, first]))

    async with database.transaction() as tx:
        lock = "SELECT FROM work WHERE id = $1 FOR UPDATE"
        await tx.raw.execute(lock, first)
        other = asyncio.create_task(both())
        while not await fetch(database, "SELECT FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.01)
        await tx.raw.execute(lock, last)
    await other
    assert await waiting(database) == []


async def put_off(database: Database, row_id: UUID, *, attempts: int) -> None:
    statement = "UPDATE work SET due_at = due_at + interval '1 hour', attempts = $2 WHERE id = $1"
    await fetch(database, statement, row_id, attempts)


async def waiting(database: Database) -> list[UUID]:
    """Return what is not due yet."""
    return [
        row["id"] for row in await fetch(database, "SELECT id FROM work WHERE due_at > now() ORDER BY id")
    ]
