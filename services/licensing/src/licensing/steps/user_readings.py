"""Reads a library's Apple users: the authority on who is registered, who has joined and who was retired.

What changed since the last reading is read page by page into the records, then judged set by set: memory holds
a page, however many there are. What takes longer than a step may is done in parts; the work row says how far it has
come. A reading settles the requests that had ended when it began (promise 6).
"""

from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from licensing import roster, sealed
from licensing.decide.apple_users import Judged, contradicted, number_of, seen, settled
from licensing.model import Access, AppleRefused, AppleUserRow, UserPage, Walk
from licensing.model.people import UserRequest, Written
from licensing.steps.desk import Desk
from licensing.steps.outside import UserLister
from licensing.store import apple_users, people, user_readings, user_records, user_writes
from licensing.store.user_readings import FULL
from licensing.store.user_records import Record
from shared import worker
from shared.database import Transaction
from shared.ids import new_id
from shared.worker import WorkRow

_BAD_VERSION = 9721
_NOBODY = UUID(int=0)


@dataclass(slots=True)
class _Reading:
    """How far a reading has come.

    Records that it shows carry higher numbers than `after_number`, those of its present walk `number`. `since` is the
    version it goes on from, None for a full one. It settles the requests `write_ids`. Who comes after `judged` in the
    order of ids is still to be judged, and `doubtful` says that somebody contradicted Apple's numbers.
    """

    after_number: int
    since: str | None
    write_ids: list[str]
    number: int | None = None
    walk: Walk = field(default_factory=Walk)
    judged: UUID = _NOBODY
    doubtful: bool = False

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "_Reading":
        """Return a reading as it was stored."""
        return cls(**{**stored, "walk": Walk.of(stored["walk"]), "judged": UUID(stored["judged"])})

    def stored(self) -> dict[str, Any]:
        """Return what the next step needs to go on, as JSON."""
        return {**asdict(self), "walk": self.walk.stored(), "judged": str(self.judged)}

    def begin_walk(self, walk: Walk) -> None:
        """Read the list once more; its records carry a new number."""
        self.walk, self.number = walk, None

    @property
    def version_id(self) -> str | None:
        """Return the version to go on from: FULL where only the whole list tells, None for the former one."""
        if self.doubtful and self.since is not None:
            return FULL
        return (next(iter(self.walk.versions)) or None) if self.walk.exact else None


class UsersStep:
    """Reads lists of users, and does what follows from them."""

    def __init__(self, desk: Desk, apple: UserLister) -> None:
        self._desk = desk
        self._database = desk.database
        self._apple = apple

    async def do(self, row: WorkRow) -> None:
        """Read one library's users, all that is new of them, or a part of it."""
        library_id = row.payload["library_id"]
        enough = self._desk.part()
        reading, requests = await self._resume(row)
        access = await self._desk.reading_access(library_id)
        if not reading.walk.ended:
            async with self._desk.suspending(access):
                await self._walk(access, reading, enough)
            following = reading.walk.following()
            if following is not None:
                if following is not reading.walk:
                    reading.begin_walk(following)
                await self._go_on(row, reading)
                return
        if not reading.walk.exact:
            requests = {}  # what an inexact list lacks proves nothing
        if not await self._judge(library_id, reading, requests, enough):
            await self._go_on(row, reading)
            return
        async with self._database.transaction() as tx:
            await roster.accept_left_behind(tx, library_id)
        await self._end(row, reading, requests)

    async def _resume(self, row: WorkRow) -> tuple[_Reading, Mapping[UUID, UserRequest]]:
        """Begin a reading, or go on with it; return it with the requests that it settles."""
        library_id = row.payload["library_id"]
        async with self._database.transaction() as tx:
            if "reading" in row.payload:
                reading = _Reading.of(row.payload["reading"])
                ended = await user_writes.ended(tx, library_id)
            else:  # in this order: who ends a request from now on, and wants a reading for it, waits for our commit
                begun = await user_readings.begin(tx, library_id)
                ended = await user_writes.ended(tx, library_id)
                reading = _Reading(begun.number, begun.since, [str(each.write_id) for each in ended])
        return reading, {each.write_id: each for each in ended if str(each.write_id) in reading.write_ids}

    async def _go_on(self, row: WorkRow, reading: _Reading) -> None:
        async with self._database.transaction() as tx:
            payload = {**row.payload, "reading": reading.stored()}
            await worker.proceed(tx, row, payload=payload, due_at=tx.now)

    async def _walk(self, access: Access, reading: _Reading, enough: Callable[[], bool]) -> None:
        """Read a part of the list into the records. A version that Apple does not know begins a full reading."""
        if reading.number is None:
            async with self._database.transaction() as tx:
                reading.number = await user_readings.walk(tx, access.library_id)
        listing = self._apple.users(access, since=reading.since, first_page=reading.walk.next_page or 0)
        try:
            async with aclosing(reading.walk.through(listing, enough=enough)) as pages:
                async for page in pages:
                    await self._keep(access.library_id, reading.number, page)
        except AppleRefused as refused:
            if refused.failure.number != _BAD_VERSION or reading.since is None:
                raise
            reading.since = None
            reading.begin_walk(Walk())

    async def _keep(self, library_id: str, number: int, page: UserPage) -> None:
        """Store a page of records."""
        async with self._database.transaction() as tx:
            ours = await apple_users.user_ids(tx, library_id, {row.client_user_id for row in page.users})
            records: dict[tuple[str, str], Record] = {}
            for row in page.users:
                record = self._record(row, is_ours=row.client_user_id in ours)
                if row.active or (record.client_user_id, record.id_hash) not in records:
                    records[record.client_user_id, record.id_hash] = record
            await user_records.store(tx, library_id, number, list(records.values()))

    def _record(self, row: AppleUserRow, *, is_ours: bool) -> Record:
        code = row.invite_code if is_ours else None
        return Record(
            row.client_user_id,
            row.id_hash or "",
            row.status,
            None if code is None else sealed.seal_code(self._desk.vault, row.client_user_id, code),
            None if code is None else sealed.code_digest(code),
        )

    async def _judge(
        self,
        library_id: str,
        reading: _Reading,
        requests: Mapping[UUID, UserRequest],
        enough: Callable[[], bool],
    ) -> bool:
        """Judge whom the reading showed and who waits for it, or some of them; return whether that was everybody."""
        async with self._database.reading() as tx:
            members = sorted(await apple_users.of_writes(tx, requests))
        while True:
            async with self._database.reading() as tx:
                shown = await user_records.touched(
                    tx,
                    library_id,
                    after_reading=reading.after_number,
                    after=reading.judged,
                    limit=roster.MOST_AT_ONCE,
                )
            waiting = members[bisect(members, reading.judged) :][: roster.MOST_AT_ONCE]
            some = sorted({*shown, *waiting})[: roster.MOST_AT_ONCE]
            if not some:
                return True
            reading.doubtful |= await self._judge_set(library_id, some, requests)
            reading.judged = some[-1]
            if enough():
                return False

    async def _judge_set(
        self, library_id: str, user_ids: Sequence[UUID], requests: Mapping[UUID, UserRequest]
    ) -> bool:
        doubtful = False
        left = user_ids
        while left:
            async with self._database.transaction() as tx:
                judged, doubts = await _judged(tx, library_id, left, requests)
                left = await roster.write(tx, library_id, judged)
            doubtful |= doubts
        return doubtful

    async def _end(self, row: WorkRow, reading: _Reading, requests: Mapping[UUID, UserRequest]) -> None:
        library_id, exact = row.payload["library_id"], reading.walk.exact
        async with self._database.transaction() as tx:
            wanted = await user_readings.end(tx, library_id, reading.version_id)
            await user_writes.delete(tx, requests)
            if wanted or not exact or reading.version_id == FULL:
                due_at = tx.now if exact else tx.now + self._desk.pace.next_list
                await worker.proceed(tx, row, payload={"library_id": library_id}, due_at=due_at)
            else:
                await worker.finish(tx, row)
                await user_readings.end_work(tx, library_id)


async def _judged(
    tx: Transaction, library_id: str, user_ids: Sequence[UUID], requests: Mapping[UUID, UserRequest]
) -> tuple[list[Judged], bool]:
    """Judge a set of people under their locks, by all that the records show now."""
    await people.lock_all(tx, user_ids)
    users = await apple_users.load(tx, library_id, user_ids)
    await user_records.end_stale(tx, library_id, user_ids)
    sights = await user_records.sights(tx, library_id, user_ids)
    needed = await apple_users.waiting_assets(tx, library_id, user_ids)
    part_id = new_id()
    judged: list[Judged] = []
    doubtful = False
    for user in users.values():
        after = Judged(user)
        sight = sights.get(user.user_id)
        if sight is not None:
            after = seen(user, sight, needed=user.user_id in needed)
            doubtful |= sight.codeless
        request = requests.get(user.write_id) if user.write_id is not None else None
        if request is not None:
            written = Written(request.kind, number_of(user.client_user_id, request.failures))
            after = settled(after, written, part_id=part_id)
            doubtful |= contradicted(after, written)
        # Whose invitation was due before its code was known is told now: nothing else would bring it up again.
        if after != Judged(user) or after.user.invite_due:
            judged.append(after)
    return judged, doubtful
