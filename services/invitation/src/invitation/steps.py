"""The one kind of work row: a letter. Read who it is for, hand it to the mail relay, write what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from invitation import changes, decide, letter, sealed, store
from invitation.changes import LETTER, Change
from invitation.model import Invitation, Outcome, Person, State, StepKind, Taken
from shared import worker
from shared.database import Database, Transaction
from shared.vault import Vault
from shared.worker import WorkRow


class Mail(Protocol):
    """Whoever takes letters to people."""

    async def send(self, message: bytes, *, to: str) -> Outcome:
        """Hand over one message. Raises Unavailable: the same message is then handed over again later."""
        ...


@dataclass(frozen=True, slots=True)
class _Written:
    """A letter as it goes out, and what was known of invitation and person when it was written."""

    invitation: Invitation
    person: Person
    mail_address: str
    message: bytes


class Letters:
    """Sends the letters of this service."""

    def __init__(self, database: Database, vault: Vault, mail: Mail, sender: letter.Sender) -> None:
        self._database = database
        self._vault = vault
        self._mail = mail
        self._sender = sender

    async def send(self, row: WorkRow) -> None:
        """Send the letter that `row` stands for, unless its invitation has ended meanwhile (scenario 28).

        Raises what the mail raises: the worker postpones the row, and the next try sends the same Message-ID.
        """
        invitation_id, user_id = UUID(row.payload["invitation_id"]), UUID(row.payload["user_id"])
        async with self._database.transaction() as tx:
            written = await self._write(tx, invitation_id, user_id)
        if written is None:
            async with self._database.transaction() as tx:
                await worker.finish(tx, row)
            return
        outcome = await self._mail.send(written.message, to=written.mail_address)
        async with self._database.transaction() as tx:
            await worker.finish(tx, row)
            await self._settle(tx, written, outcome)

    async def _write(self, tx: Transaction, invitation_id: UUID, user_id: UUID) -> _Written | None:
        """Read the invitation under the person's lock, and write its letter if there is still one to send."""
        person = (await store.lock_people(tx, [user_id]))[user_id]
        invitation = await store.find_invitation(tx, invitation_id)
        if invitation is None or invitation.state is not State.SENDING or person.mail_address is None:
            return None
        message = letter.written(
            letter.Letter(
                # A retry is the same letter; a link that was renewed meanwhile makes it another.
                id=f"{invitation.id.hex}.{invitation.version}",
                name=person.name,
                mail_address=person.mail_address,
                language=letter.language_of(person.locale, self._sender.language),
                link=sealed.open_link(self._vault, invitation.id, invitation.sealed_link or b""),
                written_at=tx.now,
            ),
            self._sender,
        )
        return _Written(invitation, person, person.mail_address, message)

    async def _settle(self, tx: Transaction, written: _Written, outcome: Outcome) -> None:
        """Write what became of a letter; if it is out of date by now, another one is put to work."""
        user_id = written.person.user_id
        person = (await store.lock_people(tx, [user_id]))[user_id]
        before = await store.find_invitation(tx, written.invitation.id)
        if before is None:
            return
        if before.sealed_link != written.invitation.sealed_link and before.state is State.SENDING:
            await worker.add(tx, [changes.letter_for(before)])
            return
        after = decide.after_letter(before, outcome, written_to=written.person, person=person, now=tx.now)
        if after is before and before.state is State.SENDING:
            await worker.add(tx, [changes.letter_for(before)])
            return
        kind = StepKind.LETTER_TAKEN if isinstance(outcome, Taken) else StepKind.MOVED
        await changes.save(tx, [Change(before, after, kind, before.correlation_id)])


def steps(letters: Letters) -> Mapping[str, worker.Step]:
    """Return what is done for each kind of work row."""
    return {LETTER: letters.send}
