"""The SMTP side of the mailbox: what happens at each step of the dialogue, and who may send."""

import asyncio
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from local.simulators.mailbox.bounces import Bounces, report
from local.simulators.mailbox.letters import Letter
from local.simulators.mailbox.script import Reply, ReplyScript, Step

ACCEPTED = "250 OK"


@dataclass(frozen=True, slots=True)
class Login:
    """The one account that may send, where sending needs one."""

    user: str
    password: str

    def check(self, _: SMTP, __: Session, ___: Envelope, ____: str, given: Any) -> AuthResult:
        """Compare in constant time, in the shape aiosmtpd asks for."""
        if not isinstance(given, LoginPassword):
            return AuthResult(success=False, handled=False)
        same_user = hmac.compare_digest(given.login, self.user.encode())
        same_password = hmac.compare_digest(given.password, self.password.encode())
        return AuthResult(success=same_user and same_password, handled=False, auth_data=given)


class Postman:
    """Keeps what is delivered, unless the script says otherwise."""

    def __init__(self, *, slow_seconds: float = 0.0) -> None:
        self.letters: list[Letter] = []
        self.script = ReplyScript()
        self.bounces = Bounces()
        self._slow_seconds = slow_seconds
        self._delivered = 0
        self._returning: set[asyncio.TimerHandle] = set()

    def hooks(self) -> SimpleNamespace:
        """Name the steps as aiosmtpd looks for them."""
        return SimpleNamespace(handle_MAIL=self.mail, handle_RCPT=self.recipient, handle_DATA=self.data)

    async def mail(
        self, server: SMTP, _: Session, envelope: Envelope, address: str, options: Sequence[str]
    ) -> str:
        """Take the sender."""
        await asyncio.sleep(self._slow_seconds)
        reply = self.script.take(Step.MAIL, address)
        if reply is not None:
            return await _say(server, reply)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return ACCEPTED

    async def recipient(
        self, server: SMTP, _: Session, envelope: Envelope, address: str, options: Sequence[str]
    ) -> str:
        """Take one recipient."""
        await asyncio.sleep(self._slow_seconds)
        reply = self.script.take(Step.RCPT, address)
        if reply is not None:
            return await _say(server, reply)
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return ACCEPTED

    async def data(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take the letter."""
        await asyncio.sleep(self._slow_seconds)
        reply = self.script.take(Step.DATA)
        if reply is None or reply.kept:
            self._deliver(session, envelope)
        return ACCEPTED if reply is None else await _say(server, reply)

    def stop(self) -> None:
        """Return no more letters."""
        for timer in self._returning:
            timer.cancel()

    def _deliver(self, session: Session, envelope: Envelope) -> None:
        """Keep a letter for those who get it, and send it back for those who do not."""
        raw, sender = envelope.original_content or b"", envelope.mail_from or ""
        got_it = []
        for address in envelope.rcpt_tos:
            bounce = self.bounces.take(address)
            if bounce is None:
                got_it.append(address)
            elif sender:  # a report about a report is never sent (RFC 3464)
                notice = report(raw, sender=sender, recipient=address, bounce=bounce)
                self._return(sender, notice, after_seconds=bounce.after_seconds)
        if got_it:
            login: Any = session.auth_data
            user = login.login.decode() if isinstance(login, LoginPassword) else None
            self._keep(sender, got_it, raw, encrypted=session.ssl is not None, user=user)

    def _return(self, sender: str, notice: bytes, *, after_seconds: float) -> None:
        def arrive() -> None:
            self._returning.discard(timer)
            self._keep("", [sender], notice, encrypted=False, user=None)

        timer = asyncio.get_running_loop().call_later(after_seconds, arrive)
        self._returning.add(timer)

    def _keep(
        self, sender: str, recipients: Sequence[str], raw: bytes, *, encrypted: bool, user: str | None
    ) -> None:
        self._delivered += 1
        self.letters.append(
            Letter(
                number=self._delivered,
                received_at=datetime.now(UTC),
                sender=sender,
                recipients=tuple(recipients),
                encrypted=encrypted,
                user=user,
                raw=raw,
            )
        )


async def _say(server: SMTP, reply: Reply) -> str:
    """Answer the scripted text; where it hangs up, the connection closes after it, or at once without one."""
    await asyncio.sleep(reply.delay_seconds)
    loop = asyncio.get_running_loop()
    transport = server.transport
    if transport is None or not reply.hangs_up:
        return reply.text or ACCEPTED
    loop.call_soon(transport.close)
    if reply.text is None:
        await loop.create_future()  # cancelled by the loss of the connection: nothing is said
    return reply.text or ACCEPTED
