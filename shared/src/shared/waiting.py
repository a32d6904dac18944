"""Waiting that a stop ends: no loop may hold up the end of its process by sleeping through it."""

import asyncio
from typing import Any


async def pause(stop: asyncio.Event, seconds: float) -> bool:
    """Wait so long, or until `stop` is set; return whether it is."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return stop.is_set()
    return True


async def done_before(stop: asyncio.Event, task: asyncio.Task[Any], *, seconds: float | None = None) -> bool:
    """Wait for a task, at most so long or until `stop` is set; return whether it is done. It is left running."""
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
    return task.done()
