"""The members of licensing's consumer group change while it works: nothing is lost, nothing is done twice."""

import asyncio
from collections.abc import Sequence

from shared.events import Heard
from shared.events.assignment import AssignmentRequested
from tests.failures.bus import speaking
from tests.failures.grounds import Grounds
from tests.failures.library import EAGER, Library, check_answers, opened, wish

ASSETS = 12
EVENTS = 21
TARGETS = 10
DEVICES = ASSETS * EVENTS * TARGETS
CHANGES = 3
SECONDS_EACH = 4.0


async def test_consumers_join_and_leave_in_mid_work_and_nothing_is_lost_or_done_twice(
    grounds: Grounds,
) -> None:
    await grounds.migrate("licensing")
    first = await grounds.serve("licensing", **EAGER)
    async with opened(grounds, assets=ASSETS, licenses=EVENTS * TARGETS) as library:
        parts = wishes_for(library)
        _, second = await asyncio.gather(
            publish(grounds, parts[0]), grounds.serve("licensing", role="worker", **EAGER)
        )
        _, code = await asyncio.gather(publish(grounds, parts[1]), first.child.stop())
        _, third = await asyncio.gather(publish(grounds, parts[2]), grounds.serve("licensing", **EAGER))
        await library.settled({"assigned": DEVICES})
        await library.check_books()
        await check_answers(grounds, [each for part in parts for each in part])
    assert code == 0
    assert [pod.child.exit_code for pod in (second, third)] == [None, None]
    assert grounds.errors() == []


def wishes_for(library: Library) -> list[Sequence[Heard[AssignmentRequested]]]:
    """Return wishes for all apps in turn, each of some devices, in as many parts as there are changes."""
    wishes = [
        wish(asset, [f"{adam_id}-{event}-{target}" for target in range(TARGETS)])
        for event in range(EVENTS)
        for asset, adam_id in library.assets.items()
    ]
    size = len(wishes) // CHANGES
    return [wishes[start : start + size] for start in range(0, len(wishes), size)]


async def publish(grounds: Grounds, wishes: Sequence[Heard[AssignmentRequested]]) -> None:
    """Publish wishes one after the other, for as long as a change of members takes."""
    async with speaking(grounds.kafka) as speaker:
        for each in wishes:
            await speaker.tell(each)
            await asyncio.sleep(SECONDS_EACH / len(wishes))
