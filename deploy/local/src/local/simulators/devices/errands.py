"""Who goes to the server next: one visit per device at a time, and no more of them than allowed at once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import Enum, auto

from local.simulators.devices.model import Device

logger = logging.getLogger(__name__)

Visit = Callable[[Device], Awaitable[float | None]]


class _Errand(Enum):
    QUEUED = auto()
    RUNNING = auto()
    ASKED_AGAIN = auto()  # while running: once more afterwards, however often it was asked


class Errands:
    """`visit(device)` answers after how many seconds the device goes again by itself, or `None`."""

    def __init__(self, visit: Visit, *, workers: int) -> None:
        self._visit = visit
        self._count = workers
        self._queue: asyncio.Queue[Device] = asyncio.Queue()
        self._errands: dict[str, _Errand] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
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

    def ask(self, device: Device) -> None:
        """Have the device visit its server, soon."""
        self._drop_timer(device)
        match self._errands.get(device.serial):
            case None:
                self._errands[device.serial] = _Errand.QUEUED
                self._quiet.clear()
                self._queue.put_nowait(device)
            case _Errand.RUNNING:
                self._errands[device.serial] = _Errand.ASKED_AGAIN
            case _Errand.QUEUED | _Errand.ASKED_AGAIN:
                pass

    def ask_later(self, device: Device, seconds: float) -> None:
        """Have the device visit its server after a while, unless it is asked to go before."""
        self._drop_timer(device)
        self._quiet.clear()
        loop = asyncio.get_running_loop()
        self._timers[device.serial] = loop.call_later(seconds, self.ask, device)

    async def settled(self) -> None:
        """Wait until no device is on its way or means to go by itself."""
        await self._quiet.wait()

    def _drop_timer(self, device: Device) -> None:
        timer = self._timers.pop(device.serial, None)
        if timer is not None:
            timer.cancel()

    async def _work(self) -> None:
        while True:
            device = await self._queue.get()
            self._errands[device.serial] = _Errand.RUNNING
            seconds = await self._go(device)
            if self._errands.pop(device.serial) is _Errand.ASKED_AGAIN:
                self.ask(device)
            elif seconds is not None:
                self.ask_later(device, seconds)
            elif not self._errands and not self._timers:
                self._quiet.set()

    async def _go(self, device: Device) -> float | None:
        try:
            return await self._visit(device)
        except Exception:
            logger.exception("the visit of %s broke", device.serial)
            return None
