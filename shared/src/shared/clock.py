"""The time, as something that is handed in: rules and tests must be able to say what o'clock it is."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What time it is, and how to wait."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time of day, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class TurnedClock:
    """A clock that stands still until a test turns it; whoever sleeps wakes when his time has come."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._turned = 0.0
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    def now(self) -> datetime:
        """Return the time the clock was turned to."""
        return self._start + timedelta(seconds=self._turned)

    def monotonic(self) -> float:
        """Return the seconds turned so far."""
        return self._turned

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been turned that far."""
        woken = asyncio.Event()
        self._sleepers.append((self._turned + seconds, woken))
        await woken.wait()

    def turn(self, seconds: float) -> None:
        """Turn the clock forward and wake every sleeper whose time has come."""
        self._turned += seconds
        for until, woken in self._sleepers:
            if until <= self._turned:
                woken.set()
        self._sleepers = [(until, woken) for until, woken in self._sleepers if until > self._turned]
