"""Who goes to the server next: one visit per channel at a time, and no more of them than allowed at once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import Enum, auto

from local.simulators.devices.model import Channel

logger = logging.getLogger(__name__)

Visit = Callable[[Channel], Awaitable[float | None]]


class _Errand(Enum):
    QUEUED = auto()
    RUNNING = auto()
    ASKED_AGAIN = auto()  # while running: once more afterwards, however often it was asked


class Errands:
    """`visit(channel)` answers after how many seconds the device goes again by itself, or `None`."""

    def __init__(self, visit: Visit, *, workers: int) -> None:
        self._visit = visit
        self._count = workers
        self._queue: asyncio.Queue[Channel] = asyncio.Queue()
        self._errands: dict[Channel, _Errand] = {}
        self._timers: dict[Channel, asyncio.TimerHandle] = {}
        self._workers: list[asyncio.Task[None]] = []
        self._quiet = asyncio.Event()
        self._quiet.set()

    def start(self) -> None:
        """Begin to work."""
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._count)]

    async def stop(self) -> None:
        """Break off what runs and forget what waits."""
        for timer in self._timers.values():
            timer.cancel()
        for worker in self._workers:
            worker.cancel()
        if self._workers:
            await asyncio.wait(self._workers)

    def ask(self, channel: Channel) -> None:
        """Have the device visit its server, soon."""
        self._drop_timer(channel)
        match self._errands.get(channel):
            case None:
                self._errands[channel] = _Errand.QUEUED
                self._quiet.clear()
                self._queue.put_nowait(channel)
            case _Errand.RUNNING:
                self._errands[channel] = _Errand.ASKED_AGAIN
            case _Errand.QUEUED | _Errand.ASKED_AGAIN:
                pass

    def ask_later(self, channel: Channel, seconds: float) -> None:
        """Have the device visit its server after a while, unless it is asked to go before."""
        self._drop_timer(channel)
        self._quiet.clear()
        loop = asyncio.get_running_loop()
        self._timers[channel] = loop.call_later(seconds, self.ask, channel)

    @property
    def quiet(self) -> bool:
        """Whether no device is on its way or means to go by itself."""
        return self._quiet.is_set()

    async def settled(self) -> None:
        """Wait until no device is on its way or means to go by itself."""
        await self._quiet.wait()

    def _drop_timer(self, channel: Channel) -> None:
        timer = self._timers.pop(channel, None)
        if timer is not None:
            timer.cancel()

    async def _work(self) -> None:
        while True:
            channel = await self._queue.get()
            self._errands[channel] = _Errand.RUNNING
            seconds = await self._go(channel)
            if self._errands.pop(channel) is _Errand.ASKED_AGAIN:
                self.ask(channel)
            elif seconds is not None:
                self.ask_later(channel, seconds)
            elif not self._errands and not self._timers:
                self._quiet.set()

    async def _go(self, channel: Channel) -> float | None:
        try:
            return await self._visit(channel)
        except Exception:
            logger.exception("the visit of %s broke", channel.name)
            return None
