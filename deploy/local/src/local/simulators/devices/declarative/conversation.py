"""The conversation of declarative management: synchronize, put to work, report. Check-ins, apart from commands.

Apple: "Integrating declarative management".
"""

import json

from local.simulators.devices.commands.world import World
from local.simulators.devices.declarative.answers import (
    Items,
    UnreadableError,
    read_declaration,
    read_items,
    read_token,
)
from local.simulators.devices.declarative.apps import (
    Wish,
    begin,
    check_update,
    waits_no_more,
    withdraw,
)
from local.simulators.devices.declarative.capabilities import APP_MANAGED, SUBSCRIPTIONS
from local.simulators.devices.declarative.held import Declaration, DeclarationKind, Declarations, Due
from local.simulators.devices.declarative.judging import judge
from local.simulators.devices.declarative.status import next_change, report
from local.simulators.devices.licenses import AppStore, License
from local.simulators.devices.model import Channel
from local.simulators.devices.packages import Porter
from local.simulators.devices.settings import FleetSettings
from local.simulators.devices.times import Clock
from local.simulators.devices.trace import Trace
from local.simulators.devices.trouble import NotThereError
from local.simulators.devices.wire import Wire
from local.simulators.dice import Dice

SPREAD = 0.1  # full reports come up to so much later than asked, so that a fleet does not come at once


class Declarer:
    """Runs conversations; what went wrong on the way is gone on with the next time."""

    def __init__(
        self, settings: FleetSettings, wire: Wire, store: AppStore, trace: Trace, clock: Clock
    ) -> None:
        self._settings = settings
        self._wire = wire
        self._store = store
        self._porter = Porter(wire.client)
        self._trace = trace
        self._clock = clock
        self._dice = Dice(settings.seed)

    async def run(self, channel: Channel) -> float | None:
        """Do what is due; answer when there is more to tell, in seconds since 1970, None where it is turned off.

        Raises what `wire.Wire` raises.
        """
        declarations = channel.declarations
        if declarations is None:
            return None
        if declarations.due is not None:
            await self._synchronize(channel, declarations)
        await self._settle(channel, declarations)
        await self._report(channel, declarations)
        if channel.declarations is not declarations:  # wiped meanwhile
            return None
        return next_change(channel, declarations, now=self._clock.now())

    async def _synchronize(self, channel: Channel, declarations: Declarations) -> None:
        """Fetch what is new; the set changes as a whole, once all of it is here."""
        due = declarations.take_due()
        try:
            if due is Due.TOKENS and read_token(await self._ask(channel, "tokens")) == declarations.token:
                return
            items = read_items(await self._ask(channel, "declaration-items"))
            found = await self._fetch(channel, declarations, items)
        except UnreadableError as error:
            self._trace.add(channel.name, "DeclarativeManagement", f"unreadable: {error}")
            self._trace.counts["declarative_unreadable"] += 1
            return
        except BaseException:
            declarations.due = declarations.due or due
            raise
        declarations.held, declarations.token = found, items.declarations_token
        judge(channel, declarations)

    async def _fetch(
        self, channel: Channel, declarations: Declarations, items: Items
    ) -> dict[tuple[DeclarationKind, str], Declaration]:
        """Fetch the declarations whose ServerToken is new; one that the server has no more is dropped."""
        found = {}
        for kind, item in items.all:
            known = declarations.held.get((kind, item.identifier))
            if known is None or known.server_token != item.server_token:
                try:
                    content = await self._ask(channel, f"declaration/{kind}/{item.identifier}")
                except NotThereError:
                    continue
                known = read_declaration(content, kind, item)
            found[kind, item.identifier] = known
        return found

    async def _ask(self, channel: Channel, endpoint: str, said: object = None) -> bytes:
        data = None if said is None else json.dumps(said, separators=(",", ":")).encode()
        try:
            content = await self._wire.declare(channel, endpoint, data)
        except NotThereError as gone:
            self._trace.add(channel.name, f"DeclarativeManagement {endpoint}", str(gone))
            raise
        self._trace.add(channel.name, f"DeclarativeManagement {endpoint}")
        return content

    async def _settle(self, channel: Channel, declarations: Declarations) -> None:
        """Make the apps what the active configurations say, and subscribe to what they name."""
        active = [each for each in declarations.of_kind(DeclarationKind.CONFIGURATION) if each.active]
        declarations.subscriptions = frozenset(
            item["Name"]
            for each in active
            if each.type == SUBSCRIPTIONS
            for item in each.payload["StatusItems"]
        )
        wanted = {each.identifier: each for each in active if each.type == APP_MANAGED}
        for identifier in [name for name in declarations.apps if name not in wanted]:
            withdraw(channel, declarations.apps.pop(identifier))
        for configuration in wanted.values():
            await self._settle_app(channel, declarations, configuration)

    async def _settle_app(
        self, channel: Channel, declarations: Declarations, configuration: Declaration
    ) -> None:
        wish = Wish.of(configuration.payload, self._settings)
        entry, now = declarations.apps.get(configuration.identifier), self._clock.now()
        if entry is not None:
            changed = entry.server_token != configuration.server_token
            if not changed and not waits_no_more(channel, entry, now=now):
                return
            same = wish.identifier in {None, entry.app.identifier}
            if changed and same and entry.registered and entry.app.is_there(now):
                entry.server_token = configuration.server_token
                entry.optional, entry.external_version = wish.optional, wish.external_version
                check_update(channel, entry, World(now, self._settings, self._dice))
                return
        license_, package = await self._find_license(channel, wish), None
        if wish.manifest_url is not None:
            package = await self._porter.fetch({"ManifestURL": wish.manifest_url})
        if channel.declarations is not declarations:  # wiped meanwhile
            return
        if entry is not None:
            withdraw(channel, entry)
        world = World(self._clock.now(), self._settings, self._dice, license_, package)
        picked = entry is not None and entry.picked
        begun = begin(channel, configuration, wish, world, picked=picked)
        declarations.apps[configuration.identifier] = begun
        self._trace.add(channel.name, f"app.managed {begun.app.identifier}", begun.failure or "ok")

    async def _find_license(self, channel: Channel, wish: Wish) -> License | None:
        """Look for the license that the configuration names: the device's, or that of whoever is signed in."""
        if wish.adam_id is None or wish.assignment is None:
            return None
        of_device = wish.assignment == "Device"
        owned = of_device and not channel.device.traits.personal
        return await self._store.find(
            wish.adam_id,
            serial=channel.device.serial if owned else None,
            account=None if of_device else channel.account,
        )

    async def _report(self, channel: Channel, declarations: Declarations) -> None:
        """Tell what changed; it counts as told once the server took it."""
        now = self._clock.now()
        due = report(channel, declarations, now=now)
        if due is None or channel.declarations is not declarations:
            return
        await self._ask(channel, "status", due.body)
        declarations.told, declarations.told_errors = due.items, due.errors
        if "FullReport" in due.body:
            late = SPREAD * self._dice.number("full report", channel.name, channel.device.life)
            declarations.full_report_at = now + self._settings.full_report_seconds * (1 + late)
