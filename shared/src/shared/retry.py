"""How long to wait before the next try: exponential, bounded, and jittered against marching in step."""

import random


class Backoff:
    """Waits that double from `first` to `most` seconds; each is drawn from the upper half of its step."""

    def __init__(self, *, first: float = 0.1, most: float = 30.0) -> None:
        self._first = first
        self._most = most
        self._step = first

    def next(self) -> float:
        """Return the seconds to wait now, and lengthen the step."""
        step, self._step = self._step, min(self._step * 2, self._most)
        return step * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing

    def reset(self) -> None:
        """Begin again with the first step: something succeeded."""
        self._step = self._first


def delay_seconds(attempt: int, *, first: float, most: float) -> float:
    """Return the jittered wait before try number `attempt` + 1, for work rows that store their attempts."""
    step = min(first * 2.0 ** min(attempt, 32), most)
    return step * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
