"""Apple's lists are walked five pages at once, to the last, whatever happens to them meanwhile."""

import asyncio
import math
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from licensing.apple import Apple
from licensing.apple.walks import walk
from licensing.model import Access, AppleFailure, AppleRefused
from local.simulators.apple.reads import list_assets, list_assignments
from shared.errors import Unavailable
from tests.licensing.office import APP, AppleAdmin
from tests.licensing.scripted import KEY

FIVE = 5  # "Using paginated endpoints": at most so many at once


class Pages:
    """A list of `last` + 1 pages, each of which tells `told` of how many there are; none comes from `stuck_from` on."""

    def __init__(self, last: int, *, told: Callable[[int], object]) -> None:
        self.last = last
        self.told = told
        self.stuck_from: float = math.inf
        self.begun: list[int] = []
        self.under_way = 0
        self.most = 0
        self.cancelled = 0

    async def fetch(self, index: int) -> Mapping[str, Any]:
        self.begun.append(index)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await (asyncio.Event().wait() if index >= self.stuck_from else asyncio.sleep(0.002 * (index % 3)))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1
        if index > self.last:
            raise AppleRefused(AppleFailure(9650))
        following = {"nextPageIndex": index + 1} if index < self.last else {}
        return {"currentPageIndex": index, "totalPages": self.told(index), **following}

    async def walked(self) -> list[int]:
        return [body["currentPageIndex"] async for body in walk(self.fetch)]


def truly(last: int) -> Pages:
    return Pages(last, told=lambda _: last + 1)


async def test_five_pages_are_read_at_once_and_come_in_order() -> None:
    pages = truly(22)
    assert await pages.walked() == list(range(23))
    assert pages.begun[0] == 0
    assert sorted(pages.begun) == list(range(23)), "each once"
    assert pages.most == FIVE


async def test_a_slow_reader_has_no_more_than_five_pages_in_memory() -> None:
    pages = truly(30)
    async with aclosing(walk(pages.fetch)) as bodies:
        async for body in bodies:
            await asyncio.sleep(0.003)
            assert len(pages.begun) - body["currentPageIndex"] <= FIVE


async def test_one_page_is_one_request() -> None:
    pages = truly(0)
    assert await pages.walked() == [0]
    assert pages.begun == [0]


async def test_the_last_page_is_the_one_that_names_no_next_however_many_were_told() -> None:
    pages = Pages(3, told=lambda _: 20)
    assert await pages.walked() == [0, 1, 2, 3]


@pytest.mark.parametrize("told", [None, "many", True, 0, 2, -1])
async def test_pages_beyond_what_was_told_are_read_as_they_are_named(told: object) -> None:
    pages = Pages(7, told=lambda _: told)
    assert await pages.walked() == list(range(8))


async def test_a_list_that_becomes_shorter_says_so() -> None:
    pages = truly(9)

    async def fetch(index: int) -> Mapping[str, Any]:
        body = await pages.fetch(index)
        pages.last = 6 if index == 7 else pages.last  # page 7 named page 8, which is no more
        return body

    with pytest.raises(AppleRefused) as caught:
        _ = [body async for body in walk(fetch)]
    assert caught.value.failure.number == 9650


async def test_who_stops_early_leaves_nothing_running() -> None:
    pages = truly(30)
    pages.stuck_from = 2
    async with asyncio.timeout(20), aclosing(walk(pages.fetch)) as bodies:
        async for body in bodies:
            if body["currentPageIndex"] == 1:
                break
    assert pages.under_way == 0
    assert len(pages.begun) <= 1 + FIVE
    assert pages.cancelled


async def test_a_list_that_goes_round_is_not_walked_for_ever() -> None:
    async def fetch(index: int) -> Mapping[str, Any]:
        return {"nextPageIndex": (index + 1) % 3, "totalPages": 3}

    with pytest.raises(Unavailable):
        _ = [body async for body in walk(fetch)]


async def test_a_page_that_cannot_be_read_ends_the_walk_and_the_others_are_given_up() -> None:
    pages = truly(30)

    async def fetch(index: int) -> Mapping[str, Any]:
        if index == 4:
            raise Unavailable("apple_9603")
        return await pages.fetch(index)

    with pytest.raises(Unavailable, match="apple_9603"):
        _ = [body async for body in walk(fetch)]
    assert pages.under_way == 0


@given(
    last=some.integers(0, 25),
    told=some.lists(some.integers(-1, 40) | some.none(), min_size=26, max_size=26),
)
def test_whatever_is_told_of_their_number_each_page_is_walked_once(last: int, told: list[int | None]) -> None:
    pages = Pages(last, told=told.__getitem__)
    assert asyncio.run(pages.walked()) == list(range(last + 1))
    assert pages.most <= FIVE


async def test_assignments_are_walked_to_the_last(apple: Apple, admin: AppleAdmin, access: Access) -> None:
    await admin.knobs(page_size=7)
    await admin.give(APP, *(f"S{number:02}" for number in range(50)))
    pages = [page async for page in apple.assignments(access, KEY)]
    assert [len(page.serial_numbers) for page in pages] == [7] * 7 + [1]
    assert sorted(serial for page in pages for serial in page.serial_numbers) == [
        f"S{number:02}" for number in range(50)
    ]
    assert len({page.version_id for page in pages}) == 1
    assert admin.requests("GET assignments") == 8


async def test_assets_are_walked_to_the_last(apple: Apple, admin: AppleAdmin, access: Access) -> None:
    await admin.knobs(page_size=1)
    listed = await apple.assets(access)
    assert listed.exact
    assert len(listed.assets) == 2


async def test_assets_that_change_while_they_are_read_are_read_anew_and_at_last_taken_as_inexact(
    apple: Apple, admin: AppleAdmin, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    await admin.knobs(page_size=1)
    monkeypatch.setattr("local.simulators.apple.wire.list_assets", _moving(admin, list_assets))
    listed = await apple.assets(access)
    assert not listed.exact
    assert admin.requests("GET assets") == 10


async def test_assets_that_become_fewer_while_they_are_read_are_read_anew(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    await admin.knobs(page_size=1)
    await admin.fault("assets", "error", status=400, error_number=9650, skip=1)
    listed = await apple.assets(access)
    assert listed.exact
    assert len(listed.assets) == 2
    assert admin.requests("GET assets") == 4


async def test_no_first_page_is_no_list(apple: Apple, admin: AppleAdmin, access: Access) -> None:
    await admin.fault("assets", "error", status=400, error_number=9650)
    with pytest.raises(AppleRefused):
        await apple.assets(access)


async def test_assignments_that_change_while_they_are_read_show_more_than_one_version(
    apple: Apple, admin: AppleAdmin, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    await admin.knobs(page_size=5)
    await admin.give(APP, *(f"S{number}" for number in range(20)))
    monkeypatch.setattr("local.simulators.apple.wire.list_assignments", _moving(admin, list_assignments))
    versions = {page.version_id async for page in apple.assignments(access, KEY)}
    assert len(versions) == 4


async def test_assignments_that_become_fewer_while_they_are_read_say_so(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    await admin.knobs(page_size=5)
    await admin.give(APP, *(f"S{number}" for number in range(20)))
    await admin.fault("assignments", "error", status=400, error_number=9650, skip=2)
    with pytest.raises(AppleRefused) as caught:
        _ = [page async for page in apple.assignments(access, KEY)]
    assert caught.value.failure.number == 9650


async def test_all_walks_of_a_library_together_read_five_pages_at_once(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    await admin.knobs(page_size=5, page_seconds=0.02, pages_at_once=FIVE)
    await admin.give(APP, *(f"S{number}" for number in range(50)))

    async def walked() -> int:
        return sum([len(page.serial_numbers) async for page in apple.assignments(access, KEY)])

    assert await asyncio.gather(*(walked() for _ in range(4))) == [50] * 4


def _moving(admin: AppleAdmin, honest: Callable[..., Any]) -> Callable[..., Any]:
    def moving(library: Any, query: Any, **said: Any) -> Any:
        admin.simulator.world.touch(library)
        return honest(library, query, **said)

    return moving
