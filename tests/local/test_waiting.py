"""Waiting ends as soon as it is true, and says what it saw last where it never is."""

import time

from local.waiting import until


async def test_waiting_ends_as_soon_as_it_is_true() -> None:
    seen = iter(range(100))

    async def look() -> int:
        return next(seen)

    assert await until(look, lambda found: found == 3) == 3
    assert next(seen) == 4


async def test_what_never_comes_is_given_up_with_what_was_seen_last() -> None:
    async def look() -> str:
        return "nothing yet"

    began = time.monotonic()
    assert await until(look, lambda _: False, within_seconds=0.1) == "nothing yet"
    assert time.monotonic() - began < 5
