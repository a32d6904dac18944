"""The fleet's clock: the one of the settings, put forward at will."""

from collections.abc import Callable


class Clock:
    """Seconds since 1970."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ahead = 0.0

    def now(self) -> float:
        """Answer the time."""
        return self._clock() + self._ahead

    def advance(self, seconds: float) -> None:
        """Put it forward."""
        self._ahead += seconds
