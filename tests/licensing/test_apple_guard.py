"""Every answer is compared with our claim on its library, and none is lost for it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from licensing.apple import Apple, Wire, http_client
from licensing.apple.guard import MISSING_SECONDS
from licensing.model import Access, EventStatus, IntentKind, MdmIdentity
from local.simulators.apple import AppleSimulator
from shared.clock import TurnedClock
from shared.vault import Secret
from tests.licensing.office import AppleAdmin
from tests.licensing.scripted import KEY, FreeBudget, Scripted, answering
from tests.licensing.situation import NOON

OURS = MdmIdentity("our-id", "Us", "here")
OTHERS = MdmIdentity("their-id", "Another service", "somewhere")


class Heard:
    """A guard that remembers what it heard."""

    def __init__(self) -> None:
        self.holders: list[MdmIdentity | None] = []
        self.missed: list[str] = []

    async def saw(self, access: Access, holder: MdmIdentity | None) -> None:
        assert access.mdm_id is not None
        self.holders.append(holder)

    async def missing(self, access: Access) -> None:
        self.missed.append(access.library_id)


class Broken(Heard):
    """A guard whose database is gone."""

    async def saw(self, access: Access, holder: MdmIdentity | None) -> None:
        raise ConnectionError(access.library_id, holder)

    async def missing(self, access: Access) -> None:
        raise ConnectionError(access.library_id)


@pytest.fixture
def guard() -> Heard:
    return Heard()


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock(NOON)


@pytest.fixture
async def guarded(
    guard: Heard, clock: TurnedClock, certificates: Path, apple_simulator: AppleSimulator
) -> AsyncIterator[Apple]:
    async with Wire(lambda: http_client(certificates / "ca.pem"), deadline_seconds=10.0) as wire:
        yield Apple(wire, base_url=apple_simulator.url, budget=FreeBudget(), clock=clock, guard=guard)


@pytest.fixture
async def claimed(guarded: Apple, access: Access) -> Access:
    await guarded.claim(access, OURS, None)
    return Access(access.library_id, access.token, access.token_id, OURS.id)


async def take_over(admin: AppleAdmin, access: Access, by: MdmIdentity | None) -> None:
    held = None if by is None else {"id": by.id, "name": by.name, "metadata": by.metadata}
    admin.simulator.world.libraries[access.library_id].mdm_info = held


async def test_our_own_claim_is_no_news(guarded: Apple, guard: Heard, claimed: Access) -> None:
    await guarded.asset(claimed, KEY)
    await guarded.client_config(claimed)
    await guarded.write(claimed, IntentKind.ASSOCIATE, KEY, ["S"])
    assert (guard.holders, guard.missed) == ([], [])


async def test_only_the_id_decides(guarded: Apple, guard: Heard, admin: AppleAdmin, claimed: Access) -> None:
    await take_over(admin, claimed, MdmIdentity(OURS.id, "Renamed", "elsewhere"))
    await guarded.asset(claimed, KEY)
    assert guard.holders == []
    await take_over(admin, claimed, MdmIdentity("their-id", OURS.name, OURS.metadata))
    await guarded.asset(claimed, KEY)
    assert [holder and holder.id for holder in guard.holders] == ["their-id"]


async def test_every_answer_is_looked_at(
    guarded: Apple, guard: Heard, admin: AppleAdmin, claimed: Access
) -> None:
    event_id = await guarded.write(claimed, IntentKind.ASSOCIATE, KEY, ["S"])
    await admin.settled()
    await take_over(admin, claimed, OTHERS)
    await guarded.status(claimed, event_id)
    await guarded.asset(claimed, KEY)
    await guarded.assets(claimed)
    await guarded.user(claimed, "nobody")
    await guarded.retire_users(claimed, ["nobody"])
    await guarded.client_config(claimed)
    _ = [page async for page in guarded.assignments(claimed, KEY)]
    _ = [page async for page in guarded.users(claimed, since=None)]
    assert guard.holders == [OTHERS] * 8


async def test_the_answer_that_shows_another_holder_is_still_used(
    guarded: Apple, guard: Heard, admin: AppleAdmin, claimed: Access
) -> None:
    await take_over(admin, claimed, OTHERS)
    event_id = await guarded.write(claimed, IntentKind.ASSOCIATE, KEY, ["S"])
    await admin.settled()
    assert (await guarded.status(claimed, event_id)).status is EventStatus.COMPLETE
    assert guard.holders == [OTHERS, OTHERS]


async def test_a_guard_that_fails_loses_no_answer() -> None:
    for held in ({"id": "their-id"}, None):
        scripted = Scripted(answering(eventId="e", mdmInfo=held), guard=Broken())
        access = Access("lib", Secret(b"dG9rZW4="), None, OURS.id)
        with structlog.testing.capture_logs() as said:
            assert await scripted.apple.write(access, IntentKind.ASSOCIATE, KEY, ["S"]) == "e"
        assert [each["log_level"] for each in said] == ["error"]


async def test_nobody_proves_something_in_client_config_only(
    guarded: Apple, guard: Heard, admin: AppleAdmin, claimed: Access
) -> None:
    await take_over(admin, claimed, None)
    await guarded.asset(claimed, KEY)
    assert (guard.holders, guard.missed) == ([], [claimed.library_id])
    await guarded.client_config(claimed)
    assert (guard.holders, guard.missed) == ([None], [claimed.library_id])


async def test_answers_that_name_nobody_are_told_of_once_in_five_minutes(
    guarded: Apple, guard: Heard, admin: AppleAdmin, claimed: Access, clock: TurnedClock
) -> None:
    await take_over(admin, claimed, None)
    for turned, told in ((0, 1), (MISSING_SECONDS - 1, 1), (1, 2)):
        clock.turn(turned)
        await guarded.asset(claimed, KEY)
        await guarded.asset(claimed, KEY)
        assert len(guard.missed) == told


async def test_without_a_claim_nothing_is_compared(
    guarded: Apple, guard: Heard, admin: AppleAdmin, access: Access
) -> None:
    await take_over(admin, access, OTHERS)
    await guarded.asset(access, KEY)
    assert (await guarded.client_config(access)).mdm_info == OTHERS
    assert guard.holders == []


async def test_an_error_is_no_answer(guard: Heard, claimed: Access) -> None:
    scripted = Scripted(answering(400, errorNumber=9602, mdmInfo={"id": "their-id"}), guard=guard)
    with pytest.raises(Exception, match="apple_9602"):
        await scripted.apple.status(claimed, "e")
    assert guard.holders == []
