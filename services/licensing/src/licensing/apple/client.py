"""The client of Apple's App and Book Management API: one method per thing that licensing asks Apple."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol

from licensing.apple.answers import (
    read_assets,
    read_assignments,
    read_client_config,
    read_event_id,
    read_event_state,
)
from licensing.apple.service import REFRESH_SECONDS, ServiceConfig, read_service_config
from licensing.apple.token import read_content_token, refused_token
from licensing.apple.wire import Call, Moved, SlowDown, Wire
from licensing.model import (
    Access,
    AppleRefused,
    AssetKey,
    AssetList,
    AssignmentPage,
    ClientConfig,
    EventState,
    ExaminedToken,
    IntentKind,
    ListedAsset,
    MdmIdentity,
    Subscription,
)
from shared.clock import Clock
from shared.errors import ManagedDistributionError, Unavailable
from shared.metrics import APPLE_REQUESTS

APPLE = "https://vpp.itunes.apple.com/mdm/v2"
NOTIFICATION_TYPES = ("ASSET_MANAGEMENT", "ASSET_COUNT")

_PAGE_OUT_OF_RANGE = 9650
_WALKS = 5
_SLOW_DOWN_SECONDS = 1.0
_WRITE_URLS = {IntentKind.ASSOCIATE: "associateAssets", IntentKind.DISASSOCIATE: "disassociateAssets"}


class Budget(Protocol):
    """How many requests a library may send, shared by all replicas."""

    async def take(self, library_id: str, *, per_second: float) -> float:
        """Take the next turn and return the seconds until it. Raises Unavailable when it is too far off."""
        ...

    async def pause(self, library_id: str, seconds: float) -> None:
        """Let no turn begin for so long."""
        ...


class Apple:
    """Apple's service. `base_url` None is Apple itself; an override names the one other host that may be called."""

    def __init__(self, wire: Wire, *, base_url: str | None, budget: Budget, clock: Clock) -> None:
        self._wire = wire
        self._base_url = (base_url or APPLE).rstrip("/")
        self._overridden = base_url is not None
        self._budget = budget
        self._clock = clock
        self._service: ServiceConfig | None = None
        self._read_at = 0.0

    async def turn(self, access: Access) -> int:
        """Wait for the library's turn; return how many serial numbers a request may name now."""
        service = await self._config()
        wait = await self._budget.take(access.library_id, per_second=service.requests_per_second)
        if wait > 0:
            await self._clock.sleep(wait)
        return service.most_serial_numbers

    async def write(
        self, access: Access, kind: IntentKind, key: AssetKey, serial_numbers: Sequence[str]
    ) -> str:
        """Ask Apple to (dis)associate; return the id of its event. The caller has waited for its turn.

        Raises AppleRefused, Unavailable (nothing was queued), OutcomeUnknown (it may have been).
        """
        body = {
            "assets": [{"adamId": key.adam_id, "pricingParam": key.pricing_param}],
            "serialNumbers": list(serial_numbers),
        }
        return read_event_id(await self._call(_WRITE_URLS[kind], access, body=body, writes=True))

    async def status(self, access: Access, event_id: str) -> EventState:
        """Return how far an event has come. Raises AppleRefused (9708: Apple does not know it)."""
        await self.turn(access)
        return read_event_state(await self._call("eventStatus", access, {"eventId": event_id}))

    async def examine(self, text: str) -> ExaminedToken:
        """Read the text of a .vpptoken file and ask Apple what it speaks for. Nothing is stored anywhere.

        Raises Invalid, with the words that whoever uploaded it needs, and Unavailable.
        """
        token = read_content_token(text, now=self._clock.now())
        try:
            body = await self._call("clientConfig", Access("", token.text))
        except AppleRefused as refused:
            raise refused_token(refused.failure.number) from refused
        return ExaminedToken(token, read_client_config(body))

    async def claim(
        self, access: Access, mdm_info: MdmIdentity, subscription: Subscription | None
    ) -> ClientConfig:
        """Name us as the library's management service, and subscribe to its notifications.

        Apple calls the subscription's URL before it answers. Raises AppleRefused (9728: it got no 2xx).
        """
        await self.turn(access)
        body: dict[str, Any] = {
            "mdmInfo": {"id": mdm_info.id, "name": mdm_info.name, "metadata": mdm_info.metadata}
        }
        if subscription is not None:
            body |= {
                "notificationUrl": subscription.url,
                "notificationAuthToken": subscription.secret.reveal().decode(),
                "notificationTypes": list(NOTIFICATION_TYPES),
            }
        return read_client_config(await self._call("clientConfig", access, body=body))

    async def assets(self, access: Access) -> AssetList:
        """Return every asset of a library. A list that keeps changing while it is read ends up inexact."""
        for _ in range(_WALKS):
            found, exact = await self._walk_assets(access)
            if exact:
                break
        return AssetList(found, exact)

    async def asset(self, access: Access, key: AssetKey) -> ListedAsset | None:
        """Return one asset as Apple counts it now."""
        await self.turn(access)
        query = {"adamId": key.adam_id, "pricingParam": key.pricing_param}
        found = read_assets(await self._call("getAssets", access, query))
        return next((each for each in found if each.facts.key == key), None)

    async def assignments(self, access: Access, key: AssetKey) -> AsyncIterator[AssignmentPage]:
        """Yield who holds licences of an asset, page by page; pages of one moment share their version."""
        index: str | None = "0"
        while index is not None:
            await self.turn(access)
            query = {"adamId": key.adam_id, "pricingParam": key.pricing_param, "pageIndex": index}
            body = await self._call("getAssignments", access, query)
            yield read_assignments(body, key)
            index = _next_page(body)

    async def _walk_assets(self, access: Access) -> tuple[list[ListedAsset], bool]:
        """Read the list once; not exact where its version changed on the way, or a page was gone."""
        found: list[ListedAsset] = []
        versions = set()
        index: str | None = "0"
        while index is not None:
            await self.turn(access)
            try:
                body = await self._call("getAssets", access, {"pageIndex": index})
            except AppleRefused as refused:
                if refused.failure.number != _PAGE_OUT_OF_RANGE or index == "0":
                    raise
                return found, False
            found += read_assets(body)
            versions.add(body.get("versionId"))
            index = _next_page(body)
        return found, len(versions) == 1

    async def _call(
        self,
        name: str,
        access: Access,
        query: Mapping[str, str] | None = None,
        *,
        body: Mapping[str, Any] | None = None,
        writes: bool = False,
    ) -> dict[str, Any]:
        """Call an endpoint by its name in `service/config`, and draw the consequences of a no."""
        service = await self._config()
        call = Call(service.urls[name], query or {}, body, writes)
        authorization = f"Bearer {access.token.reveal().decode('ascii')}"
        outcome = "answered"
        try:
            return await self._wire.exchange(call, authorization=authorization)
        except Exception as error:
            outcome = str(error) if isinstance(error, ManagedDistributionError) else type(error).__name__
            await self._heed(access, error)
            raise
        finally:
            APPLE_REQUESTS.labels(name, outcome).inc()

    async def _heed(self, access: Access, error: Exception) -> None:
        """Slow the whole library down, or look for Apple's addresses anew."""
        if isinstance(error, SlowDown):
            await self._budget.pause(access.library_id, error.retry_after_seconds or _SLOW_DOWN_SECONDS)
        elif isinstance(error, Moved):
            self._service = None

    async def _config(self) -> ServiceConfig:
        """Return the service's description, read again after 5 minutes; an older one serves where it must."""
        now = self._clock.monotonic()
        if self._service is not None and now - self._read_at < REFRESH_SECONDS:
            return self._service
        try:
            body = await self._wire.exchange(Call(f"{self._base_url}/service/config", {}), authorization=None)
        except Unavailable:
            if self._service is None:
                raise
            return self._service
        self._service = read_service_config(body, self._base_url, overridden=self._overridden)
        self._read_at = now
        return self._service

    def forget_limits(self) -> None:
        """Read `service/config` again before the next request: a limit was not what we believed."""
        self._service = None


def _next_page(body: Mapping[str, Any]) -> str | None:
    """Return the index of the next page; the last page is the one that names none."""
    index = body.get("nextPageIndex")
    return str(index) if isinstance(index, int) else None
