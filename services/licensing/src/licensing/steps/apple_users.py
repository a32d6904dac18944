"""People for whom licences are held get an Apple user, and whom Apple has registered is invited."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from licensing import roster, sealed, work
from licensing.model import Hidden
from licensing.model.people import AppleUser, Person, UserState
from licensing.steps.desk import Desk
from licensing.steps.outside import Inviter
from licensing.store import apple_users, people, user_readings, user_records
from licensing.store.user_records import SealedCode
from shared import outbox, worker
from shared.asks import deadline
from shared.database import Transaction
from shared.events import Outgoing
from shared.events.licensing import InvitationRequested
from shared.ids import new_id
from shared.metrics import APPLE_USERS_TOLD
from shared.vault import KeyUnknown, SealBroken
from shared.worker import WorkRow

ASK_AGAIN_SECONDS = 86_400.0
"""An invitation lives for weeks, and what asks for it is on its topic for a day."""


class WantStep:
    """Sees that people have an Apple user in a library."""

    def __init__(self, desk: Desk) -> None:
        self._database = desk.database

    async def do(self, row: WorkRow) -> None:
        """Do so for one set of people. Of who seems to have joined already, Apple's list is read once more."""
        library_id = row.payload["library_id"]
        user_ids = [UUID(user_id) for user_id in row.payload["user_ids"]]
        async with self._database.transaction() as tx:
            await worker.finish(tx, row)
            await people.lock_all(tx, user_ids)
            present = await roster.wish(tx, library_id, user_ids, row.correlation_id)
            if any(user.state is UserState.ASSOCIATED for user in present):
                await work.want_users(tx, library_id)


class InviteStep:
    """Tells invitations: each with a link of its own, sealed for its one event."""

    def __init__(self, desk: Desk, apple: Inviter) -> None:
        self._vault = desk.vault
        self._database = desk.database
        self._apple = apple

    async def do(self, row: WorkRow) -> None:
        """Tell a set of the invitations that are due in a library; the row stays while there are more."""
        library_id = row.payload["library_id"]
        async with self._database.reading() as tx:
            due = await apple_users.due_for_invitation(tx, library_id, limit=roster.MOST_AT_ONCE)
            codes = await user_records.codes(tx, library_id, due)
        links, closed = await self._links(codes)
        async with self._database.transaction() as tx:
            if len(due) < roster.MOST_AT_ONCE:
                await worker.finish(tx, row)
            else:
                await worker.proceed(tx, row, payload=row.payload, due_at=tx.now)
            known = await people.lock_all(tx, {*links, *closed})
            await self._tell(tx, library_id, links, known)
            if closed:
                await user_records.forget_codes(tx, library_id, closed)
                await work.want_users(tx, library_id)
                await user_readings.want_whole(tx, library_id)

    async def _links(self, codes: Sequence[SealedCode]) -> tuple[dict[UUID, tuple[bytes, Hidden]], set[UUID]]:
        """Return each one's link, with the digest of the code that it was made of; and whose code stays closed."""
        links: dict[UUID, tuple[bytes, Hidden]] = {}
        closed: set[UUID] = set()
        for code in codes:
            try:
                opened = sealed.open_code(self._vault, code.client_user_id, code.invite_code)
            except (SealBroken, KeyUnknown):
                closed.add(code.user_id)
                continue
            links[code.user_id] = (code.invite_hash, await self._apple.invitation_link(opened))
        return links, closed

    async def _tell(
        self,
        tx: Transaction,
        library_id: str,
        links: Mapping[UUID, tuple[bytes, Hidden]],
        known: Mapping[UUID, Person],
    ) -> None:
        """Tell those that are due still; one whose code has changed meanwhile is due again by then."""
        users = await apple_users.load(tx, library_id, links)
        codes = {each.user_id: each.invite_hash for each in await user_records.codes(tx, library_id, links)}
        invited: list[tuple[AppleUser, Outgoing]] = []
        assets = await apple_users.waiting_assets(tx, library_id, links)
        for user_id, (digest, link) in links.items():
            user, person = users[user_id], known[user_id]
            if user.invite_due and user.wants is None and person.invitable and codes.get(user_id) == digest:
                after = replace(
                    user,
                    version=user.version + 1,
                    invite_due=False,
                    invited_hash=digest,
                    invited_at=user.invited_at or tx.now,
                    ask_at=deadline(tx.now, seconds=ASK_AGAIN_SECONDS),
                )
                invited.append((after, self._event(after, person, link, assets.get(user_id, ()))))
        await apple_users.save(tx, [user for user, _ in invited])
        await outbox.append(tx, [event for _, event in invited])
        tx.after_commit(lambda: APPLE_USERS_TOLD.labels("invited").inc(len(invited)))

    def _event(self, user: AppleUser, person: Person, link: Hidden, asset_ids: Sequence[UUID]) -> Outgoing:
        event_id = new_id()
        event = InvitationRequested(
            user_id=user.user_id,
            library_id=user.library_id,
            sealed_link=sealed.seal_link(self._vault, event_id, link),
            person_version=person.version,
            asset_ids=tuple(asset_ids),
        )
        return Outgoing(event, user.correlation_id, sequence=user.version, event_id=event_id)
