"""A clock that runs with the real one until it is frozen or turned forward: a year passes in a moment."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

END = datetime(
    9000, 1, 1, tzinfo=UTC
)  # a thousand years before Python's own, for lives and leases added to it


class VirtualClock:
    """Times are aware and UTC. Who sleeps by it wakes when it is turned past the end of the sleep."""

    def __init__(self, *, turned: float = 0.0, frozen_at: float | None = None) -> None:
        """Begin so many seconds ahead (`turned`), or standing at a UNIX time (`frozen_at`)."""
        self.turned = turned
        self.frozen_at = frozen_at
        self._changed = asyncio.Event()

    def seconds(self) -> float:
        """Return the UNIX time it shows."""
        return time.time() + self.turned if self.frozen_at is None else self.frozen_at

    def now(self) -> datetime:
        """Return the time it shows."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def advance(self, step: timedelta) -> None:
        """Turn it forward. Raises `ValueError` where time ends."""
        if self.seconds() + step.total_seconds() > END.timestamp():
            raise ValueError(f"time ends in {END.year}")
        if self.frozen_at is None:
            self.turned += step.total_seconds()
        else:
            self.frozen_at += step.total_seconds()
        self._wake()

    def freeze(self) -> None:
        """Stop it where it stands."""
        self.frozen_at = self.seconds()
        self._wake()

    def thaw(self) -> None:
        """Let it run on from where it stood."""
        if self.frozen_at is not None:
            self.turned, self.frozen_at = self.frozen_at - time.time(), None
        self._wake()

    async def sleep(self, seconds: float) -> None:
        """Return once it has gone so far; no time at all still lets others run."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        end = self.seconds() + seconds
        while (left := end - self.seconds()) > 0:
            changed = self._changed
            try:
                async with asyncio.timeout(left if self.frozen_at is None else None):
                    await changed.wait()
            except TimeoutError:
                continue

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
