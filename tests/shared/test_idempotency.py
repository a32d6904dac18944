import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from starlette.responses import JSONResponse

from shared.auth import Caller
from shared.clock import TurnedClock
from shared.database import Database, Transaction
from shared.errors import Conflict, Invalid
from shared.ids import new_id
from shared.web import Answer, answer_once, forget_old_answers

PORTAL = Caller("https://id.example.org", "portal", frozenset())
STRANGER = Caller("https://other.example.org", "portal", frozenset())


class Made(BaseModel):
    request_id: UUID
    accepted: int


class Work:
    """Work that counts how often it was done, and leaves a row in the database each time."""

    def __init__(self) -> None:
        self.done = 0

    async def __call__(self, tx: Transaction) -> Answer:
        self.done += 1
        await tx.raw.execute(
            "INSERT INTO inbox (consumer, event_id, claimed_at) VALUES ('work', $1, $2)", new_id(), tx.now
        )
        return Answer(202, Made(request_id=new_id(), accepted=self.done))


@pytest.fixture
def clock(database: Database) -> TurnedClock:
    """The database's clock, for this test in our hand."""
    database.clock = TurnedClock(datetime(2026, 11, 22, tzinfo=UTC))
    return database.clock


def said(response: JSONResponse) -> tuple[int, Any]:
    return response.status_code, json.loads(bytes(response.body))


async def ask(
    database: Database,
    work: Callable[[Transaction], Awaitable[Answer]],
    *,
    key: str | None = "k1",
    body: bytes = b"{}",
    caller: Caller = PORTAL,
    route: str = "POST /v1/assignments",
) -> tuple[int, Any]:
    return said(await answer_once(database, caller=caller, route=route, key=key, body=body, work=work))


async def rows(database: Database, table: str) -> int:
    async with database.reading() as tx:
        count: int = await tx.raw.fetchval(f"SELECT count(*) FROM {table}")
        return count


async def test_the_same_call_again_gets_the_first_answer_and_does_nothing(database: Database) -> None:
    work = Work()
    first = await ask(database, work)
    assert first[0] == 202
    assert [await ask(database, work) for _ in range(3)] == [first] * 3
    assert work.done == 1
    assert await rows(database, "inbox") == 1


async def test_without_a_key_the_work_is_done_each_time(database: Database) -> None:
    work = Work()
    await ask(database, work, key=None)
    await ask(database, work, key=None)
    assert work.done == 2
    assert await rows(database, "idempotency") == 0


async def test_another_body_under_the_same_key_is_refused(database: Database) -> None:
    work = Work()
    await ask(database, work)
    with pytest.raises(Invalid) as caught:
        await ask(database, work, body=b'{"other": true}')
    assert (caught.value.slug, set(caught.value.fields)) == ("idempotency_key_reused", {"idempotency-key"})
    assert work.done == 1


async def test_a_key_belongs_to_its_caller_and_route(database: Database) -> None:
    work = Work()
    await ask(database, work)
    await ask(database, work, caller=STRANGER)
    await ask(database, work, route="POST /v1/plans")
    assert work.done == 3


async def test_a_call_while_the_first_is_under_way_is_refused(database: Database) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    work = Work()

    async def slow(tx: Transaction) -> Answer:
        begun.set()
        await may_end.wait()
        return await work(tx)

    first = asyncio.create_task(ask(database, slow))
    await begun.wait()
    with pytest.raises(Conflict) as caught:
        await ask(database, work)
    assert caught.value.slug == "still_running"
    may_end.set()
    assert await first == await ask(database, work)
    assert work.done == 1


async def test_many_at_once_do_the_work_once(database: Database) -> None:
    work = Work()
    answers = await asyncio.gather(*(ask(database, work) for _ in range(20)), return_exceptions=True)
    assert {type(answer) for answer in answers} <= {tuple, Conflict}
    assert any(isinstance(answer, tuple) for answer in answers)
    assert work.done == 1


async def test_a_call_that_fails_leaves_nothing_and_may_be_repeated(database: Database) -> None:
    work = Work()

    async def failing(tx: Transaction) -> Answer:
        await work(tx)
        raise Conflict("busy", "not now")

    with pytest.raises(Conflict):
        await ask(database, failing)
    assert (await rows(database, "inbox"), await rows(database, "idempotency")) == (0, 0)
    assert (await ask(database, work))[0] == 202


async def test_an_answer_is_kept_for_a_day_and_then_forgotten(database: Database, clock: TurnedClock) -> None:
    work = Work()
    first = await ask(database, work)
    clock.turn(24 * 3600)
    assert await ask(database, work) == first
    clock.turn(1)
    second = await ask(database, work, body=b'{"other": true}')
    assert work.done == 2
    assert await ask(database, work, body=b'{"other": true}') == second


async def test_old_answers_are_deleted_by_the_schedule(database: Database, clock: TurnedClock) -> None:
    work = Work()
    await ask(database, work, key="old")
    clock.turn(24 * 3600 + 1)
    await ask(database, work, key="young")
    async with database.transaction() as tx:
        assert await forget_old_answers(tx) == 1
    assert await rows(database, "idempotency") == 1
