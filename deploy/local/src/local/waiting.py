"""Waiting for something to become true: the story asks, and asks again, for a bounded time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Found = TypeVar("Found")

PATIENCE_SECONDS = 20.0
_PAUSE_SECONDS = 0.05


async def until(
    ask: Callable[[], Awaitable[Found]],
    good: Callable[[Found], bool],
    *,
    within_seconds: float = PATIENCE_SECONDS,
) -> Found:
    """Return what `ask` finds as soon as it is `good`, else what it found last when the time is up."""
    until_time = time.monotonic() + within_seconds
    while True:
        found = await ask()
        if good(found) or time.monotonic() > until_time:
            return found
        await asyncio.sleep(_PAUSE_SECONDS)
