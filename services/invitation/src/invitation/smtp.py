"""The outside party: a mail relay, spoken to over a few reused SMTP connections.

What its answers mean (RFC 5321, section 4.2.1): 4yz is "not now", the same letter is tried again; 5yz on the
recipient or the letter is final for this one; 5yz on the connection or the sender is about us, so the lane
closes for a while instead of failing person by person. An answer that never came after DATA leaves the outcome
unknown: the letter is sent again with the same Message-ID.
"""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

import structlog
from aiosmtplib import SMTP
from aiosmtplib.errors import (
    SMTPConnectError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

from invitation.model import Cause, Outcome, Refused, Taken
from shared import metrics
from shared.clock import Clock
from shared.errors import Unavailable

_log = structlog.get_logger(__name__)

_LETTERS_PER_CONNECTION = 100
_SECONDS_PER_CONNECTION = 60.0
_IDLE_SECONDS = 15.0
"""After this long a connection is asked whether it still lives before a letter is trusted to it."""
_CONNECT_SECONDS = 20.0
_QUIT_SECONDS = 2.0
_UNREACHABLE_SECONDS = 5.0
_REFUSES_SECONDS = 60.0
"""How long the lane stays closed: a relay that is away is soon back, one that refuses us waits for an operator."""
_LOG_IN_FIRST = 530


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """Where the mail relay is and how to speak to it: TLS from the start, by STARTTLS, or by neither."""

    host: str
    port: int
    implicit_tls: bool = False
    start_tls: bool = True
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def relay_address(url: str) -> RelayAddress:
    """Read `smtp://user:pass@host:port?starttls=require|off` or `smtps://...`. Raises ValueError.

    The default ports are 25 (R11) and 465; STARTTLS is required unless the URL says `starttls=off`.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    start_tls = options.pop("starttls", "require")
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ValueError("it must be smtp://host or smtps://host")
    if options or parts.path.strip("/") or start_tls not in {"require", "off"}:
        raise ValueError("after the host it may say starttls=require or starttls=off, nothing else")
    implicit = parts.scheme == "smtps"
    return RelayAddress(
        host=parts.hostname,
        port=parts.port or (465 if implicit else 25),
        implicit_tls=implicit,
        start_tls=not implicit and start_tls == "require",
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


class MailRelay:
    """Hands letters to one mail relay: over at most `connections` at once, each letter within its deadline."""

    def __init__(
        self,
        address: RelayAddress,
        *,
        sender: str,
        tls: ssl.SSLContext,
        clock: Clock,
        connections: int = 4,
        deadline_seconds: float = 60.0,
    ) -> None:
        self._address = address
        self._sender = sender
        self._tls = tls
        self._clock = clock
        self._places = asyncio.Semaphore(connections)
        self._deadline_seconds = deadline_seconds
        self._idle: list[_Line] = []
        self._hostname: str | None = None
        self._closed_until: float | None = None
        metrics.MAIL_LANE_OPEN.set(1)

    async def send(self, message: bytes, *, to: str) -> Outcome:
        """Hand over one message. Raises Unavailable, its reason a slug: hand over the same message later."""
        async with self._places:
            self._check_lane()
            try:
                async with asyncio.timeout(self._deadline_seconds):
                    outcome = await self._hand_over(message, to)
            except (Unavailable, TimeoutError) as error:
                metrics.LETTERS.labels("deferred").inc()
                if isinstance(error, Unavailable):
                    raise
                raise Unavailable("mail_outcome_unknown") from None
        self._open_lane()
        metrics.LETTERS.labels("taken" if isinstance(outcome, Taken) else "refused").inc()
        return outcome

    async def close(self) -> None:
        """Take leave of the relay."""
        while self._idle:
            await self._idle.pop().quit()

    async def _hand_over(self, message: bytes, to: str) -> Outcome:
        line = await self._line()
        try:
            return await line.send(message, sender=self._sender, to=to, now=self._clock.monotonic())
        except SMTPResponseException as error:
            raise self._close_lane("mail_relay_refuses", error) from None
        finally:
            if line.between_letters:
                self._idle.append(line)
            else:
                line.client.close()

    async def _line(self) -> "_Line":
        """Return a connection that lives: one in use before if there is one, else a new one."""
        while self._idle:
            line = self._idle.pop()
            now = self._clock.monotonic()
            if line.worn(now):
                await line.quit()
            elif now - line.used_at < _IDLE_SECONDS or await line.lives():
                return line
        try:
            return await self._connect()
        except SMTPResponseException as error:
            reason = "mail_relay_refuses" if error.code >= 500 else "mail_relay_unreachable"
            raise self._close_lane(reason, error) from None
        except (SMTPConnectError, SMTPServerDisconnected, SMTPTimeoutError) as error:
            refused = isinstance(error.__cause__, ssl.SSLError)
            reason = "mail_relay_refuses" if refused else "mail_relay_unreachable"
            raise self._close_lane(reason, error) from None
        except (SMTPException, ssl.SSLError) as error:  # no STARTTLS, no AUTH, or a certificate not believed
            raise self._close_lane("mail_relay_refuses", error) from None

    async def _connect(self) -> "_Line":
        address = self._address
        client = SMTP(
            hostname=address.host,
            port=address.port,
            username=address.username,
            password=address.password,
            local_hostname=self._hostname,
            use_tls=address.implicit_tls,
            start_tls=address.start_tls,
            tls_context=self._tls,
            timeout=_CONNECT_SECONDS,
        )
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
        except BaseException:
            client.close()
            raise
        client.timeout = self._deadline_seconds
        self._hostname = client.local_hostname  # looking it up may take a resolver's patience: once is enough
        now = self._clock.monotonic()
        return _Line(client, opened_at=now, used_at=now)

    def _check_lane(self) -> None:
        rest = (self._closed_until or 0.0) - self._clock.monotonic()
        if self._closed_until is not None and rest > 0:
            raise Unavailable("mail_lane_closed", retry_after_seconds=rest)

    def _open_lane(self) -> None:
        if self._closed_until is not None:
            _log.info("mail: the lane is open again")
        self._closed_until = None
        metrics.MAIL_LANE_OPEN.set(1)

    def _close_lane(self, reason: str, error: Exception) -> Unavailable:
        """Close the lane for all letters and return what to raise; the alert rests on the metric."""
        code = error.code if isinstance(error, SMTPResponseException) else None
        _log.error("mail: the lane is closed", reason=reason, error=type(error).__name__, status_code=code)
        rest = _REFUSES_SECONDS if reason == "mail_relay_refuses" else _UNREACHABLE_SECONDS
        self._closed_until = self._clock.monotonic() + rest
        metrics.MAIL_LANE_OPEN.set(0)
        return Unavailable(reason, retry_after_seconds=rest)


@dataclass(slots=True)
class _Line:
    """One open connection and how much it was used."""

    client: SMTP
    opened_at: float
    used_at: float
    letters: int = 0
    between_letters: bool = True

    def worn(self, now: float) -> bool:
        """Say whether it has carried enough, or the relay has hung up."""
        old = now - self.opened_at >= _SECONDS_PER_CONNECTION or self.letters >= _LETTERS_PER_CONNECTION
        return old or not self.client.is_connected

    async def lives(self) -> bool:
        """Ask the relay whether it still listens."""
        try:
            await self.client.noop()
        except (SMTPException, OSError):
            self.client.close()
            return False
        return True

    async def quit(self) -> None:
        """Take leave, without waiting long for an answer."""
        with suppress(SMTPException, OSError):
            await self.client.quit(timeout=_QUIT_SECONDS)
        self.client.close()

    async def send(self, message: bytes, *, sender: str, to: str, now: float) -> Outcome:
        """Bring one letter through MAIL, RCPT and DATA. Raises Unavailable; SMTPResponseException for a no to us."""
        self.letters += 1
        self.used_at = now
        self.between_letters = False
        try:
            await self.client.mail(sender)
            await self.client.rcpt(to)
            await self.client.data(message)
        except SMTPResponseException as error:
            if _about_us(error):
                raise
            await self._reset()
            return _refusal(error)
        except (SMTPException, OSError):  # it may have the letter or not: nobody knows
            raise Unavailable("mail_outcome_unknown") from None
        self.between_letters = True
        return Taken()

    async def _reset(self) -> None:
        """Make the relay forget the sender and recipient of a letter that did not go."""
        if self.client.is_connected:
            with suppress(SMTPException, OSError):
                await self.client.rset()
                self.between_letters = True


def _about_us(error: SMTPResponseException) -> bool:
    """Say whether nobody's letter would be taken from us: a 5yz on MAIL, or 530 anywhere (RFC 4954: log in first)."""
    return error.code == _LOG_IN_FIRST or (error.code >= 500 and isinstance(error, SMTPSenderRefused))


def _refusal(error: SMTPResponseException) -> Refused:
    """Return a final no. Raises Unavailable for a "not now"."""
    match error:
        case SMTPRecipientRefused() if error.code >= 500:
            return Refused(Cause.ADDRESS_REFUSED, error.code)
        case SMTPDataError() if error.code >= 500:
            return Refused(Cause.LETTER_REFUSED, error.code)
        case _:
            raise Unavailable(f"mail_deferred_{error.code}") from None
