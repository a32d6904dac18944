"""The mailbox: a real SMTP dialogue, letters as their readers see them, and scripted refusals."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from email import message_from_string
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx2
import pytest

from local.simulators.authority import Authority
from local.simulators.mailbox import Login, MailboxSettings, MailboxSimulator
from local.waiting import until

LOGIN = Login(user="invitation", password="a password of the test")


@pytest.fixture
async def mailbox() -> AsyncIterator[MailboxSimulator]:
    async with MailboxSimulator() as simulator:
        yield simulator


@pytest.fixture
async def client(mailbox: MailboxSimulator) -> AsyncIterator[aiosmtplib.SMTP]:
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=mailbox.port, start_tls=False)
    await client.connect()
    yield client
    client.close()


def letter(to: str = "zoé@school.example") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "École <it@school.example>"
    message["To"] = to
    message["Subject"] = "Vos applications à l'école"
    message.set_content("Bonjour Zoé,\n.une ligne avec un point\n")
    message.add_alternative("<p>Bonjour Zoé</p>", subtype="html")
    return message


async def read(mailbox: MailboxSimulator, **query: str) -> list[dict[str, Any]]:
    async with httpx2.AsyncClient(base_url=mailbox.admin_url, trust_env=False) as admin:
        return list((await admin.get("/letters", params=query)).json())


async def script(mailbox: MailboxSimulator, **reply: Any) -> None:
    async with httpx2.AsyncClient(base_url=mailbox.admin_url, trust_env=False) as admin:
        response = await admin.post("/replies", json=[reply])
        assert response.status_code == 200, response.text


async def test_a_letter_is_kept_as_its_reader_sees_it(
    mailbox: MailboxSimulator, client: aiosmtplib.SMTP
) -> None:
    await client.send_message(letter())
    (kept,) = await read(mailbox)
    assert kept["envelope"] == {"from": "it@school.example", "to": ["zoé@school.example"]}
    assert kept["from"] == "École <it@school.example>"
    assert kept["subject"] == "Vos applications à l'école"
    assert kept["text"] == "Bonjour Zoé,\n.une ligne avec un point\n"
    assert kept["html"] == "<p>Bonjour Zoé</p>\n"
    assert kept["raw"].startswith("From: ")
    assert not kept["encrypted"]


async def test_letters_are_listed_by_recipient_and_thrown_away(
    mailbox: MailboxSimulator, client: aiosmtplib.SMTP
) -> None:
    await client.send_message(letter("anna@school.example"))
    await client.send_message(letter("ben@school.example"))
    assert [row["number"] for row in await read(mailbox)] == [1, 2]
    assert [row["number"] for row in await read(mailbox, to="ben@school.example")] == [2]
    async with httpx2.AsyncClient(base_url=mailbox.admin_url, trust_env=False) as admin:
        await admin.delete("/letters")
    assert await read(mailbox) == []


@pytest.mark.parametrize("text", ["550 5.1.1 no such person", "451 4.7.1 greylisted"])
async def test_one_recipient_is_refused_and_the_next_is_not(
    mailbox: MailboxSimulator, client: aiosmtplib.SMTP, text: str
) -> None:
    await script(mailbox, step="RCPT", text=text, address="gone@school.example")
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refusal:
        await client.send_message(letter("gone@school.example"))
    assert refusal.value.recipients[0].code == int(text[:3])
    await client.send_message(letter("anna@school.example"))
    assert len(await read(mailbox)) == 1


async def test_a_421_closes_the_connection_after_it_was_said(
    mailbox: MailboxSimulator, client: aiosmtplib.SMTP
) -> None:
    await script(mailbox, step="MAIL", text="421 4.3.2 shutting down")
    with pytest.raises(aiosmtplib.SMTPSenderRefused, match="shutting down"):
        await client.send_message(letter())
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await client.noop()


@pytest.mark.parametrize("letters", [0, 1])
async def test_a_connection_lost_after_data_leaves_the_sender_in_doubt(
    mailbox: MailboxSimulator, client: aiosmtplib.SMTP, letters: int
) -> None:
    await script(mailbox, step="DATA", text=None, kept=letters == 1)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await client.send_message(letter())
    assert len(await read(mailbox)) == letters


async def test_a_reply_may_wait_for_its_turn_and_come_several_times(
    mailbox: MailboxSimulator, client: aiosmtplib.SMTP
) -> None:
    await script(mailbox, step="DATA", text="451 4.3.0 try later", skip=1, times=2)
    outcomes = []
    for _ in range(4):
        try:
            await client.send_message(letter())
            outcomes.append(250)
        except aiosmtplib.SMTPDataError as error:
            outcomes.append(error.code)
    assert outcomes == [250, 451, 451, 250]
    assert len(await read(mailbox)) == 2


async def test_a_reply_that_is_no_smtp_is_refused_by_the_admin_door(mailbox: MailboxSimulator) -> None:
    async with httpx2.AsyncClient(base_url=mailbox.admin_url, trust_env=False) as admin:
        response = await admin.post("/replies", json=[{"step": "DATA", "text": "no\r\n250 OK"}])
    assert response.status_code == 422


async def test_starttls_and_a_login_are_asked_for(tmp_path: Path) -> None:
    authority = Authority.create("Tests")
    certificate, key = authority.issue_server(hosts=["127.0.0.1"]).write(tmp_path, "server")
    settings = MailboxSettings(certificate_file=certificate, key_file=key, require_starttls=True, login=LOGIN)
    trust = ssl.create_default_context(cadata=authority.certificate_pem.decode())
    async with MailboxSimulator(settings) as mailbox:
        send = partial(aiosmtplib.send, letter(), hostname="127.0.0.1", port=mailbox.port, tls_context=trust)
        with pytest.raises(aiosmtplib.SMTPException, match="STARTTLS"):
            await send(start_tls=False)
        with pytest.raises(aiosmtplib.SMTPException, match="Authentication required"):
            await send(start_tls=True)
        with pytest.raises(aiosmtplib.SMTPAuthenticationError):
            await send(start_tls=True, username=LOGIN.user, password="wrong")
        await send(start_tls=True, username=LOGIN.user, password=LOGIN.password)
        (kept,) = await read(mailbox)
        assert (kept["encrypted"], kept["user"]) == (True, "invitation")


def test_a_login_without_tls_is_refused() -> None:
    with pytest.raises(ValueError, match="certificate"):
        MailboxSettings(login=LOGIN)


async def test_a_stop_closes_the_connections_of_clients_that_stay(mailbox: MailboxSimulator) -> None:
    other = MailboxSimulator()
    await other.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", other.port)
    assert (await reader.readline()).startswith(b"220 localhost")
    await other.stop()
    assert await reader.read() == b""
    writer.close()


async def test_letters_are_listed_after_a_number(mailbox: MailboxSimulator, client: aiosmtplib.SMTP) -> None:
    await client.send_message(letter("anna@school.example"))
    await client.send_message(letter("<b>@school.example"))
    assert [row["number"] for row in await read(mailbox, after="1")] == [2]


async def test_a_letter_may_come_back_later_as_a_report(
    mailbox: MailboxSimulator, client: aiosmtplib.SMTP
) -> None:
    async with httpx2.AsyncClient(base_url=mailbox.admin_url, trust_env=False) as admin:
        bounce = {"address": "gone@school.example", "after_seconds": 1, "times": 1}
        assert (await admin.post("/bounces", json=[bounce])).status_code == 200
    sent = letter("gone@school.example")
    sent["Message-ID"] = "<of-the-letter@school.example>"
    await client.send_message(sent)
    assert await read(mailbox) == []
    notices = await until(partial(read, mailbox, to="it@school.example"), bool)
    [notice] = notices
    assert notice["envelope"]["from"] == ""
    parsed: Any = message_from_string(notice["raw"])
    assert (parsed.get_content_type(), parsed.get_param("report-type")) == (
        "multipart/report",
        "delivery-status",
    )
    words, status, header = parsed.get_payload()
    assert "550 5.1.1 no such user" in words.get_payload()
    _, fate = status.get_payload()
    assert (fate["Final-Recipient"], fate["Action"], fate["Status"]) == (
        "rfc822; gone@school.example",
        "failed",
        "5.1.1",
    )
    assert "<of-the-letter@school.example>" in header.get_payload()
    await client.send_message(letter("gone@school.example"))
    assert len(await read(mailbox, to="gone@school.example")) == 1


async def test_a_reply_may_stand_for_a_while(mailbox: MailboxSimulator, client: aiosmtplib.SMTP) -> None:
    await script(mailbox, step="RCPT", text="451 4.7.1 greylisted", for_seconds=2)
    for _ in range(3):
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await client.send_message(letter())
    await asyncio.sleep(2)
    await client.send_message(letter())
    assert len(mailbox.letters) == 1


async def test_a_server_may_be_slow_at_one_step_or_at_all() -> None:
    async with MailboxSimulator(MailboxSettings(slow_seconds=0.1)) as mailbox:
        await script(mailbox, step="DATA", text="250 at last", delay_seconds=0.2, kept=True)
        client = aiosmtplib.SMTP(hostname="127.0.0.1", port=mailbox.port, start_tls=False)
        async with client:
            began = time.monotonic()
            await client.send_message(letter())
        assert time.monotonic() - began >= 0.5
        assert len(mailbox.letters) == 1
