"""What people do with the devices in their hands: lock and log in, sign in to the store, get and delete apps."""

from collections.abc import Callable, Iterable, Sequence

from local.simulators.devices.content import MANAGED, PROMPTING_FOR_LOGIN, UNINSTALLED, App, journey, settled
from local.simulators.devices.enrolling import Enroller
from local.simulators.devices.licenses import AppStore
from local.simulators.devices.model import Channel, Device, Enrollment
from local.simulators.devices.settings import FleetSettings
from local.simulators.devices.times import Clock
from local.simulators.devices.tokens import Tokens


class Hands:
    """Each deed is done to several devices; the fleet says which."""

    def __init__(
        self,
        settings: FleetSettings,
        clock: Clock,
        enroller: Enroller,
        tokens: Tokens,
        store: AppStore,
        *,
        stir: Callable[[Channel], None],
    ) -> None:
        """Make them; `stir` has a channel see by itself what declarative management makes of the deed."""
        self._settings = settings
        self._clock = clock
        self._enroller = enroller
        self._tokens = tokens
        self._store = store
        self._stir = stir

    async def log_in(
        self, devices: Sequence[Device], user: str, *, account: str | None = None, of_directory: bool = False
    ) -> None:
        """Log a user in; on a Shared iPad whoever was there is logged out. Enrolled devices open the user's channel."""
        for device in devices:
            if device.traits.shared:
                await self.log_out([device])
            channel = device.users.setdefault(user, Channel(device, user))
            channel.present = True
            channel.account = account or channel.account
            if device.enrollment is Enrollment.ENROLLED and channel.token is None:
                await self._tokens.give([channel])
                await self._enroller.open(channel, of_directory=of_directory)
            self._stir_all(device)

    async def log_out(self, devices: Iterable[Device], user: str | None = None) -> None:
        """Log a user out, or all: pushes find nobody there until they log in again."""
        for device in devices:
            for channel in device.users.values():
                channel.present = channel.present and user not in {None, channel.user}

    async def sign_in(self, devices: Iterable[Device], account: str | None) -> None:
        """Sign in to the App Store with another account, or out; installs that waited for it go on."""
        for device in devices:
            device.channel.account = account
            for app in device.apps.values():
                waits = app.status(self._clock.now()) == PROMPTING_FOR_LOGIN
                if waits and not device.is_declared(app.identifier):
                    await self._go_on(device, app)
            self._stir_all(device)

    async def _go_on(self, device: Device, app: App) -> None:
        found = await self._store.find(app.adam_id or 0, serial=None, account=device.channel.account)
        knobs = self._settings
        stages = ("ValidatingPurchase", knobs.validating_seconds), ("Installing", knobs.install_seconds)
        app.by_device_license = False
        app.journey = journey(self._clock.now(), *stages, end="Failed" if found is None else MANAGED)

    def get_app(self, devices: Iterable[Device], adam_id: int) -> None:
        """Get an app from the store by oneself: it is not managed, and ends an install that was on its way."""
        identifier = self._settings.bundle_id(adam_id)
        for device in devices:
            known = device.apps.get(identifier)
            if known is None:
                device.apps[identifier] = App(adam_id, identifier, settled(MANAGED), managed=False)
            elif not known.is_there(self._clock.now()):
                known.journey = settled("UserInstalledApp")
            self._stir_all(device)

    def pick_app(self, devices: Iterable[Device], identifier: str) -> None:
        """Pick an optional declared app in the organization's management app; whoever has none passes it over."""
        for device in devices:
            for channel in device.channels:
                entry = channel.declarations and channel.declarations.app(identifier)
                if entry:
                    entry.picked = entry.optional
                    self._stir(channel)

    def delete_app(self, devices: Iterable[Device], identifier: str) -> None:
        """Delete an app from the screen; a managed one stays in the list as ManagedButUninstalled.

        A declared one is optional again, or cannot be deleted at all.
        """
        for device in devices:
            app = device.apps.get(identifier)
            if app is None or not app.is_there(self._clock.now()):
                continue
            if device.is_declared(identifier):
                self._delete_declared(device, identifier)
            elif app.managed:
                app.journey = settled(UNINSTALLED)
            else:
                del device.apps[identifier]
            self._stir_all(device)

    def _delete_declared(self, device: Device, identifier: str) -> None:
        for channel in device.channels:
            entry = channel.declarations and channel.declarations.app(identifier)
            if entry and entry.optional and entry.registered:
                entry.step_back()
                del device.apps[identifier]

    def _stir_all(self, device: Device) -> None:
        for channel in device.channels:
            if channel.declarations is not None:
                self._stir(channel)
