"""What licensing asks Apple about licences: which there are, who holds them, give one, take one back."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from licensing.apple.answers import read_assets, read_assignments, read_event_id, read_event_state
from licensing.apple.line import Line
from licensing.model import (
    Access,
    AssetKey,
    AssetList,
    AssetPage,
    AssignmentPage,
    EventState,
    HolderKind,
    IntentKind,
    ListedAsset,
    Walk,
)

_WRITE_URLS = {IntentKind.ASSOCIATE: "associateAssets", IntentKind.DISASSOCIATE: "disassociateAssets"}


class LicenseCalls:
    """The calls about licences."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def write(
        self,
        access: Access,
        kind: IntentKind,
        key: AssetKey,
        names: Sequence[str],
        *,
        holders: HolderKind = HolderKind.SERIAL_NUMBERS,
    ) -> str:
        """Ask Apple to (dis)associate; return the id of its event. The caller has waited for its turn.

        Raises AppleRefused, Unavailable (nothing was queued), OutcomeUnknown (it may have been).
        """
        body = {
            "assets": [{"adamId": key.adam_id, "pricingParam": key.pricing_param}],
            holders.value: list(names),
        }
        return read_event_id(await self._line.write(_WRITE_URLS[kind], access, body))

    async def status(self, access: Access, event_id: str) -> EventState:
        """Return how far an event has come, of licences or of users. Raises AppleRefused (9708: unknown)."""
        return read_event_state(await self._line.read("eventStatus", access, {"eventId": event_id}))

    async def assets(self, access: Access) -> AssetList:
        """Return every asset of a library. A list that keeps changing while it is read ends up inexact."""
        walk: Walk | None = Walk()
        while walk is not None:
            async with aclosing(walk.through(self._asset_pages(access))) as pages:
                found = [asset async for page in pages for asset in page.assets]
            listed, walk = AssetList(found, exact=walk.exact), walk.following()
        return listed

    async def asset(self, access: Access, key: AssetKey) -> ListedAsset | None:
        """Return one asset as Apple counts it now."""
        query = {"adamId": key.adam_id, "pricingParam": key.pricing_param}
        page = read_assets(await self._line.read("getAssets", access, query))
        return next((each for each in page.assets if each.facts.key == key), None)

    async def assignments(
        self, access: Access, key: AssetKey, *, first_page: int = 0
    ) -> AsyncGenerator[AssignmentPage, None]:
        """Yield who holds licences of an asset, page by page, once through the list from its `first_page` on.

        Pages of one moment share their version. Raises AppleRefused: 9650 for a list that became shorter on the way.
        """
        query = {"adamId": key.adam_id, "pricingParam": key.pricing_param}
        async with aclosing(self._line.pages("getAssignments", access, query, first=first_page)) as bodies:
            async for body in bodies:
                yield read_assignments(body, key)

    async def _asset_pages(self, access: Access) -> AsyncGenerator[AssetPage, None]:
        async with aclosing(self._line.pages("getAssets", access)) as bodies:
            async for body in bodies:
                yield read_assets(body)
