"""The simulated App and Book service, started: its https door for clients and its admin door."""

import asyncio
from typing import Self

from local.simulators.apple.admin import build_admin_door
from local.simulators.apple.admin.people import People
from local.simulators.apple.admin.shop import Shop
from local.simulators.apple.admin.ways import Ways
from local.simulators.apple.door import build_door
from local.simulators.apple.invitations import Invitations
from local.simulators.apple.legacy import Legacy
from local.simulators.apple.metadata import Metadata
from local.simulators.apple.notify import Notifier
from local.simulators.apple.portal import Portal
from local.simulators.apple.service_config import BASE
from local.simulators.apple.settings import AppleSettings
from local.simulators.apple.wire import Wire
from local.simulators.apple.worker import Worker
from local.simulators.apple.world import World
from local.simulators.serving import HOST, Serving


class AppleSimulator:
    """Start it, or use it as `async with`. `world` may be looked at by whoever runs in the same process."""

    def __init__(self, settings: AppleSettings) -> None:
        self._settings = settings
        self.world = World(seed=settings.seed, knobs=settings.knobs)

    async def start(self) -> None:
        """Open both doors. Raises `OSError` where a port is taken."""
        settings = self._settings
        self._notifier = Notifier(self.world, trust_ca_file=settings.trust_ca_file)
        self._worker = Worker(self.world, self._notifier)
        invitations = Invitations(self.world, self._notifier)
        wire = Wire(self.world, self._worker, self._notifier)
        door = build_door(wire, Legacy(self.world), Metadata(self.world), invitations)
        admin = build_admin_door(
            Shop(self.world, Portal(self.world, self._notifier)),
            People(self.world, invitations),
            Ways(self.world, self._worker, self._notifier),
        )
        await self._notifier.start()
        self._door = await Serving.start(
            door,
            port=settings.port,
            certificate_file=settings.certificate_file,
            key_file=settings.key_file,
        )
        self._admin_door = await Serving.start(admin, port=settings.admin_port)

    async def stop(self) -> None:
        """Close both doors; open events and unsent notifications are given up."""
        await asyncio.gather(self._door.stop(), self._admin_door.stop())
        await self._worker.stop()
        await self._notifier.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """The base of Apple's API, to be used in the place of https://vpp.itunes.apple.com/mdm/v2."""
        return f"https://{HOST}:{self._door.port}{BASE}"

    @property
    def admin_url(self) -> str:
        """The admin door."""
        return f"http://{HOST}:{self._admin_door.port}"
