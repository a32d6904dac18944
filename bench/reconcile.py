"""Reconciling one app's 100,000 assignments, Apple's 15 requests a second on, in a worker's process of its own."""

import asyncio
import json
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx2

from bench.figures import Figure, Size
from bench.licensing_database import ASSET_ID, LIBRARY, NOON, begin, licensing_database
from bench.machine import most_resident_megabytes
from licensing import work
from licensing.apple import Apple, Wire, http_client
from licensing.handlers import begin_reconciliations
from licensing.steps import Claims, Desk, Pace, steps
from licensing.store.budget import RequestBudget
from local.waiting import until
from shared.clock import SystemClock
from shared.database import Database
from shared.ids import new_id, new_ids
from shared.vault import Vault
from shared.worker import Worker, WorkerSettings

NAMES = ("reconcile-100k",)

_ASSIGNMENTS = 100_000
_SECONDS = 30.0  # what it may take
_STRAYS = 100  # one in so many is foreign, and as many were taken
_IN_A_REQUEST = 1_000
_ADAM_ID = "361309726"
_PATIENCE_SECONDS = 300.0

_INSERT_LICENSES = """
INSERT INTO license (entitlement_id, pool_id, asset_id, serial_number, version, state, correlation_id, priority,
                     arrival, no_wait, changed_at)
SELECT id, $1, $2, serial_number, 1, 'assigned', $1, 0, arrival, false, $5
FROM unnest($3::uuid[], $4::text[]) WITH ORDINALITY AS new (id, serial_number, arrival)
"""
_INSERT_RIGHT = """
INSERT INTO content_token (id, library_id, sealed, organization_name, expires_at, created_by, created_at)
VALUES ($1, $2, $3, 'School', $4, 'bench', $5)
"""
_ENDED = "SELECT ended_at FROM reconciliation WHERE state = 'ended'"
_FOUND = "SELECT class, count(*) FROM difference GROUP BY class"


@dataclass(frozen=True, slots=True)
class _Ground:
    """Where the worker finds everything."""

    database_url: str
    apple_url: str
    ca_file: str
    keys_file: str


async def measure(size: Size) -> list[Figure]:
    """Measure the seconds from the asking to the end, and the most that the worker's process held."""
    count = size.of(_ASSIGNMENTS)
    strays = count // _STRAYS
    serials = [f"BENCH{number:07}" for number in range(count + strays)]
    ours, apples = serials[:count], serials[strays:]
    async with _opened(ours, apples) as ground:
        said = await _run(ground)
    if said["found"] != {"taken": strays, "foreign": strays}:
        raise RuntimeError(f"other differences than there are: {said['found']}")
    note = f"{count:,} assignments of one app, {strays:,} foreign and {strays:,} taken found among them; the"
    note = f"{note} worker's process held at most {said['megabytes']:.0f} MB"
    return [
        Figure(NAMES[0], said["seconds"], "s", yardstick=_SECONDS, note=size.note(note), less_is_better=True)
    ]


@asynccontextmanager
async def _opened(ours: Sequence[str], apples: Sequence[str]) -> AsyncIterator[_Ground]:
    """Let one side hold licences of these devices, and the other of those."""
    with tempfile.TemporaryDirectory() as directory:
        keys_file = Path(directory) / "keys.json"
        keys_file.write_text(Vault.generate())
        async with licensing_database() as (url, _), _apple(apples) as (apple_url, ca_file, token):
            connection = await asyncpg.connect(url)
            pool_id = await begin(connection)
            await _store(connection, pool_id, ours, token=(Vault.load(keys_file), token))
            await connection.close()
            yield _Ground(url, apple_url, ca_file, str(keys_file))


async def _store(
    connection: asyncpg.Connection, pool_id: UUID, serials: Sequence[str], *, token: tuple[Vault, str]
) -> None:
    """Store so many confirmed licences, and the content token of their library."""
    vault, text = token
    token_id = new_id()
    sealed = vault.seal(text.encode(), table="content_token", column="sealed", row_id=token_id)
    expires_at = SystemClock().now() + timedelta(days=365)
    await connection.execute(_INSERT_RIGHT, token_id, LIBRARY, sealed, expires_at, NOON)
    await connection.execute(_INSERT_LICENSES, pool_id, ASSET_ID, new_ids(len(serials)), serials, NOON)
    await connection.execute("UPDATE pool SET held = $1", len(serials))
    await connection.execute("VACUUM ANALYZE")


@asynccontextmanager
async def _apple(serials: Sequence[str]) -> AsyncIterator[tuple[str, str, str]]:
    """Start Apple in a process of its own, with these devices' licences; yield its URL, its CA and a content token."""
    with tempfile.TemporaryDirectory() as directory:
        command = ["-m", "local.simulators", "apple", "--directory", directory]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE
        )
        try:
            cards = json.loads(await process.stdout.readline() if process.stdout else b"{}")
            ca_file = cards["authority"]["certificate_file"]
            token = await _assign(cards["apple"], ca_file, serials)
            yield cards["apple"]["url"], ca_file, token
        finally:
            process.terminate()
            await process.wait()


async def _assign(card: dict[str, Any], ca_file: str, serials: Sequence[str]) -> str:
    """Buy licences and give them to these devices, as fast as the simulator can; return the content token."""
    trust = ssl.create_default_context(cafile=ca_file)
    async with (
        httpx2.AsyncClient(base_url=card["url"], verify=trust, trust_env=False, timeout=60) as http,
        httpx2.AsyncClient(base_url=card["admin_url"], trust_env=False) as admin,
    ):
        await admin.patch("/knobs", json={"rate_limit": False, "event_delay_seconds": 0})
        assets = [{"adam_id": _ADAM_ID, "total": 1_000_000}]
        made = (await admin.post("/libraries", json={"assets": assets})).json()
        http.headers["Authorization"] = f"Bearer {made['token']}"
        for start in range(0, len(serials), _IN_A_REQUEST):
            body = {
                "assets": [{"adamId": _ADAM_ID, "pricingParam": "STDQ"}],
                "serialNumbers": serials[start : start + _IN_A_REQUEST],
            }
            event = (await http.post("assets/associate", json=body)).json()
        status: dict[str, Any] = {"eventStatus": "PENDING"}
        while status["eventStatus"] == "PENDING":
            await asyncio.sleep(0.1)
            status = (await http.get("status", params={"eventId": event["eventId"]})).json()
        await admin.patch("/knobs", json={"rate_limit": True})
        return str(made["token"])


async def _run(ground: _Ground) -> dict[str, Any]:
    """Run this file as the worker's process. Raises `RuntimeError` where it does not come through."""
    command = (sys.executable, "-m", "bench.reconcile", json.dumps(asdict(ground)))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the worker's process ended with {process.returncode}")
    said: dict[str, Any] = json.loads(output.splitlines()[-1])
    return said


async def _reconcile(ground: _Ground) -> dict[str, Any]:
    database = Database(ground.database_url)
    async with Wire(lambda: http_client(Path(ground.ca_file)), deadline_seconds=60) as wire:
        apple = Apple(wire, base_url=ground.apple_url, budget=RequestBudget(database), clock=database.clock)
        desk = Desk(database, Vault.load(Path(ground.keys_file)), Pace())
        table = steps(desk, apple, Claims("Bench", "https://localhost"))
        # The foreign ones that it finds are counted by a reading of their own, which is not part of it.
        worker = Worker(database, {work.RECONCILE: table[work.RECONCILE]}, WorkerSettings())
        stop = asyncio.Event()
        began = time.perf_counter()
        async with database.transaction() as tx:
            await begin_reconciliations(tx, None, asked_by="bench")
        working = asyncio.create_task(worker.run(stop))
        ended = await until(lambda: database.fetch(_ENDED), bool, within_seconds=_PATIENCE_SECONDS)
        seconds = time.perf_counter() - began
        stop.set()
        await working
    if not ended:
        raise TimeoutError(f"it has not ended after {_PATIENCE_SECONDS:g} s")
    found = {row["class"]: row["count"] for row in await database.fetch(_FOUND)}
    await database.close()
    return {"seconds": seconds, "megabytes": most_resident_megabytes(), "found": found}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_reconcile(_Ground(**json.loads(sys.argv[1]))))))
