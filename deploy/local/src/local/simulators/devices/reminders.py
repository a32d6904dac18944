"""Reminds of channels at a time by the fleet's clock, which may be put forward: one reminder each, the last one set."""

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from local.simulators.devices.model import Channel
from local.simulators.devices.times import Clock

SHORTEST_SECONDS = 0.01  # between two looks: a clock may stand still


class Reminders:
    """What waits here does not count as being on the way: the next report may be due tomorrow."""

    def __init__(self, clock: Clock, remind: Callable[[Channel], None]) -> None:
        self._clock = clock
        self._remind = remind
        self._times: dict[Channel, float] = {}
        self._heap: list[tuple[float, int, Channel]] = []  # also what was set anew since
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None

    def set(self, channel: Channel, when: float) -> None:
        """Remind of a channel at a time, in seconds since 1970, and no more at the time set before."""
        if self._times.get(channel) != when:
            self._times[channel] = when
            heappush(self._heap, (when, next(self._numbers), channel))
        self._arm()

    def look(self) -> None:
        """Remind of all whose time has come."""
        now = self._clock.now()
        while self._heap and self._heap[0][0] <= now:
            when, _, channel = heappop(self._heap)
            if self._times.get(channel) == when:
                del self._times[channel]
                self._remind(channel)
        self._arm()

    def stop(self) -> None:
        """Remind of nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        self.stop()
        if self._heap:
            seconds = max(self._heap[0][0] - self._clock.now(), SHORTEST_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(seconds, self.look)
