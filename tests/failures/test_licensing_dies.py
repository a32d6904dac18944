"""`kill -9` of licensing: in a stream of wishes, inside a reservation, and between Apple's answer and its storing."""

import asyncio
from typing import Any

import pytest

from tests.failures.bus import speaking
from tests.failures.grounds import Grounds, until
from tests.failures.library import (
    SOON,
    check_answers,
    opened,
    pool_locked,
    waiting_for_the_pool,
    wish,
)

LICENSES = 700
WANTED = 1000
TIMES = 20


async def test_killed_in_mid_reservation_it_loses_no_licence_and_oversells_none(grounds: Grounds) -> None:
    await grounds.migrate("licensing")
    pod = await grounds.serve("licensing", **SOON)
    async with opened(grounds, assets=1, licenses=LICENSES) as library:
        [asset] = library.assets
        wishes = [
            wish(asset, [f"{event}-{number}" for number in range(100)]) for event in range(WANTED // 100)
        ]
        async with speaking(grounds.kafka) as speaker:
            await speaker.tell(*wishes[: len(wishes) // 2])
            await until(library.states, lambda states: states.total() > 0, seconds=60)
            async with pool_locked(grounds):
                await speaker.tell(*wishes[len(wishes) // 2 :])
                await until(lambda: waiting_for_the_pool(grounds), lambda count: count > 0, seconds=60)
                assert await pod.child.kill() < 0
        await grounds.serve("licensing", **SOON)
        await library.settled({"assigned": LICENSES, "waitlisted": WANTED - LICENSES})
        await library.check_books()
        await check_answers(grounds, wishes, waitlisted=WANTED - LICENSES)
    assert grounds.errors() == []


async def test_killed_in_a_stream_of_wishes_it_does_none_twice_of_those_it_hears_again(
    grounds: Grounds,
) -> None:
    await grounds.migrate("licensing")
    pod = await grounds.serve("licensing", **SOON)
    async with opened(grounds, assets=1, licenses=LICENSES) as library:
        [asset] = library.assets
        wishes = [wish(asset, [f"{event}-{number}" for number in range(5)]) for event in range(LICENSES // 5)]
        async with speaking(grounds.kafka) as speaker:
            for number, wished in enumerate(wishes):
                await speaker.tell(wished)
                await asyncio.sleep(0.02)
                if number == len(wishes) // 2:
                    await until(library.states, lambda states: states.total() > LICENSES // 3, seconds=60)
                    await pod.child.kill()
        await grounds.serve("licensing", **SOON)
        await library.settled({"assigned": LICENSES})
        await library.check_books()
        await check_answers(grounds, wishes)
    assert grounds.errors() == []


@pytest.mark.parametrize(
    ("fault", "sent_again"),
    [
        ({"answer": "honest", "seconds": 4}, 0),
        ({"answer": "nothing", "seconds": 4, "accepted": False}, 1),
    ],
    ids=["apple_did_it", "apple_did_not_do_it"],
)
async def test_killed_between_apples_answer_and_its_storing_it_assigns_each_licence_once(
    grounds: Grounds, fault: dict[str, Any], sent_again: int
) -> None:
    await grounds.migrate("licensing")
    pod = await grounds.serve("licensing", **SOON)
    async with opened(grounds, assets=1, licenses=LICENSES) as library:
        [asset] = library.assets
        wished = wish(asset, [str(number) for number in range(LICENSES)])
        await library.doors.apple.post("/faults", [{"path": "assets/associate", "times": TIMES, **fault}])
        async with speaking(grounds.kafka) as speaker:
            await speaker.tell(wished)
        await until(library.faults_left, lambda left: left < TIMES, seconds=60)
        await pod.child.kill()
        assert await sent_without_an_event(grounds) == 1
        await library.doors.apple.delete("/faults")
        await grounds.serve("licensing", **SOON)
        await library.settled({"assigned": LICENSES})
        await library.check_books()
        await check_answers(grounds, [wished])
        assert await library.requests("POST assets/associate") == 1 + sent_again
    assert grounds.errors() == []


async def sent_without_an_event(grounds: Grounds) -> int:
    """Return how many requests were sent to Apple of which no answer was stored."""
    return await grounds.count(
        "licensing", "SELECT count(*) FROM intent WHERE sent_at IS NOT NULL AND event_id IS NULL"
    )
