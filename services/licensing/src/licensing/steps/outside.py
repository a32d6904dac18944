"""What the steps need of Apple, each as little as it uses."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from licensing.model import (
    Access,
    AssetKey,
    AssetList,
    AssignmentPage,
    ClientConfig,
    EventState,
    IntentKind,
    ListedAsset,
    MdmIdentity,
    Subscription,
)


class Writer(Protocol):
    """Asks for changes, and hears how far they have come."""

    async def turn(self, access: Access) -> int:
        """Wait for the library's turn; return how many serial numbers a request may name now."""
        ...

    async def write(
        self, access: Access, kind: IntentKind, key: AssetKey, serial_numbers: Sequence[str]
    ) -> str:
        """Send a request in one's turn; return the id of Apple's event."""
        ...

    async def status(self, access: Access, event_id: str) -> EventState:
        """Return how far an event has come."""
        ...

    def forget_limits(self) -> None:
        """Read the limits again before the next request."""
        ...


class Lister(Protocol):
    """Reads who holds the licences of one asset."""

    async def asset(self, access: Access, key: AssetKey) -> ListedAsset | None:
        """Return one asset as Apple counts it now."""
        ...

    def assignments(self, access: Access, key: AssetKey) -> AsyncIterator[AssignmentPage]:
        """Yield who holds licences of it, page by page."""
        ...


class AssetLister(Protocol):
    """Reads what a library owns."""

    async def assets(self, access: Access) -> AssetList:
        """Return every asset of the library."""
        ...


class Claimer(Protocol):
    """Makes a library ours."""

    async def claim(
        self, access: Access, mdm_info: MdmIdentity, subscription: Subscription | None
    ) -> ClientConfig:
        """Name us as its management service, and subscribe to its notifications."""
        ...


class AppleService(Writer, Lister, AssetLister, Claimer, Protocol):
    """All of it: the client that main wires."""
