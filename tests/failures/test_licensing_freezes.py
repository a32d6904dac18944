"""A process of licensing is frozen (SIGSTOP) at a bad moment, another does its work, and then it wakes."""

import signal

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

DEVICES = 400
TIMES = 20
BOUND_SECONDS = 30.0
"""How long a frozen process may hold a lock: idle_in_transaction_session_timeout, below Kafka's session timeout."""


async def test_scenario_32_frozen_in_a_transaction_it_holds_no_lock_and_wakes_to_do_nothing_twice(
    grounds: Grounds,
) -> None:
    await grounds.migrate("licensing")
    frozen = await grounds.serve("licensing", **SOON)
    async with opened(grounds, assets=1, licenses=2 * DEVICES) as library:
        [asset] = library.assets
        wishes = [wish(asset, [f"{event}-{number}" for number in range(100)]) for event in range(4)]
        later = [wish(asset, [f"{event}-{number}" for number in range(100)]) for event in range(4, 8)]
        async with speaking(grounds.kafka) as speaker:
            async with pool_locked(grounds):
                await speaker.tell(*wishes)
                await until(lambda: waiting_for_the_pool(grounds), lambda count: count > 0, seconds=60)
                frozen.child.send(signal.SIGSTOP)
            successor = await grounds.serve("licensing", role="worker", **SOON)
            await library.settled({"assigned": DEVICES}, seconds=BOUND_SECONDS + 60)
            frozen.child.send(signal.SIGCONT)
            await speaker.tell(*later)
            await library.settled({"assigned": 2 * DEVICES})
        await library.check_books()
        await check_answers(grounds, [*wishes, *later])
        await until(frozen.ready, bool, seconds=30)
    assert [pod.child.exit_code for pod in (frozen, successor)] == [None, None]
    assert grounds.errors() == []


async def test_scenario_32_frozen_while_apple_answers_its_lease_is_gone_and_it_does_nothing_twice(
    grounds: Grounds,
) -> None:
    await grounds.migrate("licensing")
    frozen = await grounds.serve("licensing", **SOON)
    async with opened(grounds, assets=1, licenses=DEVICES) as library:
        [asset] = library.assets
        wished = wish(asset, [str(number) for number in range(DEVICES)])
        slow = {"path": "assets/associate", "answer": "honest", "seconds": 3, "times": TIMES}
        await library.doors.apple.post("/faults", [slow])
        async with speaking(grounds.kafka) as speaker:
            await speaker.tell(wished)
            await until(library.faults_left, lambda left: left < TIMES, seconds=60)
            frozen.child.send(signal.SIGSTOP)
            await library.doors.apple.delete("/faults")
            successor = await grounds.serve("licensing", role="worker", **SOON)
            await library.settled({"assigned": DEVICES})
            frozen.child.send(signal.SIGCONT)
            await until(frozen.ready, bool, seconds=30)
            more = wish(asset, ["one-too-many"])
            await speaker.tell(more)
            await library.settled({"assigned": DEVICES, "waitlisted": 1})
        await library.check_books()
        await check_answers(grounds, [wished, more], waitlisted=1)
        assert await library.requests("POST assets/associate") == 1
    assert [pod.child.exit_code for pod in (frozen, successor)] == [None, None]
    assert grounds.errors() == []
