"""The ladder of warnings before a content token ends."""

from datetime import datetime, timedelta

RUNGS = tuple(timedelta(days=days) for days in (1, 7, 15, 30, 60))
"""How long before the end each warning is told, once."""


def next_rung(expires_at: datetime, now: datetime, *, told: int | None) -> timedelta | None:
    """Return the warning that is due, None where none is; `told` is the lowest one told so far, in days.

    Only the lowest one reached: a token that comes in with 12 days left has its 15 told, never the 30 and 60.
    """
    reached = next((rung for rung in RUNGS if expires_at - now <= rung), None)
    return None if reached is None or (told is not None and told <= reached.days) else reached
