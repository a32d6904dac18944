"""A tap on the shoulder inside one process: work was committed, whoever waits for it need not wait for his poll."""

import asyncio


class Nudge:
    """Rung after a commit; a waiter returns at once, or when his own patience ends."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake the waiter, or the next one."""
        self._rung.set()

    async def wait(self, seconds: float) -> bool:
        """Wait to be rung, at most this long; return whether it rang."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True


class Nudges:
    """What a commit may ring for: events in the outbox, rows of work."""

    def __init__(self) -> None:
        self.outbox = Nudge()
        self.work = Nudge()
