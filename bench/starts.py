"""How soon each service is ready, and how much memory it occupies when nothing is asked of it."""

import asyncio
import statistics
import time

from bench.figures import Figure, Size
from bench.ground import system
from bench.machine import resident_megabytes
from local.children import Child, answers
from local.plan import SERVICES
from local.system import System

NAMES = tuple(f"{figure}-{service}" for figure in ("start", "idle-memory") for service in SERVICES)

_ROUNDS = 3
_IDLE_SECONDS = 5.0


async def measure(_: Size) -> list[Figure]:
    """Measure `start-<service>` in seconds and `idle-memory-<service>` in megabytes, of one process of each."""
    async with system() as started:
        await asyncio.sleep(_IDLE_SECONDS)
        memory = {service: resident_megabytes(started.processes[service].pid) for service in SERVICES}
        seconds = {service: await _starts(started, service) for service in SERVICES}
    return [
        *(
            Figure(
                f"start-{service}",
                seconds[service],
                "s",
                note=f"alone, from its process to ready, median of {_ROUNDS}",
                less_is_better=True,
            )
            for service in SERVICES
        ),
        *(
            Figure(
                f"idle-memory-{service}",
                memory[service],
                "MB",
                note=f"resident, all roles, {_IDLE_SECONDS:g} s after it was ready",
                less_is_better=True,
            )
            for service in SERVICES
        ),
    ]


async def _starts(started: System, service: str) -> float:
    """Return the seconds that one service needs to be ready, while the others run and do nothing."""
    process = started.processes[service]
    await process.stop()
    return statistics.median([await _start(started, service, process) for _ in range(_ROUNDS)])


async def _start(started: System, service: str, former: Child) -> float:
    began = time.perf_counter()
    child = Child(former.command)
    try:
        await child.wait_until(answers(started.services[service].ready_url), within_seconds=30)
        return time.perf_counter() - began
    finally:
        await child.stop()
