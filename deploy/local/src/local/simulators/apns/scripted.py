"""The scripted door: TLS here, each frame by hand, so that every fault a client may meet can be shown to it."""

import asyncio
import ssl
from typing import Self

from local.simulators.apns.connection import ApnsConnection, Wiring
from local.simulators.apns.settings import ApnsSettings
from local.simulators.serving import HOST


class ScriptedDoor:
    """A listener and its connections."""

    def __init__(self, server: asyncio.Server, wiring: Wiring) -> None:
        self._server = server
        self.wiring = wiring
        self.port: int = server.sockets[0].getsockname()[1]

    @classmethod
    async def open(cls, settings: ApnsSettings, wiring: Wiring) -> Self:
        """Listen. Raises `OSError` when the port is taken."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: ApnsConnection(wiring), HOST, settings.port, ssl=_tls(settings)
        )
        return cls(server, wiring)

    async def close(self) -> None:
        """Take no new connection and end those that are open."""
        self._server.close()
        for connection in list(self.wiring.open_connections):
            connection.close()
        await self._server.wait_closed()


def _tls(settings: ApnsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.certificate_file, settings.key_file)
    context.load_verify_locations(settings.client_ca_file)
    context.verify_mode = ssl.CERT_OPTIONAL  # Apple lets who has none in, and asks for a provider token
    context.set_alpn_protocols(["h2"])
    return context
