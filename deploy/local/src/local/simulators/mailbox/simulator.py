"""The mailbox, started: an SMTP server that keeps letters, and a door to read them."""

import asyncio
import ssl
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP
from fastapi import FastAPI

from local.simulators.admin import new_door
from local.simulators.mailbox.bounces import Bounce
from local.simulators.mailbox.letters import Letter
from local.simulators.mailbox.script import Reply
from local.simulators.mailbox.smtp import Login, Postman
from local.simulators.serving import HOST
from local.simulators.simulator import Simulator


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxSettings:
    """Every knob. Port 0 takes a free one. Both files offer STARTTLS; a `login` is asked for only under TLS."""

    port: int = 0
    admin_port: int = 0
    certificate_file: Path | None = None
    key_file: Path | None = None
    require_starttls: bool = False
    login: Login | None = None
    slow_seconds: float = 0.0  # before each of the answers to MAIL, RCPT and DATA

    def __post_init__(self) -> None:
        """Refuse what would ask for a password in clear."""
        if (self.login or self.require_starttls) and not (self.certificate_file and self.key_file):
            raise ValueError("STARTTLS, and with it a login, needs a certificate and its key")


class MailboxSimulator(Simulator):
    """It delivers to nobody: every address is welcome and kept here."""

    def __init__(self, settings: MailboxSettings | None = None) -> None:
        super().__init__()
        self._settings = settings or MailboxSettings()
        self._postman = Postman(slow_seconds=self._settings.slow_seconds)
        self._connections: weakref.WeakSet[SMTP] = weakref.WeakSet()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        self._tls = self._trust()
        self._server = await loop.create_server(self._new_connection, HOST, self._settings.port)
        self._stack.push_async_callback(self._close)
        await self._open_admin_door(self._admin_app(), self._settings.admin_port)

    async def _close(self) -> None:
        """Take no new connection, and end those of clients that are still there."""
        self._postman.stop()
        self._server.close()
        for connection in list(self._connections):
            if connection.transport is not None:
                connection.transport.close()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """The port that speaks SMTP."""
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """Where to send to, without user and password."""
        return f"smtp://{HOST}:{self.port}"

    @property
    def letters(self) -> Sequence[Letter]:
        """The letters kept, oldest first."""
        return self._postman.letters

    def _trust(self) -> ssl.SSLContext | None:
        if self._settings.certificate_file is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._settings.certificate_file, self._settings.key_file)
        return context

    def _new_connection(self) -> SMTP:
        login = self._settings.login
        connection = SMTP(
            self._postman.hooks(),
            enable_SMTPUTF8=True,
            hostname="localhost",  # the default asks DNS for our name
            ident="mailbox",
            tls_context=self._tls,
            require_starttls=self._settings.require_starttls,
            auth_required=login is not None,
            authenticator=None if login is None else login.check,
            loop=asyncio.get_running_loop(),
        )
        self._connections.add(connection)
        return connection

    def _admin_app(self) -> FastAPI:
        app = new_door("A simulated mailbox: the admin door")
        for method, path, endpoint in (
            ("GET", "/letters", self._list_letters),
            ("DELETE", "/letters", self._clear_letters),
            ("POST", "/replies", self._script_replies),
            ("DELETE", "/replies", self._clear_replies),
            ("POST", "/bounces", self._script_bounces),
            ("DELETE", "/bounces", self._clear_bounces),
        ):
            app.add_api_route(path, endpoint, methods=[method])
        return app

    async def _list_letters(self, to: str | None = None, after: int = 0) -> list[dict[str, Any]]:
        """List the letters, oldest first; `to` leaves those for one recipient, `after` those after a number."""
        return [
            letter.described()
            for letter in self.letters
            if letter.number > after and (to is None or to in letter.recipients)
        ]

    async def _clear_letters(self) -> None:
        """Throw all letters away."""
        self._postman.letters.clear()

    async def _script_replies(self, replies: list[Reply]) -> None:
        """Append replies to the script."""
        self._postman.script.add(replies)

    async def _clear_replies(self) -> None:
        """From now on every letter is taken."""
        self._postman.script.clear()

    async def _script_bounces(self, bounces: list[Bounce]) -> None:
        """Let letters for these addresses come back."""
        self._postman.bounces.add(bounces)

    async def _clear_bounces(self) -> None:
        """From now on every letter stays."""
        self._postman.bounces.clear()
