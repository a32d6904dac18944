"""Walks through Apple's paged lists. Source: "Using paginated endpoints": zero-based, five pages at once at most."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

from shared.errors import Unavailable

PAGES_AT_ONCE = 5

Body = Mapping[str, Any]
Fetch = Callable[[int], Awaitable[Body]]


async def walk(fetch: Fetch, *, first: int = 0) -> AsyncGenerator[Body, None]:
    """Yield the pages of a list in order, from the `first` on; never more than five are under way or in memory.

    The last page is the one that names no next; how many there are may change on the way, and only says how
    far it is worth reading ahead. Raises whatever `fetch` raises, and Unavailable where pages go round.
    """
    window = _Window(fetch)
    index, pages = first, first + 1
    try:
        while True:
            window.read_ahead(index, max(pages, index + 1))
            body = await window.take(index)
            yield body
            following = _number(body, "nextPageIndex")
            if following is None:
                return
            if following <= index:
                raise Unavailable("apple_garbled")
            index, pages = following, _number(body, "totalPages") or 0
    finally:
        await window.close()


class _Window:
    """The pages that are being read."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._pages: dict[int, asyncio.Future[Body]] = {}

    def read_ahead(self, start: int, end: int) -> None:
        """Begin to read the pages from `start` to before `end`, as far as may be at once."""
        for index in range(start, min(end, start + PAGES_AT_ONCE)):
            if index not in self._pages:
                self._pages[index] = asyncio.ensure_future(self._fetch(index))

    async def take(self, index: int) -> Body:
        """Wait for a page, and keep it no longer."""
        return await self._pages.pop(index)

    async def close(self) -> None:
        """Give up what is still being read."""
        for page in self._pages.values():
            page.cancel()
        await asyncio.gather(*self._pages.values(), return_exceptions=True)


def _number(body: Body, name: str) -> int | None:
    value = body.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
