"""The client of Apple's API: claims, events, and at which pace."""

import asyncio
import time

import pytest

from licensing.apple import Apple
from licensing.model import (
    Access,
    AppleRefused,
    EventStatus,
    IntentKind,
    MdmIdentity,
)
from licensing.store.budget import RequestBudget
from shared.database import Database
from shared.errors import Unavailable
from tests.licensing.office import AppleAdmin
from tests.licensing.scripted import KEY
from tests.licensing.situation import Situation


async def test_the_claim_is_compared_by_id_and_the_secret_never_comes_back(
    apple: Apple, access: Access
) -> None:
    config = await apple.claim(access, MdmIdentity("our-id", "Us", "here"), None)
    assert config.mdm_info == MdmIdentity("our-id", "Us", "here")
    assert config.library_id == access.library_id


async def test_a_real_event_is_followed_from_its_id(apple: Apple, admin: AppleAdmin, access: Access) -> None:
    assert (await apple.turn(access)).serial_numbers == 1000
    event_id = await apple.write(access, IntentKind.ASSOCIATE, KEY, ["S"])
    await admin.settled()
    assert (await apple.status(access, event_id)).status is EventStatus.COMPLETE
    with pytest.raises(AppleRefused) as caught:
        await apple.status(access, "unknown")
    assert caught.value.failure.number == 9708
    asset = await apple.asset(access, KEY)
    assert asset is not None
    assert (asset.reading.assigned, asset.reading.available) == (1, 49)


@pytest.fixture
async def budget(situation: Situation) -> RequestBudget:
    await situation.store_library("lib-1")
    return RequestBudget(situation.database)


async def test_all_replicas_together_stay_below_apples_limit(
    budget: RequestBudget, database: Database
) -> None:
    replicas = (budget, RequestBudget(database))
    began = time.monotonic()

    async def begins(number: int) -> float:
        wait = await replicas[number % 2].take("lib-1", per_second=50)
        return time.monotonic() + wait - began

    moments = sorted(await asyncio.gather(*map(begins, range(20))))
    assert moments[-1] >= 19 / 50


async def test_a_pause_holds_every_turn_back(budget: RequestBudget) -> None:
    await budget.pause("lib-1", 5)
    assert await budget.take("lib-1", per_second=10) == pytest.approx(5, abs=0.3)
    await budget.pause("lib-1", 60)
    with pytest.raises(Unavailable):
        await budget.take("lib-1", per_second=10)


async def test_a_library_that_apple_slows_down_waits_longer_each_time_and_recovers(
    budget: RequestBudget, database: Database
) -> None:
    """Apple error 9646: exponential backoff, and a lower rate."""
    pauses = []
    for _ in range(3):
        await budget.slow_down("lib-1", None)
        pauses.append(await budget.take("lib-1", per_second=1_000_000))
    assert pauses == [pytest.approx(seconds, abs=0.5) for seconds in (1, 2, 4)]
    await budget.slow_down("lib-1", 9)
    assert await budget.take("lib-1", per_second=1_000_000) == pytest.approx(9, abs=0.5)
    for _ in range(200):
        await budget.take("lib-1", per_second=1_000_000)
    [[slowness]] = await database.fetch("SELECT slowness FROM library WHERE id = $1", "lib-1")
    assert slowness == 1


async def test_the_simulated_apple_never_sees_more_than_its_limit(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    await admin.knobs(limits={"maxRequestPerSecond": 15})
    began = time.monotonic()
    await asyncio.gather(*(apple.asset(access, KEY) for _ in range(30)))
    assert time.monotonic() - began > 29 / 15
