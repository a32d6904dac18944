"""Reads a library's Apple users: the authority on who is registered, who has joined and who was retired.

What changed since the last reading is read page by page into the records, then judged set by set: memory holds
a page, however many there are. A reading settles the requests that had ended when it began (promise 6).
"""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from uuid import UUID

from licensing import roster, sealed
from licensing.decide.apple_users import Judged, contradicted, number_of, seen, settled
from licensing.model import Access, AppleRefused, AppleUserRow, TokenRefused, UserPage
from licensing.model.people import UserRequest, Written
from licensing.steps.desk import Desk
from licensing.steps.outside import UserLister
from licensing.store import apple_users, people, user_readings, user_records, user_writes
from licensing.store.user_readings import FULL, Reading
from licensing.store.user_records import Record
from shared import worker
from shared.database import Transaction
from shared.errors import Unavailable
from shared.ids import new_id
from shared.worker import WorkRow

_WALKS = 5
"""How often a list is read anew that changes while it is read, before it is taken as inexact."""
_BAD_VERSION = 9721
_NOBODY = UUID(int=0)


class UsersStep:
    """Reads lists of users, and does what follows from them."""

    def __init__(self, desk: Desk, apple: UserLister) -> None:
        self._desk = desk
        self._database = desk.database
        self._apple = apple

    async def do(self, row: WorkRow) -> None:
        """Read one library's users, all that is new of them."""
        library_id = row.payload["library_id"]
        async with self._database.transaction() as tx:
            reading = await user_readings.begin(tx, library_id)
            requests = {each.write_id: each for each in await user_writes.ended(tx, library_id)}
        access = await self._desk.reading_access(library_id)
        async with self._desk.suspending(access):
            version_id, exact = await self._read(access, reading)
        if not exact:
            requests = {}  # what an inexact list lacks proves nothing
        doubtful = await self._judge(library_id, reading, requests) and reading.since is not None
        async with self._database.transaction() as tx:
            await roster.accept_left_behind(tx, library_id)
        await self._end(row, requests, FULL if doubtful else version_id, exact=exact)

    async def _read(self, access: Access, reading: Reading) -> tuple[str | None, bool]:
        """Read into the records; return the version to go on from, None where the reading is not exact."""
        since = reading.since
        for _ in range(_WALKS):
            async with self._database.transaction() as tx:
                number = await user_readings.walk(tx, access.library_id)
            try:
                async with aclosing(self._apple.users(access, since=since)) as pages:
                    versions = [await self._keep(access.library_id, number, page) async for page in pages]
            except TokenRefused:
                raise
            except AppleRefused as refused:
                if refused.failure.number == _BAD_VERSION and since is not None:
                    since = None
                    continue
                raise Unavailable(f"apple_{refused.failure.number}") from refused
            if len(set(versions)) == 1:
                return versions[0], True
        return None, False

    async def _keep(self, library_id: str, number: int, page: UserPage) -> str:
        """Store a page of records; return its version."""
        async with self._database.transaction() as tx:
            ours = await apple_users.user_ids(tx, library_id, {row.client_user_id for row in page.users})
            records: dict[tuple[str, str], Record] = {}
            for row in page.users:
                record = self._record(row, is_ours=row.client_user_id in ours)
                if row.active or (record.client_user_id, record.id_hash) not in records:
                    records[record.client_user_id, record.id_hash] = record
            await user_records.store(tx, library_id, number, list(records.values()))
        return page.version_id

    def _record(self, row: AppleUserRow, *, is_ours: bool) -> Record:
        code = row.invite_code if is_ours else None
        return Record(
            row.client_user_id,
            row.id_hash or "",
            row.status,
            None if code is None else sealed.seal_code(self._desk.vault, row.client_user_id, code),
            None if code is None else sealed.code_digest(code),
        )

    async def _judge(self, library_id: str, reading: Reading, requests: Mapping[UUID, UserRequest]) -> bool:
        """Judge whom the reading showed and who waits for it; return whether it contradicts Apple's numbers."""
        async with self._database.reading() as tx:
            members = sorted(await apple_users.of_writes(tx, requests))
        doubtful = False
        for start in range(0, len(members), roster.MOST_AT_ONCE):
            doubtful |= await self._judge_set(
                library_id, members[start : start + roster.MOST_AT_ONCE], requests
            )
        after = _NOBODY
        while True:
            async with self._database.reading() as tx:
                shown = await user_records.touched(
                    tx, library_id, after_reading=reading.number, after=after, limit=roster.MOST_AT_ONCE
                )
            if not shown:
                return doubtful
            after = shown[-1]
            doubtful |= await self._judge_set(library_id, shown, requests)

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

    async def _end(
        self, row: WorkRow, requests: Mapping[UUID, UserRequest], version_id: str | None, *, exact: bool
    ) -> None:
        library_id = row.payload["library_id"]
        async with self._database.transaction() as tx:
            wanted = await user_readings.end(tx, library_id, version_id)
            await user_writes.delete(tx, requests)
            if wanted or not exact or version_id == FULL:
                due_at = tx.now if exact else tx.now + self._desk.pace.next_list
                await worker.proceed(tx, row, payload=row.payload, due_at=due_at)
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
