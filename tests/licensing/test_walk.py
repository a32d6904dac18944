"""A walk through one of Apple's lists: what makes it exact, where it goes on, and what ends it."""

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

import pytest

from licensing.model import AppleFailure, AppleRefused, Walk
from shared.errors import Unavailable

SHORTER = AppleRefused(AppleFailure(9650))
OTHER = AppleRefused(AppleFailure(9602))
AWAY = Unavailable("apple_503")


@dataclass(frozen=True)
class Page:
    version_id: str
    next_page: int | None


async def pages(
    versions: str, *, first: int = 0, error: Exception | None = None
) -> AsyncGenerator[Page, None]:
    """Yield a page of each version; after them comes the error, if there is one."""
    for index, version in enumerate(versions, start=first):
        is_last = error is None and index == first + len(versions) - 1
        yield Page(version, None if is_last else index + 1)
    if error is not None:
        raise error


async def walked(walk: Walk, some: AsyncGenerator[Page, None], *, parts: Sequence[bool] | None = None) -> int:
    """Walk on; `parts` says after each page whether that is enough. Return how many pages came."""
    answers = None if parts is None else iter(parts)
    return len(
        [page async for page in walk.through(some, enough=None if answers is None else answers.__next__)]
    )


async def test_a_list_of_one_version_read_to_its_end_is_exact() -> None:
    walk = Walk()
    assert await walked(walk, pages("aaa")) == 3
    assert walk.exact
    assert walk.following() is None


async def test_a_list_that_changes_is_walked_anew_and_at_last_taken_as_inexact() -> None:
    walk: Walk | None = Walk()
    numbers = []
    while walk is not None:
        await walked(walk, pages("aab"))
        assert not walk.exact
        numbers.append(walk.number)
        walk = walk.following()
    assert numbers == [1, 2, 3, 4, 5]


async def test_a_list_that_became_shorter_is_walked_anew() -> None:
    walk = Walk()
    assert await walked(walk, pages("aa", error=SHORTER)) == 2
    assert walk.ended
    assert not walk.exact
    assert walk.following() == Walk(2)


@pytest.mark.parametrize("parts", [None, [False, False, False]])
@pytest.mark.parametrize(("versions", "error"), [("", SHORTER), ("", OTHER), ("aa", OTHER), ("", AWAY)])
async def test_any_other_refusal_is_what_it_is(
    versions: str, error: Exception, parts: Sequence[bool] | None
) -> None:
    walk = Walk()
    with pytest.raises(type(error), match=str(error)):
        await walked(walk, pages(versions, error=error), parts=parts)
    assert not walk.exact


async def test_a_part_ends_where_it_is_enough_and_the_next_one_goes_on() -> None:
    walk = Walk()
    assert await walked(walk, pages("aaaa"), parts=[False, True]) == 2
    assert (walk.next_page, walk.exact, walk.following()) == (2, False, walk)
    walk = Walk.of(json.loads(json.dumps(walk.stored())))
    assert await walked(walk, pages("aa", first=2), parts=[False, False]) == 2
    assert walk.exact


async def test_a_change_between_two_parts_is_a_change() -> None:
    walk = Walk()
    await walked(walk, pages("aaa"), parts=[True])
    walk = Walk.of(walk.stored())
    await walked(walk, pages("bb", first=1), parts=[False, False])
    assert walk.ended
    assert not walk.exact


async def test_a_part_that_meets_an_outage_after_some_pages_keeps_them() -> None:
    walk = Walk()
    await walked(walk, pages("aaa", error=AWAY), parts=[False] * 3)
    assert (walk.next_page, walk.ended) == (3, False)
    with pytest.raises(Unavailable):
        await walked(walk, pages("", first=3, error=AWAY), parts=[])


async def test_half_a_list_that_must_be_read_at_once_is_no_list() -> None:
    with pytest.raises(Unavailable):
        await walked(Walk(), pages("aa", error=AWAY))


async def test_pages_that_go_round_are_not_walked_for_ever() -> None:
    async def round_and_round() -> AsyncGenerator[Page, None]:
        yield Page("a", 3)
        raise Unavailable("apple_garbled")

    with pytest.raises(Unavailable):
        await walked(Walk(next_page=5), round_and_round(), parts=[False])
