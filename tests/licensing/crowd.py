"""People beside a simulated Apple: told of as assignment does, invited, joining with accounts of theirs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from licensing import handlers, sealed
from licensing.model import Access
from licensing.model.people import AppleUser
from licensing.steps import Desk
from licensing.store import apple_users
from shared import ids
from shared.database import Transaction
from shared.events import Envelope, Event, Heard
from shared.events.assignment import UserChanged, UserDeleted, UserInvitationRequested
from shared.events.invitation import InvitationBounced, InvitationCancelled, InvitationExpired
from shared.events.licensing import AppleUserAssociated, AppleUserRetired, InvitationRequested
from tests.licensing.office import PACE, AppleAdmin, Office

CREATE = "POST users/create"

Ended = InvitationExpired | InvitationBounced | InvitationCancelled


class Crowd:
    """The people of a school, and what they do."""

    def __init__(self, school: Office, admin: AppleAdmin) -> None:
        self.school = school
        self.admin = admin

    async def tell(self, *user_ids: UUID, version: int = 1, **said: Any) -> None:
        """Let assignment tell of people."""
        said = {"state": "active", "name": "Zoé", **said}
        heard = []
        for user_id in user_ids:
            event = UserChanged(user_id=user_id, **{"mail_address": f"u{user_id}@school.example", **said})
            heard.append(Heard(self.envelope(event, sequence=version), event))
        async with self.school.database.transaction() as tx:
            await self.keep(tx, heard)

    async def keep(self, tx: Transaction, heard: Sequence[Heard[UserChanged]]) -> None:
        await handlers.keep_people(self.school.vault, tx, heard)

    async def erase(self, user_id: UUID, *, version: int = 2) -> None:
        event = UserDeleted(user_id=user_id)
        async with self.school.database.transaction() as tx:
            await handlers.erase_people(tx, [Heard(self.envelope(event, sequence=version), event)])

    async def invite(self, *user_ids: UUID, library_id: str | None = None) -> None:
        """Let assignment ask for invitations."""
        event = UserInvitationRequested(request_id=ids.new_id(), user_ids=user_ids, library_id=library_id)
        async with self.school.database.transaction() as tx:
            await handlers.invite(tx, [Heard(self.envelope(event), event)])

    async def end(self, kind: type[Ended], user_id: UUID, *, at: datetime | None = None, **said: Any) -> None:
        """Let an invitation come to its end."""
        event = kind(
            invitation_id=ids.new_id(), user_id=user_id, library_id=await self.school.library(), **said
        )
        envelope = self.envelope(event, at=at)
        async with self.school.database.transaction() as tx:
            await handlers.end_invitations(tx, [Heard(envelope, event)])

    async def accept(self, user_id: UUID, account: str | None = None) -> None:
        """Let a person open the link of their invitation, and sign in."""
        uid = await self.school.library()
        await self.admin.post(
            f"/libraries/{uid}/invitations/accept",
            {"account": account or f"{user_id}@icloud.example", "client_user_id": str(user_id)},
        )

    async def access(self) -> Access:
        """The right of another hand, which has the library's content token too."""
        desk = Desk(self.school.database, self.school.vault, PACE)
        return await desk.access(await self.school.library())

    async def read(self) -> None:
        """Let the clock have the users read, and do all that follows at once."""
        await self.school.clockwork.want_users()
        await self.school.work()

    async def joined(self, *user_ids: UUID) -> None:
        """Register, invite and associate people."""
        await self.tell(*user_ids)
        await self.invite(*user_ids)
        await self.school.settle_all()
        for user_id in user_ids:
            await self.accept(user_id)
        await self.read()
        await self.school.settle_all()
        await self.school.told()

    async def user(self, user_id: UUID) -> AppleUser:
        async with self.school.database.reading() as tx:
            (user,) = await apple_users.of_people(tx, [user_id])
        return user

    async def states(self, user_ids: Sequence[UUID]) -> list[str]:
        return [(await self.user(user_id)).state for user_id in user_ids]

    async def records(self) -> list[asyncpg.Record]:
        return await self.school.rows("SELECT * FROM apple_user_record ORDER BY reading, id_hash")

    async def told_of_people(self) -> list[tuple[str, UUID, int | None]]:
        """Take the outbox; return what was told of Apple users: type, person, version."""
        return [
            (envelope.type, event.user_id, envelope.sequence)
            for envelope, event in await self.school.told()
            if isinstance(event, AppleUserAssociated | AppleUserRetired | InvitationRequested)
        ]

    def link(self, envelope: Envelope, event: InvitationRequested) -> str:
        """Open the link of an invitation as its hearer does."""
        secret = self.school.vault.open_from_bus(
            event.sealed_link,
            topic=InvitationRequested.topic.name,
            event_id=envelope.event_id,
            field="sealed_link",
        )
        return secret.reveal().decode()

    async def links(self) -> dict[UUID, tuple[int | None, str]]:
        """Take the outbox; return who was invited, with the Apple user's version and the link."""
        return {
            event.user_id: (envelope.sequence, self.link(envelope, event))
            for envelope, event in await self.school.told()
            if isinstance(event, InvitationRequested)
        }

    async def at_apple(self) -> dict[str, list[dict[str, Any]]]:
        """Return every record at Apple, by client user id, the oldest first."""
        library = next(iter(self.admin.simulator.world.libraries.values()))
        found: dict[str, list[dict[str, Any]]] = {}
        for user in library.users:
            found.setdefault(user.client_user_id, []).append({**user.wire(), "account": user.account})
        return found

    def envelope(self, event: Event, *, sequence: int | None = None, at: datetime | None = None) -> Envelope:
        return Envelope(
            event_id=ids.new_id(),
            source="assignment",
            type=type(event).__name__,
            version=1,
            time=at or self.school.clock.now(),
            subject=event.subject(),
            correlation_id=ids.new_id(),
            sequence=sequence,
        )


async def mail_address(school: Office, user_id: UUID) -> str | None:
    rows = await school.rows("SELECT mail_address FROM person WHERE user_id = $1", user_id)
    return sealed.open_mail_address(school.vault, user_id, rows[0]["mail_address"])


def some(count: int) -> list[UUID]:
    return [ids.new_id() for _ in range(count)]
