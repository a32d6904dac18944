"""A letter's way out: from the work row through a real mail relay to the event that tells of it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from email import message_from_bytes
from email.policy import default

import httpx2
import pytest

from invitation.letter import Language, Sender
from invitation.model import Outcome, Taken
from invitation.smtp import MailRelay, RelayAddress
from invitation.steps import Letters, steps
from local.simulators.mailbox import MailboxSimulator
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.ids import new_id
from shared.worker import LeaseLost, Worker, WorkerSettings, WorkRow
from tests.invitation.conftest import LINK, Bus, associated, changed

SENDER = Sender("Lycée Claudel", "invitations@school.example", Language.ENGLISH)


@pytest.fixture
async def mailbox() -> AsyncIterator[MailboxSimulator]:
    """A relay that takes everything, unless told otherwise."""
    async with MailboxSimulator() as mailbox:
        yield mailbox


@pytest.fixture
async def letters(bus: Bus, mailbox: MailboxSimulator) -> AsyncIterator[Letters]:
    """The step, with the mailbox as its relay."""
    relay = MailRelay(
        RelayAddress("127.0.0.1", mailbox.port, start_tls=False),
        sender=SENDER.mail_address,
        tls=ssl.create_default_context(),
        clock=SystemClock(),
        deadline_seconds=5,
    )
    yield Letters(bus.database, bus.vault, relay, SENDER)
    await relay.close()


async def test_one_letter_leaves_in_the_persons_language_and_is_told_of(
    bus: Bus, letters: Letters, mailbox: MailboxSimulator
) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user), bus.requested(user))
    await letters.send(await _claim(bus))
    [letter] = mailbox.letters
    assert letter.recipients == ("zoe@school.example",)
    shown = letter.described()
    assert shown["subject"] == "Lycée Claudel vous invite à recevoir des apps et des livres"
    assert LINK in shown["text"]
    assert await bus.states() == ["sent"]
    assert await bus.told() == ["InvitationSent"]
    assert await bus.fetch("SELECT id FROM work") == []


async def test_a_person_of_another_language_is_written_to_in_the_default_one(
    bus: Bus, letters: Letters, mailbox: MailboxSimulator
) -> None:
    user = new_id()
    await bus.hear(changed(user, locale="de"))
    await bus.hear(bus.requested(user))
    await letters.send(await _claim(bus))
    assert mailbox.letters[0].described()["headers"]["Content-Language"] == "en"


async def test_scenario_28_no_letter_leaves_after_acceptance(
    bus: Bus, letters: Letters, mailbox: MailboxSimulator
) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user))
    row = await _claim(bus)
    await bus.hear(associated(user))
    await letters.send(row)
    assert mailbox.letters == []
    assert await bus.told() == ["InvitationAccepted"]
    assert await bus.fetch("SELECT id FROM work") == []


async def test_scenario_28_acceptance_while_the_letter_is_on_the_wire_is_the_last_word(bus: Bus) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user))
    mail = _OnTheWire()
    sending = asyncio.create_task(Letters(bus.database, bus.vault, mail, SENDER).send(await _claim(bus)))
    await mail.begun.wait()
    await bus.hear(associated(user))
    mail.arrive.set()
    await sending
    assert await bus.states() == ["accepted"]
    assert await bus.told() == ["InvitationAccepted"]


async def test_a_link_renewed_while_the_letter_is_on_the_wire_is_written_again(
    bus: Bus, letters: Letters, mailbox: MailboxSimulator
) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user))
    mail = _OnTheWire()
    sending = asyncio.create_task(Letters(bus.database, bus.vault, mail, SENDER).send(await _claim(bus)))
    await mail.begun.wait()
    await bus.hear(bus.requested(user, version=3, link=LINK.replace("c0ffee", "decaf")))
    mail.arrive.set()
    await sending
    assert await bus.states() == ["sending"]
    await letters.send(await _claim(bus))
    assert "decaf" in mailbox.letters[0].described()["text"]
    assert await bus.told() == ["InvitationSent"]
    first, second = (
        message_from_bytes(raw, policy=default) for raw in (mail.message, mailbox.letters[0].raw)
    )
    assert first["Message-ID"] != second["Message-ID"]


async def test_a_refused_address_bounces_hard(bus: Bus, letters: Letters, mailbox: MailboxSimulator) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user))
    await _script(mailbox, "RCPT", "550 5.1.1 no such user")
    await letters.send(await _claim(bus))
    assert await bus.told() == ["InvitationBounced"]
    [row] = await bus.fetch("SELECT state, cause, status_code, sealed_link FROM invitation")
    assert tuple(row) == ("bounced", "address_refused", 550, None)
    await bus.hear(changed(user, 2, mail_address="zoe.l@school.example"))
    await bus.hear(bus.requested(user))
    assert await bus.states() == ["bounced", "sending"]


async def test_a_letter_whose_outcome_is_unknown_is_sent_again_with_the_same_message_id(
    bus: Bus, letters: Letters, mailbox: MailboxSimulator
) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user))
    await _script(mailbox, "DATA", None, kept=True)
    row = await _claim(bus)
    with pytest.raises(Unavailable):
        await letters.send(row)
    assert await bus.states() == ["sending"]
    await letters.send(row)
    ids = {message_from_bytes(letter.raw, policy=default)["Message-ID"] for letter in mailbox.letters}
    assert (len(mailbox.letters), len(ids)) == (2, 1)


async def test_who_lost_the_lease_writes_nothing(bus: Bus, letters: Letters) -> None:
    user = new_id()
    await bus.hear(changed(user))
    await bus.hear(bus.requested(user))
    stale = await _claim(bus)
    await _claim(bus)
    with pytest.raises(LeaseLost):
        await letters.send(stale)
    assert await bus.states() == ["sending"]
    assert await bus.told() == []


async def test_the_worker_brings_a_set_of_letters_out_through_greylisting(
    bus: Bus, letters: Letters, mailbox: MailboxSimulator
) -> None:
    users = [new_id() for _ in range(30)]
    await bus.hear(
        *(changed(user, mail_address=f"p{place}@school.example") for place, user in enumerate(users))
    )
    await bus.hear(*(bus.requested(user) for user in users))
    await _script(mailbox, "RCPT", "451 4.7.1 come again", times=10)
    worker = Worker(bus.database, steps(letters), WorkerSettings(first_retry_seconds=0.05))
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    while await bus.states() != ["sent"] * 30:
        await asyncio.sleep(0.05)
    stop.set()
    await running
    recipients = {recipient for letter in mailbox.letters for recipient in letter.recipients}
    assert len(mailbox.letters) == 30
    assert recipients == {f"p{place}@school.example" for place in range(30)}
    assert await bus.told() == ["InvitationSent"] * 30


class _OnTheWire:
    """Mail that takes a letter at once and delivers it when told to."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.arrive = asyncio.Event()
        self.message = b""
        self.recipient = ""

    async def send(self, message: bytes, *, to: str) -> Outcome:
        """Hold the letter back."""
        self.message, self.recipient = message, to
        self.begun.set()
        await self.arrive.wait()
        return Taken()


async def _claim(bus: Bus) -> WorkRow:
    """Take the one letter there is, as a worker does; whoever had it before has lost it."""
    lease = new_id()
    [row] = await bus.fetch(
        "UPDATE work SET lease = $1 RETURNING id, kind, payload, correlation_id, attempts", lease
    )
    return WorkRow(row["id"], row["kind"], row["payload"], row["correlation_id"], row["attempts"], lease)


async def _script(
    mailbox: MailboxSimulator, step: str, text: str | None, *, kept: bool = False, times: int = 1
) -> None:
    async with httpx2.AsyncClient() as http:
        reply = {"step": step, "text": text, "kept": kept, "times": times}
        answer = await http.post(f"{mailbox.admin_url}/replies", json=[reply])
        answer.raise_for_status()
