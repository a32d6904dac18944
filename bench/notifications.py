"""Apple's notifications: how fast they are taken in, beside the least that a route can do, and how fast read."""

import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import asyncpg

from bench.figures import Figure, Size
from bench.licensing_database import LIBRARY, NOON, begin, licensing_database
from bench.notification_doors import BARE_TABLE, opened
from bench.raw_requests import rendered, send
from licensing.handlers import Clockwork
from licensing.notification_secret import new_secret, secret_hash
from shared.ids import new_id, new_ids
from shared.vault import Secret, Vault

NAMES = ("notifications", "notifications-processed")

_NOTIFICATIONS = 10_000
_ELEMENTS = 100
_PER_EVENT = 10
"""Notifications of one event: a request about 1,000 devices comes back in so many."""
_ROUNDS = 3
_CONNECTIONS = 16

_SENT = """
WITH sent AS (INSERT INTO work (id, kind, payload, correlation_id, due_at, created_at)
              SELECT id, 'intent', '{}', id, 'infinity', $3 FROM unnest($1::uuid[]) AS id RETURNING id)
INSERT INTO intent (id, pool_id, kind, of_people, attempt, joinable, size, sent_at, event_id, work_id, created_at)
SELECT id, $2, 'associate', false, 1, false, $4, $3, id::text, id, $3 FROM sent
"""
_LEFT = """
SELECT (SELECT count(*) FROM notification WHERE processed_at IS NULL)
     + (SELECT count(*) FROM work WHERE due_at = 'infinity')
"""


async def measure(size: Size) -> list[Figure]:
    """Measure notifications per second taken in, and elements per second read; the doors take turns."""
    events = new_ids(size.of(_NOTIFICATIONS // _PER_EVENT))
    secret = new_secret()
    requests = _requests(events, secret)
    with tempfile.TemporaryDirectory() as directory:
        keys_file = Path(directory) / "keys.json"
        keys_file.write_text(Vault.generate())
        async with licensing_database() as (url, database):
            connection = await asyncpg.connect(url)
            await connection.execute(BARE_TABLE)
            clockwork = Clockwork(database, Vault.load(keys_file), ended_kept=timedelta(days=400))
            async with opened("bare", url, keys_file) as bare, opened("licensing", url, keys_file) as ours:
                rounds = []
                for _ in range(_ROUNDS):
                    await _await_answers(connection, events, secret)
                    taken = [await _taken_in(port, requests) for port in (bare, ours)]
                    rounds.append((*taken, await _read(clockwork, connection, len(requests))))
            await connection.close()
    yardstick, value, read = (statistics.median(values) for values in zip(*rounds, strict=True))
    note = f"{len(requests):,} of {_ELEMENTS} elements, median of {_ROUNDS}"
    beside = f"{_CONNECTIONS} connections; yardstick: a FastAPI route with one INSERT of the same bytes"
    return [
        Figure("notifications", value, "notifications/s", yardstick, size.note(f"{note}, {beside}")),
        Figure("notifications-processed", read * _ELEMENTS, "elements/s", note=size.note(note)),
    ]


async def _await_answers(connection: asyncpg.Connection, events: Sequence[UUID], secret: Secret) -> None:
    """Begin with requests that Apple has: each waits for the notifications of its event."""
    pool_id = await begin(connection)
    await connection.execute("TRUNCATE bare")
    await connection.execute("UPDATE library SET notification_hash = $1", secret_hash(secret.reveal()))
    await connection.execute(_SENT, events, pool_id, NOON, _PER_EVENT * _ELEMENTS)


async def _taken_in(port: int, requests: Sequence[bytes]) -> float:
    """Return how many a second were answered."""
    began = time.perf_counter()
    await send(port, requests, connections=_CONNECTIONS)
    return len(requests) / (time.perf_counter() - began)


async def _read(clockwork: Clockwork, connection: asyncpg.Connection, count: int) -> float:
    """Return how many a second the clock reads; in the end every event has been told of, and is looked at."""
    began = time.perf_counter()
    await clockwork.read_notifications()
    seconds = time.perf_counter() - began
    if left := await connection.fetchval(_LEFT):
        raise RuntimeError(f"{left} notifications or requests were left")
    return count / seconds


def _requests(events: Sequence[UUID], secret: Secret) -> list[bytes]:
    """Return what Apple sends about each event, in parts."""
    authorization = f"Bearer {secret.reveal().decode()}"
    bodies = [_body(event_id, part) for event_id in events for part in range(_PER_EVENT)]
    return [rendered(f"/apple/notifications/{LIBRARY}", body, authorization=authorization) for body in bodies]


def _body(event_id: UUID, part: int) -> bytes:
    said = {
        "notificationId": str(new_id()),
        "notificationType": "ASSET_MANAGEMENT",
        "uId": LIBRARY,
        "notification": {
            "type": "ASSOCIATE",
            "result": "SUCCESS",
            "eventId": str(event_id),
            "assignments": [
                {"adamId": "361309726", "pricingParam": "STDQ", "serialNumber": f"S{part:06}{place:04}"}
                for place in range(_ELEMENTS)
            ],
        },
    }
    return json.dumps(said, separators=(",", ":")).encode()
