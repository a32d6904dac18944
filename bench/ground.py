"""The real system to measure: four services, the box of simulators, PostgreSQL as durable as it is, Apache Kafka."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from local.broker import ApacheBroker
from local.broker.apache import FULL_SPEED
from local.plan import any_ports
from local.system import System, running

_CACHE = Path(__file__).parents[1] / ".cache"


@asynccontextmanager
async def system() -> AsyncIterator[System]:
    """Start everything in a folder of its own; at the end nothing of it is left, but its logs where it failed."""
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    broker = ApacheBroker(directory / "kafka", cache=_CACHE, jvm_options=FULL_SPEED)
    async with running(directory, broker=broker, ports=any_ports(), kept=False) as started:
        yield started
    await asyncio.to_thread(shutil.rmtree, directory)
