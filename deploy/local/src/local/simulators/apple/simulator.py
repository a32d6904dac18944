"""The simulated App and Book service, started: its https door for clients and its admin door."""

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
from local.simulators.simulator import Simulator


class AppleSimulator(Simulator):
    """`world` may be looked at by whoever runs in the same process. A stop gives up open events and notifications."""

    def __init__(self, settings: AppleSettings) -> None:
        super().__init__()
        self._settings = settings
        self.world = World(seed=settings.seed, knobs=settings.knobs)

    async def _open(self) -> None:
        settings = self._settings
        self._notifier = notifier = Notifier(self.world, trust_ca_file=settings.trust_ca_file)
        worker = Worker(self.world, notifier)
        invitations = Invitations(self.world, notifier)
        wire = Wire(self.world, worker, notifier)
        door = build_door(wire, Legacy(self.world), Metadata(self.world), invitations)
        admin = build_admin_door(
            Shop(self.world, Portal(self.world, notifier)),
            People(self.world, invitations),
            Ways(self.world, worker, notifier),
        )
        await notifier.start()
        self._stack.push_async_callback(notifier.stop)
        self._stack.push_async_callback(worker.stop)
        self._door = await Serving.start(
            door,
            port=settings.port,
            certificate_file=settings.certificate_file,
            key_file=settings.key_file,
        )
        self._stack.push_async_callback(self._door.stop)
        await self._open_admin_door(admin, settings.admin_port)

    @property
    def url(self) -> str:
        """The base of Apple's API, to be used in the place of https://vpp.itunes.apple.com/mdm/v2."""
        return f"https://{HOST}:{self._door.port}{BASE}"
