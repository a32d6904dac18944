"""One request to Apple about users, from its gathering to its end.

Whoever wants the same of Apple goes in one request, up to Apple's limit. It is stored with its members before it
is sent, then followed by the id of Apple's event; what became of each member, the list of users says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from licensing import sealed, work
from licensing.decide.apple_users import halves
from licensing.model import (
    Access,
    AppleFailure,
    AppleRefused,
    EventStatus,
    NewAppleUser,
    OutcomeUnknown,
    TokenRefused,
)
from licensing.model.people import AppleUser, Person, UserRequest, UserState, UserWrite
from licensing.steps.desk import Desk
from licensing.steps.keep import keep
from licensing.steps.outside import UserWriter
from licensing.store import apple_users, people, user_writes
from shared import worker
from shared.database import Transaction
from shared.errors import Unavailable
from shared.ids import new_id
from shared.worker import WorkRow

_UNKNOWN_EVENT = 9708
_TOO_MANY = 9714

Members = Sequence[tuple[AppleUser, Person]]


class UserWriteStep:
    """Brings requests about users to their end."""

    def __init__(self, desk: Desk, apple: UserWriter) -> None:
        self._desk = desk
        self._database = desk.database
        self._apple = apple

    async def do(self, row: WorkRow) -> None:
        """Do what comes next: gather and send, or follow."""
        async with self._database.reading() as tx:
            request = await user_writes.of_work(tx, row.id)
            idle = request is None and not await _wanting(tx, row.payload, limit=1)
            settled = request is not None and await user_writes.is_empty(tx, request.write_id)
        if idle or settled:
            async with self._database.transaction() as tx:
                await worker.finish(tx, row)
                await user_writes.delete(tx, [request.write_id] if request else [])
        elif request is None:
            await self._gather(row)
        elif request.event_id is None:
            await self._look_again(row, request)
        else:
            await self._follow(row, request, request.event_id)

    async def _gather(self, row: WorkRow) -> None:
        access = await self._desk.access(row.payload["library_id"])
        async with self._desk.suspending(access):
            limits = await self._apple.turn(access)
            write_id = new_id()
            members, sent_at = await self._mark_sent(row, write_id, limits.users)
            if members:
                await self._send(row, access, write_id, (members, sent_at))

    async def _mark_sent(self, row: WorkRow, write_id: UUID, most: int) -> tuple[Members, datetime]:
        """Store who is in it, and that Apple may have it from now on; who finds no room goes in another."""
        library_id, kind = row.payload["library_id"], UserWrite(row.payload["kind"])
        async with self._database.transaction() as tx:
            await self._desk.access_in(tx, library_id)  # unless it was fenced while we waited for our turn
            if await user_writes.of_work(tx, row.id) is not None:
                return [], tx.now  # this lease ran out while we waited: another worker has sent it
            candidates = await _wanting(tx, row.payload, limit=most + 1)
            known = await people.lock_all(tx, candidates[:most])
            wanting = set(await _wanting(tx, row.payload, limit=most + 1))
            users = await apple_users.load(tx, library_id, known)
            members = [
                (replace(user, write_id=write_id), known[user_id])
                for user_id, user in users.items()
                if user_id in wanting
            ]
            if not members:
                await worker.postpone(tx, row, due_at=tx.now, problem="taken_by_another_request")
                return [], tx.now
            await user_writes.insert(tx, write_id, library_id, kind, work_id=row.id)
            await apple_users.save(tx, [user for user, _ in members])
            if len(candidates) > most:
                await work.write_users(tx, library_id, kind, part_id=_part_id(row.payload))
            return members, tx.now

    async def _send(
        self, row: WorkRow, access: Access, write_id: UUID, sent: tuple[Members, datetime]
    ) -> None:
        members, sent_at = sent
        kind = UserWrite(row.payload["kind"])
        request = UserRequest(write_id, access.library_id, kind, sent_at, None, None)
        try:
            event_id = await self._write(access, kind, members)
        except OutcomeUnknown:
            await self._look_again(row, request)
        except (TokenRefused, Unavailable):
            await self._put_back(request, [replace(user, write_id=None) for user, _ in members])
            raise
        except AppleRefused as refused:
            await self._refused(row, request, members, refused.failure)
        else:
            await keep(self._database, lambda tx: user_writes.follow(tx, write_id, event_id))
            async with self._database.transaction() as tx:
                due_at = tx.now + self._desk.pace.first_status
                await worker.proceed(tx, row, payload=row.payload, due_at=due_at)

    async def _write(self, access: Access, kind: UserWrite, members: Members) -> str:
        match kind:
            case UserWrite.CREATE:
                return await self._apple.create_users(access, [self._said(*each) for each in members])
            case UserWrite.UPDATE:
                return await self._apple.update_users(access, [self._said(*each) for each in members])
            case UserWrite.RETIRE:
                return await self._apple.retire_users(access, [user.client_user_id for user, _ in members])

    def _said(self, user: AppleUser, person: Person) -> NewAppleUser:
        """Return what Apple is told of a person; an account is bound once, so only who has none brings one."""
        vault = self._desk.vault
        mail_address = None if user.without_mail else person.mail_address
        unbound = not user.without_managed and user.state is not UserState.ASSOCIATED
        return NewAppleUser(
            user.client_user_id,
            email=sealed.open_mail_address(vault, user.user_id, mail_address),
            managed_apple_id=sealed.open_managed_apple_id(
                vault, user.user_id, person.managed_apple_id if unbound else None
            ),
        )

    async def _refused(
        self, row: WorkRow, request: UserRequest, members: Members, failure: AppleFailure
    ) -> None:
        """Nothing of it was queued: the list judges whom Apple names, halves find whom it does not."""
        users = [user for user, _ in members]
        if failure.client_user_ids and failure.number != _TOO_MANY:
            await self._end(row, request, [failure])
        elif len(users) == 1 and failure.number != _TOO_MANY:
            named = frozenset({users[0].client_user_id})
            await self._end(row, request, [AppleFailure(failure.number, client_user_ids=named)])
        else:
            self._apple.forget_limits()
            part_ids = (new_id(), new_id())
            async with self._database.transaction() as tx:
                await worker.finish(tx, row)
                await _put_back(tx, request, halves(users, part_ids))
                for part_id in part_ids:
                    await work.write_users(tx, request.library_id, request.kind, part_id=part_id)

    async def _put_back(self, request: UserRequest, users: Sequence[AppleUser]) -> None:
        async with self._database.transaction() as tx:
            await _put_back(tx, request, users)

    async def _follow(self, row: WorkRow, request: UserRequest, event_id: str) -> None:
        access = await self._desk.reading_access(request.library_id)
        async with self._desk.suspending(access):
            try:
                state = await self._apple.status(access, event_id)
            except TokenRefused:
                raise
            except AppleRefused as refused:
                if refused.failure.number != _UNKNOWN_EVENT:
                    raise Unavailable(f"apple_{refused.failure.number}") from refused
                await self._look_again(row, request)
                return
        if state.status is EventStatus.PENDING:
            await self._look_again(row, request, self._database.clock.now() + self._desk.pace.next_status)
        else:
            await self._end(row, request, state.failures)

    async def _look_again(self, row: WorkRow, request: UserRequest, next_at: datetime | None = None) -> None:
        """Look again at `next_at`; from the proof time on the list decides what became of it."""
        proven_at = request.sent_at + self._desk.pace.proof
        if self._database.clock.now() >= proven_at:
            await self._end(row, request, ())
            return
        async with self._database.transaction() as tx:
            due_at = min(next_at or proven_at, proven_at)
            await worker.proceed(tx, row, payload=row.payload, due_at=due_at)

    async def _end(self, row: WorkRow, request: UserRequest, failures: Sequence[AppleFailure]) -> None:
        """Have the list of users read: it says what was done, the numbers only why the rest was not."""
        async with self._database.transaction() as tx:
            await worker.finish(tx, row)
            await user_writes.end(tx, request.write_id, failures)
            await work.want_users(tx, request.library_id)


async def _put_back(tx: Transaction, request: UserRequest, users: Sequence[AppleUser]) -> None:
    """Take a request back that Apple certainly has not got. Whom a reading found done meanwhile has left it."""
    await people.lock_all(tx, [user.user_id for user in users])
    present = await apple_users.load(tx, request.library_id, [user.user_id for user in users])
    await apple_users.save(
        tx,
        [
            replace(present[user.user_id], write_id=None, part_id=user.part_id)
            for user in users
            if present[user.user_id].write_id == request.write_id
        ],
    )
    await user_writes.delete(tx, [request.write_id])


async def _wanting(tx: Transaction, payload: Mapping[str, Any], *, limit: int) -> list[UUID]:
    kind = UserWrite(payload["kind"])
    return await apple_users.wanting(tx, payload["library_id"], kind, _part_id(payload), limit=limit)


def _part_id(payload: Mapping[str, Any]) -> UUID | None:
    said = payload.get("part_id")
    return None if said is None else UUID(said)
