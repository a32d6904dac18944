"""The simulated App and Book service itself: how fast it works associations, and what a million licenses weigh."""

import asyncio
import json
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from bench.figures import Figure, Size
from bench.machine import resident_megabytes

NAMES = ("sim-associate", "sim-memory")

_ASSETS = 25
_SERIALS = 1000  # in one request, Apple's published limit
_REQUESTS = 40  # of 25 x 1,000: a million licenses
_AT_ONCE = 4


async def measure(size: Size) -> list[Figure]:
    """Measure `sim-associate` in tasks per second, from the first POST to the last COMPLETE, and its memory after."""
    requests = size.of(_REQUESTS)
    async with _simulator() as (pid, http, admin):
        assets = [{"adam_id": str(number), "total": requests * _SERIALS} for number in range(1, _ASSETS + 1)]
        await admin.patch("/knobs", json={"rate_limit": False})
        made = (await admin.post("/libraries", json={"assets": assets})).json()
        http.headers["Authorization"] = f"Bearer {made['token']}"
        empty = resident_megabytes(pid)
        began = time.perf_counter()
        slots = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(_associate(http, part, slots) for part in range(requests)))
        seconds = time.perf_counter() - began
        full = resident_megabytes(pid)
    tasks = requests * _ASSETS * _SERIALS
    note = size.note(f"{requests} requests of {_ASSETS} x {_SERIALS:,} over https, {_AT_ONCE} at once")
    return [
        Figure("sim-associate", tasks / seconds, "tasks/s", note=note),
        Figure(
            "sim-memory",
            full,
            "MB",
            note=size.note(f"resident with {tasks:,} licenses, {empty:.0f} MB without"),
            less_is_better=True,
        ),
    ]


async def _associate(http: httpx2.AsyncClient, part: int, slots: asyncio.Semaphore) -> None:
    """Send one request and follow its event to the end. Raises RuntimeError where it does not complete."""
    body = {
        "assets": [{"adamId": str(number), "pricingParam": "STDQ"} for number in range(1, _ASSETS + 1)],
        "serialNumbers": [f"BENCH{part:03}{number:05}" for number in range(_SERIALS)],
    }
    async with slots:
        event = (await http.post("assets/associate", json=body)).json()
        status: dict[str, Any] = {"eventStatus": "PENDING"}
        while status["eventStatus"] == "PENDING":
            await asyncio.sleep(0.02)
            status = (await http.get("status", params={"eventId": event["eventId"]})).json()
    if status["numCompleted"] != _ASSETS * _SERIALS:
        raise RuntimeError(f"the simulated service did not complete: {status!r:.200}")


@asynccontextmanager
async def _simulator() -> AsyncIterator[tuple[int, httpx2.AsyncClient, httpx2.AsyncClient]]:
    """Start the service in a process of its own; yield its pid, a client of it and one of its admin door."""
    with tempfile.TemporaryDirectory() as directory:
        command = ["-m", "local.simulators", "apple", "--directory", directory]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE
        )
        try:
            cards = json.loads(await process.stdout.readline() if process.stdout else b"{}")
            trust = ssl.create_default_context(cafile=cards["authority"]["certificate_file"])
            url, admin_url = cards["apple"]["url"], cards["apple"]["admin_url"]
            async with (
                httpx2.AsyncClient(base_url=url, verify=trust, trust_env=False, timeout=60) as http,
                httpx2.AsyncClient(base_url=admin_url, trust_env=False) as admin,
            ):
                yield process.pid, http, admin
        finally:
            process.terminate()
            await process.wait()
