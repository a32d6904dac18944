"""How long this service waits, for what, and how often."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """How long installs are retried and looked for; seconds, the last one of each repeats."""

    retry_seconds: tuple[float, ...] = (60, 300, 900, 3600)
    verify_seconds: tuple[float, ...] = (5, 15, 60, 300, 900, 3600)
    verify_limit_seconds: float = 86_400
    not_now_seconds: tuple[float, ...] = (900, 3600, 14_400, 86_400)
    push_again_seconds: tuple[float, ...] = (600, 3600, 21_600, 86_400)


def nth(steps: tuple[float, ...], index: int) -> float:
    """Return step `index` of a backoff, counted from 0; the last one repeats."""
    return steps[min(index, len(steps) - 1)]
