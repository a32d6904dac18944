"""A POST that creates may be sent twice: with an `Idempotency-Key` the second call gets the first answer again.

The answer is stored in the transaction of the work itself, so there is no moment in which one exists without the
other. A call that fails stores nothing, and may be repeated with its key.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Header
from fastapi.encoders import jsonable_encoder
from starlette.responses import JSONResponse

from shared.auth import Caller
from shared.database import Database, Transaction
from shared.errors import Conflict, Invalid
from shared.locks import advisory_key
from shared.metrics import IDEMPOTENT_REPEATS

KEPT = timedelta(hours=24)

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        description="Any text of the caller's; the same key and body on the same route get the first answer again.",
    ),
]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call is answered: a status, and a body that is JSON or pydantic models."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class _Call:
    """One call as it is recognized: who, where, the key, and the digest of the body's bytes."""

    caller: str
    route: str
    key: str
    body_digest: bytes


async def answer_once(
    database: Database,
    *,
    caller: Caller,
    route: str,
    key: str | None,
    body: bytes,
    work: Callable[[Transaction], Awaitable[Answer]],
) -> JSONResponse:
    """Do `work` and answer it, both in one transaction; without a key, every time.

    With a key of this caller and route: the first answer again if the body is the same, byte by byte. Raises
    Invalid if it is another, Conflict while the first call is still under way.
    """
    async with database.transaction() as tx:
        if key is None:
            return _response(await work(tx))
        call = _call(caller, route, key, body)
        if known := await _known(tx, call):
            return known
        answer = await work(tx)
        response = _response(answer)
        await _store(tx, call, response)
        return response


async def first_answer(
    database: Database, *, caller: Caller, route: str, key: str | None, body: bytes
) -> JSONResponse | None:
    """Return what such a call was answered before, None where it was not; raises as `answer_once` does.

    For a route that asks somebody outside before its transaction: a repeat must not depend on their answer.
    """
    if key is None:
        return None
    async with database.transaction() as tx:
        return await _known(tx, _call(caller, route, key, body))


async def forget_old_answers(tx: Transaction) -> int:
    """Delete the answers that are older than a day; return how many."""
    status: str = await tx.raw.execute("DELETE FROM idempotency WHERE created_at < $1", tx.now - KEPT)
    return int(status.rpartition(" ")[2])


def _call(caller: Caller, route: str, key: str, body: bytes) -> _Call:
    return _Call(f"{caller.issuer} {caller.subject}", route, key, hashlib.sha256(body).digest())


async def _known(tx: Transaction, call: _Call) -> JSONResponse | None:
    lock = advisory_key("idempotency", call.caller, call.route, call.key)
    if not await tx.raw.fetchval("SELECT pg_try_advisory_xact_lock($1)", lock):
        IDEMPOTENT_REPEATS.labels("under_way").inc()
        raise Conflict("still_running", "the first call with this Idempotency-Key is still under way")
    row = await tx.raw.fetchrow(
        "SELECT body_digest, status, answer FROM idempotency"
        " WHERE caller = $1 AND route = $2 AND key = $3 AND created_at >= $4",
        call.caller,
        call.route,
        call.key,
        tx.now - KEPT,
    )
    if row is None:
        return None
    if row["body_digest"] != call.body_digest:
        IDEMPOTENT_REPEATS.labels("another_body").inc()
        detail = "this Idempotency-Key came with another body before"
        raise Invalid("idempotency_key_reused", detail, fields={"idempotency-key": detail})
    IDEMPOTENT_REPEATS.labels("repeated").inc()
    return JSONResponse(row["answer"], status_code=row["status"])


async def _store(tx: Transaction, call: _Call, response: JSONResponse) -> None:
    await tx.raw.execute(
        "INSERT INTO idempotency (caller, route, key, body_digest, status, answer, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)"
        " ON CONFLICT (caller, route, key) DO UPDATE SET body_digest = excluded.body_digest,"
        " status = excluded.status, answer = excluded.answer, created_at = excluded.created_at",
        call.caller,
        call.route,
        call.key,
        call.body_digest,
        response.status_code,
        bytes(response.body).decode(),
        tx.now,
    )


def _response(answer: Answer) -> JSONResponse:
    return JSONResponse(jsonable_encoder(answer.body), status_code=answer.status)
