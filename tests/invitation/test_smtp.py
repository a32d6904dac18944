"""The mail relay, spoken to for real: what each of its answers means, and how connections are used."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from prometheus_client import REGISTRY

from invitation.model import Cause, Refused, Taken
from invitation.smtp import MailRelay, RelayAddress, relay_address
from local.simulators.authority import Authority
from local.simulators.mailbox import Login, MailboxSettings, MailboxSimulator
from shared.clock import Clock, SystemClock, TurnedClock
from shared.errors import Unavailable
from shared.trust import tls_context

MESSAGE = b"Subject: hello\r\nMessage-ID: <1@school.example>\r\n\r\nhello\r\n"
ZOE = "zoe@school.example"


@pytest.fixture
async def mailbox() -> AsyncIterator[MailboxSimulator]:
    """A relay without TLS that takes everything."""
    async with MailboxSimulator() as mailbox:
        yield mailbox


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A certificate for 127.0.0.1, its key, and the authority that signed it."""
    authority = Authority.create("Test")
    certificate, key = authority.issue_server(hosts=["127.0.0.1"]).write(tmp_path, "mail")
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority.certificate_pem)
    return certificate, key, ca_file


async def test_a_letter_taken_arrives_as_it_was_written(mailbox: MailboxSimulator) -> None:
    relay = _relay(mailbox)
    assert await relay.send(MESSAGE, to=ZOE) == Taken()
    [letter] = mailbox.letters
    assert (letter.sender, letter.recipients) == ("invitations@school.example", (ZOE,))
    assert letter.raw == MESSAGE
    await relay.close()


@pytest.mark.parametrize(
    ("step", "text", "outcome"),
    [
        ("RCPT", "550 5.1.1 no such user", Refused(Cause.ADDRESS_REFUSED, 550)),
        ("DATA", "554 5.6.0 not this letter", Refused(Cause.LETTER_REFUSED, 554)),
    ],
)
async def test_a_final_no_is_the_outcome_and_the_connection_serves_the_next(
    mailbox: MailboxSimulator, step: str, text: str, outcome: Refused
) -> None:
    relay = _relay(mailbox)
    await _script(mailbox, step, text)
    assert await relay.send(MESSAGE, to=ZOE) == outcome
    assert await relay.send(MESSAGE, to=ZOE) == Taken()
    assert len(mailbox._connections) == 1
    await relay.close()


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("code", [421, 450, 451, 452])
async def test_a_not_now_is_tried_again_and_the_lane_stays_open(
    mailbox: MailboxSimulator, step: str, code: int
) -> None:
    relay = _relay(mailbox)
    await _script(mailbox, step, f"{code} 4.3.0 later")
    with pytest.raises(Unavailable, match=f"mail_deferred_{code}|mail_outcome_unknown"):
        await relay.send(MESSAGE, to=ZOE)
    assert await relay.send(MESSAGE, to=ZOE) == Taken()
    await relay.close()


@pytest.mark.parametrize(
    ("step", "text"), [("MAIL", "550 5.7.1 not you"), ("RCPT", "530 5.7.0 log in first")]
)
async def test_a_refused_sender_closes_the_lane_for_everybody_until_its_rest_is_over(
    mailbox: MailboxSimulator, step: str, text: str
) -> None:
    clock = TurnedClock(datetime(2026, 11, 22, tzinfo=UTC))
    relay = _relay(mailbox, clock=clock)
    await _script(mailbox, step, text)
    with pytest.raises(Unavailable, match="mail_relay_refuses") as caught:
        await relay.send(MESSAGE, to=ZOE)
    assert caught.value.retry_after_seconds == 60
    clock.turn(59)
    with pytest.raises(Unavailable, match="mail_lane_closed") as caught:
        await relay.send(MESSAGE, to="other@school.example")
    assert caught.value.retry_after_seconds == 1
    assert mailbox.letters == []
    assert REGISTRY.get_sample_value("mail_lane_open") == 0
    clock.turn(1)
    assert await relay.send(MESSAGE, to=ZOE) == Taken()
    assert REGISTRY.get_sample_value("mail_lane_open") == 1
    await relay.close()


async def test_a_connection_lost_after_the_letter_leaves_the_outcome_unknown(
    mailbox: MailboxSimulator,
) -> None:
    relay = _relay(mailbox)
    await _script(mailbox, "DATA", None, kept=True)
    with pytest.raises(Unavailable, match="mail_outcome_unknown"):
        await relay.send(MESSAGE, to=ZOE)
    assert len(mailbox.letters) == 1
    assert await relay.send(MESSAGE, to=ZOE) == Taken()
    assert mailbox.letters[0].raw == mailbox.letters[1].raw
    await relay.close()


async def test_a_relay_that_answers_drop_by_drop_meets_the_deadline_of_the_whole_letter() -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"220-")
                await writer.drain()
                await asyncio.sleep(0.02)
        except OSError:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    relay = MailRelay(
        RelayAddress("127.0.0.1", server.sockets[0].getsockname()[1], start_tls=False),
        sender="invitations@school.example",
        tls=ssl.create_default_context(),
        clock=SystemClock(),
        deadline_seconds=0.3,
    )
    with pytest.raises(Unavailable, match="mail_outcome_unknown"):
        await relay.send(MESSAGE, to=ZOE)
    server.close()


async def test_a_relay_that_is_away_closes_the_lane_for_a_moment(mailbox: MailboxSimulator) -> None:
    clock = TurnedClock(datetime(2026, 11, 22, tzinfo=UTC))
    relay = MailRelay(
        RelayAddress("127.0.0.1", 1, start_tls=False),
        sender="invitations@school.example",
        tls=ssl.create_default_context(),
        clock=clock,
    )
    with pytest.raises(Unavailable, match="mail_relay_unreachable") as caught:
        await relay.send(MESSAGE, to=ZOE)
    assert caught.value.retry_after_seconds == 5


async def test_letters_share_connections_and_no_more_than_allowed(mailbox: MailboxSimulator) -> None:
    relay = _relay(mailbox, connections=2)
    await asyncio.gather(*(relay.send(MESSAGE, to=ZOE) for _ in range(20)))
    assert len(mailbox.letters) == 20
    assert len(mailbox._connections) <= 2
    await relay.close()


async def test_a_connection_is_renewed_after_a_hundred_letters(mailbox: MailboxSimulator) -> None:
    relay = _relay(mailbox, connections=1)
    for _ in range(100):
        await relay.send(MESSAGE, to=ZOE)
    [first] = relay._idle
    await relay.send(MESSAGE, to=ZOE)
    [second] = relay._idle
    assert (first.letters, second.letters) == (100, 1)
    await relay.close()


async def test_a_connection_is_asked_after_a_pause_and_renewed_after_a_minute(
    mailbox: MailboxSimulator,
) -> None:
    clock = TurnedClock(datetime(2026, 11, 22, tzinfo=UTC))
    relay = _relay(mailbox, clock=clock)
    await relay.send(MESSAGE, to=ZOE)
    [first] = relay._idle
    clock.turn(16)
    await relay.send(MESSAGE, to=ZOE)
    assert relay._idle == [first]
    clock.turn(45)
    await relay.send(MESSAGE, to=ZOE)
    assert relay._idle != [first]
    await relay.close()


async def test_a_connection_that_the_relay_closed_meanwhile_is_not_trusted(mailbox: MailboxSimulator) -> None:
    relay = _relay(mailbox)
    await relay.send(MESSAGE, to=ZOE)
    for connection in list(mailbox._connections):
        assert connection.transport is not None
        connection.transport.close()
    await asyncio.sleep(0.05)
    assert await relay.send(MESSAGE, to=ZOE) == Taken()
    await relay.close()


async def test_starttls_is_required_unless_said_otherwise(mailbox: MailboxSimulator) -> None:
    relay = _relay(mailbox, address=relay_address(mailbox.url))
    with pytest.raises(Unavailable, match="mail_relay_refuses"):
        await relay.send(MESSAGE, to=ZOE)
    assert mailbox.letters == []


async def test_a_certificate_that_is_trusted_and_a_password_let_the_letter_through(
    files: tuple[Path, Path, Path],
) -> None:
    certificate, key, ca_file = files
    settings = MailboxSettings(
        certificate_file=certificate, key_file=key, login=Login("invitation", "p@ss/word")
    )
    async with MailboxSimulator(settings) as mailbox:
        url = f"smtp://invitation:p%40ss%2Fword@127.0.0.1:{mailbox.port}"
        relay = _relay(mailbox, address=relay_address(url), tls=tls_context(ca_file))
        assert await relay.send(MESSAGE, to=ZOE) == Taken()
        [letter] = mailbox.letters
        assert (letter.encrypted, letter.user) == (True, "invitation")
        await relay.close()


async def test_a_certificate_that_is_not_trusted_and_a_wrong_password_close_the_lane(
    files: tuple[Path, Path, Path],
) -> None:
    certificate, key, ca_file = files
    settings = MailboxSettings(certificate_file=certificate, key_file=key, login=Login("invitation", "right"))
    async with MailboxSimulator(settings) as mailbox:
        for password, tls in (("right", ssl.create_default_context()), ("wrong", tls_context(ca_file))):
            url = f"smtp://invitation:{password}@127.0.0.1:{mailbox.port}"
            relay = _relay(mailbox, address=relay_address(url), tls=tls)
            with pytest.raises(Unavailable, match="mail_relay_refuses"):
                await relay.send(MESSAGE, to=ZOE)
        assert mailbox.letters == []


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("smtp://mail.example", RelayAddress("mail.example", 25)),
        ("smtp://mail.example:2525?starttls=off", RelayAddress("mail.example", 2525, start_tls=False)),
        ("smtp://mail.example?starttls=require", RelayAddress("mail.example", 25)),
        (
            "smtps://u%40x:p%3Aw@mail.example",
            RelayAddress(
                "mail.example", 465, implicit_tls=True, start_tls=False, username="u@x", password="p:w"
            ),
        ),
    ],
)
def test_what_a_relays_url_says(url: str, address: RelayAddress) -> None:
    assert relay_address(url) == address
    assert "p:w" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example",
        "http://mail.example",
        "smtp://",
        "smtp://mail.example/path",
        "smtp://mail.example?starttls=maybe",
        "smtp://mail.example?tls=off",
        "smtp://mail.example:port",
    ],
)
def test_what_is_no_url_of_a_relay_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        relay_address(url)


def _relay(
    mailbox: MailboxSimulator,
    *,
    clock: Clock | None = None,
    connections: int = 4,
    address: RelayAddress | None = None,
    tls: ssl.SSLContext | None = None,
) -> MailRelay:
    return MailRelay(
        address or RelayAddress("127.0.0.1", mailbox.port, start_tls=False),
        sender="invitations@school.example",
        tls=tls or ssl.create_default_context(),
        clock=clock or SystemClock(),
        connections=connections,
        deadline_seconds=5,
    )


async def _script(mailbox: MailboxSimulator, step: str, text: str | None, *, kept: bool = False) -> None:
    async with httpx2.AsyncClient() as http:
        reply = {"step": step, "text": text, "kept": kept}
        answer = await http.post(f"{mailbox.admin_url}/replies", json=[reply])
        answer.raise_for_status()
