"""The book of one transaction: the locked pools as they become, what is to be written, and what is to be told."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from licensing.decide import in_order
from licensing.ledger.page import Entry, Outcome, Page, Target, by_outcome
from licensing.ledger.places import Places
from licensing.ledger.requests import Requests, request_needed
from licensing.ledger.telling import Told
from licensing.model import Answer, License, Pool, State
from licensing.store import license_rows
from shared.database import Transaction

_UNSENT = frozenset({State.RESERVED, State.RELEASING})
_SENT = frozenset({State.ASSOCIATING, State.WITHDRAWING})


class Book:
    """Opened with all pools of some assets locked. `promised` says, by library, who has to be invited."""

    def __init__(self, tx: Transaction, locked: Iterable[Pool]) -> None:
        self.tx = tx
        self.pages = {pool.pool_id: Page(pool) for pool in locked}
        self._of_asset: dict[UUID, list[Page]] = defaultdict(list)
        for page in self.pages.values():
            self._of_asset[page.pool.asset_id].append(page)
        self.requests = Requests(tx, list(self.pages))
        self.places = Places(tx, self.pages)
        self.told: list[Told] = []
        self.promised: dict[str, set[UUID]] = defaultdict(set)
        self._entries: list[Entry] = []

    def sisters(self, asset_id: UUID) -> list[Page]:
        """Return the pages of an asset, in the order in which its pools are asked."""
        mine = self._of_asset[asset_id]
        if len(mine) == 1:
            return mine
        return [self.pages[pool.pool_id] for pool in in_order([page.pool for page in mine], None)]

    def arrivals(self, page: Page, many: int) -> Sequence[int]:
        """Draw the next numbers in the order of arrival, which all pools of an asset share."""
        last = max(sister.pool.arrival for sister in self.sisters(page.pool.asset_id))
        page.arrived(last + many)
        return range(last + 1, last + many + 1)

    def enter(self, entry: Entry) -> None:
        """Have a set of licences written."""
        self._entries.append(entry)

    def write(self, before: State, entry: Entry) -> None:
        """Have known licences written that leave one state for another, and perhaps one pool for a sister."""
        group = [each for each in entry.targets if isinstance(each, License)]
        if entry.page is not None:
            former = self.pages[group[0].pool_id] if group[0].pool_id is not None else entry.page
            former.count(before, State.UNKNOWN, len(group))
            entry.page.count(State.UNKNOWN, entry.state, len(group))
        if before in _UNSENT:
            self.requests.leave([each.intent_id for each in group if each.intent_id is not None])
        self.enter(entry)

    def tell(self, answer: Answer, page: Page | None, targets: Sequence[Target], outcome: Outcome) -> None:
        """Have it told, where there is something to tell."""
        library_id = page.pool.library_id if page else ""
        match answer:
            case Answer.NOTHING:
                return
            case Answer.REFUSED | Answer.RELEASED | Answer.FAILED:
                for asset_id, said, group in by_outcome(targets, outcome):
                    self.told.append(Told(answer, asset_id, library_id, group, *said))
            case Answer.RESERVED | Answer.WAITLISTED | Answer.ASSIGNED | Answer.AWAITING | Answer.LOST:
                self.told.append(Told(answer, targets[0].asset_id, library_id, targets))
        if answer is Answer.AWAITING:
            self.promised[library_id].update(
                target.holder for target in targets if isinstance(target.holder, UUID)
            )

    async def flush(self) -> None:
        """Write what happened so far."""
        entries, self._entries = self._entries, []
        born, ended, under_way = license_rows.Rows(), license_rows.Rows(), license_rows.Rows()
        for entry in entries:
            intent_ids = await self._intents_of(entry)
            rows = born if entry.is_new else under_way if any(intent_ids) else ended
            rows.extend(
                entry.targets,
                pool_id=entry.page.pool.pool_id if entry.page else None,
                state=entry.state,
                arrivals=entry.arrivals,
                intent_ids=intent_ids,
                outcome=entry.outcome,
            )
        await self.requests.write()
        # What leaves its request first: a target has one unsettled request at any moment.
        for rows, write in (
            (ended, license_rows.update),
            (under_way, license_rows.update),
            (born, license_rows.insert),
        ):
            if rows:
                await write(self.tx, rows)

    async def _intents_of(self, entry: Entry) -> Sequence[UUID | None]:
        """Return the request to Apple of each: the one it is in, or the one that its state needs."""
        if entry.intent_ids is not None:
            return entry.intent_ids
        if entry.state in _SENT:
            return [each.intent_id for each in entry.targets if isinstance(each, License)]
        kind, page = request_needed(entry.state), entry.page
        if kind is None or page is None:
            return [None] * len(entry.targets)
        ready = [target for target in entry.targets if self._is_ready(page, target)]
        kinds = {isinstance(target.holder, UUID) for target in ready}
        if len(kinds) == 1 and len(ready) == len(entry.targets):  # so it is nearly always
            return await self.requests.join(page.pool.pool_id, kind, ready, attempt=entry.attempt)
        joined: dict[UUID, UUID] = {}
        for of_people in kinds:
            group = [target for target in ready if isinstance(target.holder, UUID) is of_people]
            ids = await self.requests.join(page.pool.pool_id, kind, group, attempt=entry.attempt)
            joined.update(zip([target.entitlement_id for target in group], ids, strict=True))
        return [joined.get(target.entitlement_id) for target in entry.targets]

    def _is_ready(self, page: Page, target: Target) -> bool:
        """Say whether a request may name it: none about it is open, and its quarantine is over."""
        if target.holder in page.busy:
            return False
        release_at = target.release_at if isinstance(target, License) else None
        return release_at is None or release_at <= self.tx.now
