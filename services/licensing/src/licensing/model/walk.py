"""A walk through one of Apple's paged lists, which may change on the way. Source: "Using paginated endpoints"."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from licensing.model.apple import AppleRefused
from shared.errors import Unavailable

_MOST = 5
"""How often a list is walked that changes meanwhile, before it is taken as inexact."""
_PAGE_OUT_OF_RANGE = 9650


class Page(Protocol):
    """A page of a list: pages of one moment share their version, the last one names no next page."""

    @property
    def version_id(self) -> str:
        """Return the version of the list that the page is of."""
        ...

    @property
    def next_page(self) -> int | None:
        """Return the page that follows."""
        ...


P = TypeVar("P", bound=Page)


@dataclass(slots=True)
class Walk:
    """One walk through a list, the `number`th attempt: the page it comes to next (None at the end), what it saw."""

    number: int = 1
    next_page: int | None = 0
    versions: set[str] = field(default_factory=set)
    complete: bool = True

    @classmethod
    def of(cls, stored: dict[str, Any] | None) -> "Walk":
        """Return a walk as it was stored; the first one where none was."""
        if stored is None:
            return cls()
        return cls(**{**stored, "versions": set(stored["versions"])})

    def stored(self) -> dict[str, Any]:
        """Return what is needed to go on, as JSON."""
        return {
            "number": self.number,
            "next_page": self.next_page,
            "versions": sorted(self.versions)[:2],  # two say as much as more: the list changed
            "complete": self.complete,
        }

    @property
    def ended(self) -> bool:
        """Say whether it came to the end of the list."""
        return self.next_page is None

    @property
    def exact(self) -> bool:
        """Say whether it saw the whole list as it was at one moment: only then does absence prove anything."""
        return self.ended and self.complete and len(self.versions) == 1

    def following(self) -> "Walk | None":
        """Return what is still to be walked: the rest of this one, or another where the list changed; None: nothing."""
        if not self.ended:
            return self
        return None if self.exact or self.number >= _MOST else Walk(self.number + 1)

    async def through(
        self, pages: AsyncGenerator[P, None], *, enough: Callable[[], bool] | None = None
    ) -> AsyncGenerator[P, None]:
        """Yield the pages that are to come, up to the end, or where the list became shorter meanwhile (9650).

        With `enough` it yields a part of them: until that says so after a page, or Apple becomes unavailable after
        some. `pages` begin where this walk stands. Raises what they raise; whoever stops early closes this.
        """
        first = self.next_page or 0
        try:
            async with aclosing(pages):
                async for page in pages:
                    self.versions.add(page.version_id)
                    yield page
                    self.next_page = page.next_page
                    if enough is not None and enough():
                        return
        except AppleRefused as refused:
            if refused.failure.number != _PAGE_OUT_OF_RANGE or not self.versions:
                raise
            self.next_page, self.complete = None, False
        except Unavailable:
            if enough is None or self.next_page is None or self.next_page <= first:
                raise
