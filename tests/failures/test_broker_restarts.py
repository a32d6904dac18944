"""The broker goes away in mid-work and comes back: nothing is lost, nothing is done twice."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from local.broker import ApacheBroker
from tests.failures.bus import speaking
from tests.failures.grounds import Grounds, until
from tests.failures.library import EAGER, check_answers, opened, wish

ASSETS = 6
EVENTS = 25
TARGETS = 10
DEVICES = ASSETS * EVENTS * TARGETS
AWAY_SECONDS = 5

Leave = Callable[[ApacheBroker], Awaitable[None]]


@pytest.mark.parametrize("leave", [ApacheBroker.stop, ApacheBroker.kill], ids=["stopped", "killed"])
async def test_the_broker_leaves_in_mid_work_and_nothing_is_lost_or_done_twice(
    grounds: Grounds, apache: ApacheBroker, leave: Leave
) -> None:
    await grounds.migrate("licensing")
    pod = await grounds.serve("licensing", **EAGER)
    async with opened(grounds, assets=ASSETS, licenses=EVENTS * TARGETS) as library:
        wishes = [
            wish(asset, [f"{adam_id}-{event}-{target}" for target in range(TARGETS)])
            for event in range(EVENTS)
            for asset, adam_id in library.assets.items()
        ]
        await library.doors.apple.patch("/knobs", {"hold_events": True})
        async with speaking(grounds.kafka) as speaker:
            await speaker.tell(*wishes[::2])
        await until(library.states, lambda states: states.total() > 0, seconds=60)
        await leave(apache)
        await library.doors.apple.patch("/knobs", {"hold_events": False})
        await until(
            library.states, lambda states: states["assigned"] > 0, seconds=60
        )  # nobody hears of it yet
        await asyncio.sleep(AWAY_SECONDS)
        assert await pod.ready()  # who reads the database can be served meanwhile
        assert await grounds.count("licensing", "SELECT count(*) FROM outbox") > 0
        await apache.start()
        async with speaking(grounds.kafka) as speaker:
            await speaker.tell(*wishes[1::2])
        await library.settled({"assigned": DEVICES})
        await library.check_books()
        await check_answers(grounds, wishes)
    assert pod.child.exit_code is None
    assert grounds.errors() == []
