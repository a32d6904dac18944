"""The client of Apple's API: claims, events, and at which pace."""

import asyncio
import time
from collections.abc import Awaitable

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


async def held_back(database: Database, act: Awaitable[None]) -> tuple[float, float]:
    """Return between how many seconds and how many the next turn was put off, by the database's clock."""
    [[before]] = await database.fetch("SELECT clock_timestamp()")
    await act
    [row] = await database.fetch("SELECT next_request_at AS until, clock_timestamp() AS after FROM library")
    return (row["until"] - row["after"]).total_seconds(), (row["until"] - before).total_seconds()


async def test_a_pause_holds_every_turn_back(budget: RequestBudget, database: Database) -> None:
    least, most = await held_back(database, budget.pause("lib-1", 19))
    assert least <= 19 <= most
    assert 0 < await budget.take("lib-1", per_second=10) <= 19
    await budget.pause("lib-1", 600)
    with pytest.raises(Unavailable):
        await budget.take("lib-1", per_second=10)


async def test_a_library_that_apple_slows_down_waits_longer_each_time_and_recovers(
    budget: RequestBudget, database: Database
) -> None:
    """Apple error 9646: exponential backoff, and a lower rate."""
    for asked, seconds in ((None, 1), (None, 2), (None, 4), (9, 9)):
        least, most = await held_back(database, budget.slow_down("lib-1", asked))
        assert least <= seconds <= most
    for _ in range(200):
        await budget.take("lib-1", per_second=1_000_000)
    [[slowness]] = await database.fetch("SELECT slowness FROM library WHERE id = $1", "lib-1")
    assert slowness == 1


async def test_requests_are_spaced_as_apple_publishes(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    # Apple does not count here: a machine that stalls bunches what was evenly spaced.
    await admin.knobs(limits={"maxRequestPerSecond": 15}, rate_limit=False)
    began = time.monotonic()
    await asyncio.gather(*(apple.asset(access, KEY) for _ in range(30)))
    assert time.monotonic() - began > 29 / 15
