"""What the tests of declarative management share: a channel that synchronizes, and its last word on an item."""

from dataclasses import dataclass
from typing import Any

from local.simulators.devices import Channel, Device
from tests.local.devices.tiny_ddm import APP, SUBSCRIPTIONS, TinyDdm
from tests.local.devices.visits import ADAM_ID, Visits, name

NEWEST = {"os_version": "18.4"}
APP_LIST = "app.managed.list"
DEVICE_LICENSE = {"License": {"Assignment": "Device"}}
REQUIRED = {
    "AppStoreID": str(ADAM_ID),
    "InstallBehavior": {"Install": "Required", **DEVICE_LICENSE},
}
OPTIONAL = {"AppStoreID": str(ADAM_ID), "InstallBehavior": DEVICE_LICENSE}


@dataclass(frozen=True, slots=True)
class Declaring:
    """One channel and its set of declarations."""

    visits: Visits
    device: Device | Channel

    @property
    def ddm(self) -> TinyDdm:
        return self.visits.mdm.ddm

    @property
    def channel(self) -> str:
        return name(self.device)

    @property
    def reports(self) -> list[dict[str, Any]]:
        return self.ddm.reports[self.channel]

    def declares(self, declaration_type: str, identifier: str, **payload: Any) -> None:
        self.ddm.declare(self.channel, declaration_type, identifier, **payload)

    def activates(self, *configurations: str, **payload: Any) -> None:
        self.ddm.activate(self.channel, *configurations, **payload)

    async def synchronizes(self, **arguments: Any) -> list[str]:
        """Send the command; answer which endpoints were asked."""
        self.ddm.endpoints(self.channel)
        report = await self.visits.does(self.device, "DeclarativeManagement", **arguments)
        assert report["Status"] == "Acknowledged"
        return self.ddm.endpoints(self.channel)

    async def wants_app(self, **payload: Any) -> None:
        """Declare one app, subscribe to what becomes of it, and synchronize."""
        self.declares(SUBSCRIPTIONS, "subscriptions", StatusItems=[{"Name": APP_LIST}, {"Name": "mdm.app"}])
        self.declares(APP, "app", **payload)
        self.activates("subscriptions", "app")
        await self.synchronizes()

    async def later(self, seconds: float) -> None:
        """Put the clock forward, and let the device tell what became of that."""
        self.visits.fleet.advance(seconds)
        await self.visits.fleet.settled()

    def judged(self, identifier: str) -> tuple[bool, str, list[str]]:
        """Answer how the last report that says so judged a declaration: active, valid, codes."""
        told = [report["StatusItems"]["management"]["declarations"] for report in self._reports("management")]
        each = next(each for kind in told[-1].values() for each in kind if each["identifier"] == identifier)
        return each["active"], each["valid"], [why["code"] for why in each.get("reasons", [])]

    def _reports(self, root: str) -> list[dict[str, Any]]:
        return [each for each in self.reports if "declarations" in each["StatusItems"].get(root, {})]

    def apps(self) -> list[dict[str, Any]]:
        """Answer what all reports so far told of apps, in their order."""
        told = [
            report["StatusItems"].get("app", {}).get("managed", {}).get("list", []) for report in self.reports
        ]
        return [app for apps in told for app in apps]

    def states(self) -> list[Any]:
        """Answer the states of the one app as they were told."""
        return [app.get("state", "_removed") for app in self.apps()]

    def commanded(self) -> list[dict[str, Any]]:
        """Answer what all reports told of apps that commands installed."""
        return [app for report in self.reports for app in report["StatusItems"].get("mdm", {}).get("app", [])]
