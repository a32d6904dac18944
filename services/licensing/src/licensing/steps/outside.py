"""What the steps need of Apple, each as little as it uses."""

from collections.abc import AsyncGenerator, Collection, Sequence
from typing import Protocol

from licensing.model import (
    Access,
    AssetKey,
    AssetList,
    AssignmentPage,
    ClientConfig,
    EventState,
    Hidden,
    HolderKind,
    IntentKind,
    Limits,
    ListedAsset,
    MdmIdentity,
    NewAppleUser,
    Subscription,
    UserPage,
)


class Writer(Protocol):
    """Asks for changes, and hears how far they have come."""

    async def turn(self, access: Access) -> Limits:
        """Wait for the library's turn; return how much a request may hold now."""
        ...

    async def write(
        self,
        access: Access,
        kind: IntentKind,
        key: AssetKey,
        names: Sequence[str],
        *,
        holders: HolderKind = HolderKind.SERIAL_NUMBERS,
    ) -> str:
        """Send a request in one's turn; return the id of Apple's event."""
        ...

    async def status(self, access: Access, event_id: str) -> EventState:
        """Return how far an event has come."""
        ...

    def forget_limits(self) -> None:
        """Read the limits again before the next request."""
        ...


class HolderLister(Protocol):
    """Reads who holds the licences of one asset."""

    def assignments(
        self, access: Access, key: AssetKey, *, first_page: int = 0
    ) -> AsyncGenerator[AssignmentPage, None]:
        """Yield who holds licences of it, page by page; whoever stops early closes it."""
        ...


class Lister(HolderLister, Protocol):
    """Reads who holds the licences of one asset, and how many those are."""

    async def asset(self, access: Access, key: AssetKey) -> ListedAsset | None:
        """Return one asset as Apple counts it now."""
        ...


class AssetLister(Protocol):
    """Reads what a library owns."""

    async def assets(self, access: Access) -> AssetList:
        """Return every asset of the library."""
        ...


class Claimer(Protocol):
    """Makes a library ours, and looks whether it still is."""

    async def client_config(self, access: Access) -> ClientConfig:
        """Return what Apple stores about a library."""
        ...

    async def claim(
        self, access: Access, mdm_info: MdmIdentity, subscription: Subscription | None
    ) -> ClientConfig:
        """Name us as its management service, and subscribe to its notifications."""
        ...


class UserWriter(Protocol):
    """Asks for users to be made, brought up to date and ended, and hears how far that has come."""

    async def turn(self, access: Access) -> Limits:
        """Wait for the library's turn; return how much a request may hold now."""
        ...

    async def create_users(self, access: Access, users: Sequence[NewAppleUser]) -> str:
        """Send a request in one's turn; return the id of Apple's event."""
        ...

    async def update_users(self, access: Access, users: Sequence[NewAppleUser]) -> str:
        """Send a request in one's turn; return the id of Apple's event."""
        ...

    async def retire_users(self, access: Access, client_user_ids: Collection[str]) -> str:
        """Send a request in one's turn; return the id of Apple's event."""
        ...

    async def status(self, access: Access, event_id: str) -> EventState:
        """Return how far an event has come."""
        ...

    def forget_limits(self) -> None:
        """Read the limits again before the next request."""
        ...


class UserLister(Protocol):
    """Reads the users of a library."""

    def users(
        self, access: Access, *, since: str | None, first_page: int = 0
    ) -> AsyncGenerator[UserPage, None]:
        """Yield the records, or those changed since a version, page by page; whoever stops early closes it."""
        ...


class Inviter(Protocol):
    """Makes links of invitation codes."""

    async def invitation_link(self, code: Hidden) -> Hidden:
        """Return the link that invites whoever holds it."""
        ...


class AppleService(Writer, Lister, AssetLister, Claimer, UserWriter, UserLister, Inviter, Protocol):
    """All of it: the client that main wires."""
