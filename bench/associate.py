"""Licences through the simulated Apple as it answers by default, its 15 requests per second on, with notifications."""

import time
from collections import Counter

from bench.figures import Figure, Size
from bench.license_sets import LicenseSet
from bench.licensing_beside_apple import Running, licensing_beside_apple
from local.waiting import until
from shared.events import MAX_TARGETS_PER_EVENT
from shared.program import calm_the_collector

NAMES = ("associate-100k",)

_LICENSES = 100_000
_ADAM_ID = "361309726"
_PATIENCE_SECONDS = 300.0

_OPEN = "SELECT count(*) FROM intent"
_ASSIGNED = "SELECT count(*) FROM license WHERE state = 'assigned'"
_OWNED = "SELECT coalesce(max(total), 0) FROM pool"


async def measure(size: Size) -> list[Figure]:
    """Measure licences per second, from the first record that asks to the commit that tells the last assignment."""
    sets = [LicenseSet(number) for number in range(size.of(_LICENSES // MAX_TARGETS_PER_EVENT))]
    count = len(sets) * MAX_TARGETS_PER_EVENT
    batches = [each.requested() for each in sets]
    async with licensing_beside_apple() as running:
        await _buy(running, count)
        before = await _requests(running)
        calm_the_collector()
        began = time.perf_counter()
        for batch in batches:
            if await running.handling.do(batch):
                raise RuntimeError("a set was parked: the handler failed")
        await _become(running, _OPEN, 0)
        seconds = time.perf_counter() - began
        if await _ask(running, _ASSIGNED) != count:
            raise RuntimeError("not every licence was assigned")
        made = await _requests(running) - before
    note = (
        f"{count:,} device licences of one app, 15 requests per second on: {made['POST assets/associate']} associate "
        f"and {made['GET status']} status requests, {made.total()} in all"
    )
    return [Figure("associate-100k", count / seconds, "licences/s", note=size.note(note))]


async def _buy(running: Running, count: int) -> None:
    """Install the content token of a library that owns as many, and wait until that is known."""
    library = await running.apple.post("/libraries", {"assets": [{"adam_id": _ADAM_ID, "total": count}]})
    await running.licensing.post("/v1/content-tokens", {"content_token": library["token"]})
    await _become(running, _OWNED, count)


async def _requests(running: Running) -> Counter[str]:
    """Return how many requests Apple has counted, by method and path."""
    return Counter((await running.apple.get("/state", holders=False))["requests"])


async def _become(running: Running, question: str, wanted: int) -> None:
    """Wait until the database answers so. Raises TimeoutError."""
    found = await until(
        lambda: _ask(running, question), lambda answer: answer == wanted, within_seconds=_PATIENCE_SECONDS
    )
    if found != wanted:
        raise TimeoutError(f"{question} still answers {found}")


async def _ask(running: Running, question: str) -> int:
    [[answer]] = await running.database.fetch(question)
    return int(answer)
