"""Places in the waitlist, for those who are told theirs."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from licensing.ledger.page import Page
from licensing.model import Ask
from licensing.store import waiting
from shared.database import Transaction


class Places:
    """Knows who came to the waitlist in this transaction: they stand last of their priority."""

    def __init__(self, tx: Transaction, pages: Mapping[UUID, Page]) -> None:
        self._tx = tx
        self._pages = pages
        self._newcomers: dict[tuple[UUID, int], list[UUID]] = defaultdict(list)

    def came(self, pool_id: UUID, asks: Sequence[Ask]) -> None:
        """Note newcomers, in the order of arrival."""
        for ask in asks:
            self._newcomers[pool_id, ask.priority].append(ask.entitlement_id)

    async def find(self, entitlement_ids: Collection[UUID]) -> dict[UUID, int]:
        """Return the place of each, counted from 1; everything is written by now.

        Newcomers are counted, not looked up: a long waitlist is read only for those who were in it before.
        """
        if not entitlement_ids:
            return {}
        found = await self._newcomers_places()
        others = set(entitlement_ids) - found.keys()
        if others:
            found.update(await waiting.positions(self._tx, others, list(self._pages)))
            found.update((each, 1) for each in others - found.keys())  # served in this very transaction
        return found

    async def _newcomers_places(self) -> dict[UUID, int]:
        if not self._newcomers:
            return {}
        found: dict[UUID, int] = {}
        below = await waiting.waiting_below(self._tx, list(self._newcomers))
        for (pool_id, priority), group in self._newcomers.items():
            last = self._pages[pool_id].pool.waiting - below[pool_id, priority]
            first = max(1, last - len(group) + 1)
            found.update(zip(group, range(first, first + len(group)), strict=True))
        return found
