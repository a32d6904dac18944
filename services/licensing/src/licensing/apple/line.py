"""A request on behalf of a library: in its turn, to the right address, with its token, and what a no entails."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

import structlog

from licensing.apple.guard import Guard, Watch
from licensing.apple.service import Service
from licensing.apple.walks import PAGES_AT_ONCE, Body, walk
from licensing.apple.wire import Call, Moved, SlowDown, Wire
from licensing.model import Access, AppleRefused, Limits, OutcomeUnknown
from shared.clock import Clock
from shared.errors import ManagedDistributionError, Unavailable
from shared.metrics import APPLE_REQUESTS

_log = structlog.get_logger(__name__)


class Budget(Protocol):
    """How many requests a library may send, shared by all replicas."""

    async def take(self, library_id: str, *, per_second: float) -> float:
        """Take the next turn and return the seconds until it. Raises Unavailable when it is too far off."""
        ...

    async def pause(self, library_id: str, seconds: float) -> None:
        """Let no turn begin for so long."""
        ...

    async def slow_down(self, library_id: str, seconds: float | None) -> None:
        """Lower the rate, and let no turn begin for so long; None: longer each time."""
        ...


class Line:
    """The way to Apple that all calls share."""

    def __init__(
        self, wire: Wire, service: Service, *, budget: Budget, clock: Clock, guard: Guard | None
    ) -> None:
        self.service = service
        self._wire = wire
        self._budget = budget
        self._clock = clock
        self._watch = None if guard is None else Watch(guard, clock)
        self._slots = defaultdict[str, asyncio.Semaphore](lambda: asyncio.Semaphore(PAGES_AT_ONCE))

    async def turn(self, access: Access) -> Limits:
        """Wait for the library's turn; return how much a request may hold now."""
        service = await self.service.config()
        wait = await self._budget.take(access.library_id, per_second=service.requests_per_second)
        if wait > 0:
            await self._clock.sleep(wait)
        return service.limits

    async def read(self, name: str, access: Access, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Read from an endpoint, in the library's turn."""
        await self.turn(access)
        return await self._call(access, name, query or {})

    def pages(
        self, name: str, access: Access, query: Mapping[str, str] | None = None, *, first: int = 0
    ) -> AsyncGenerator[Body, None]:
        """Yield the pages of a list from the `first` on, each in the library's turn; whoever stops early closes it.

        All walks of a library in this process together read five pages at once. Other replicas add theirs, but
        the turns that all share let more be under way only where Apple takes a third of a second for a page.
        """

        async def fetch(index: int) -> Body:
            async with self._slots[access.library_id]:
                return await self.read(name, access, {**(query or {}), "pageIndex": str(index)})

        return walk(fetch, first=first)

    async def write(self, name: str, access: Access, body: Mapping[str, Any]) -> dict[str, Any]:
        """Have something queued; the caller has waited for its turn. Raises OutcomeUnknown besides."""
        return await self._call(access, name, {}, body, writes=True)

    async def post(self, name: str, access: Access, body: Mapping[str, Any]) -> dict[str, Any]:
        """Set something, in the library's turn: what is set twice is set once."""
        await self.turn(access)
        return await self._call(access, name, {}, body)

    async def ask(self, name: str, access: Access) -> dict[str, Any]:
        """Read from an endpoint for a library that may not be stored yet, and so has no turns."""
        return await self._call(access, name, {})

    async def _call(
        self,
        access: Access,
        name: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        *,
        writes: bool = False,
    ) -> dict[str, Any]:
        """Call an endpoint by its name in `service/config`, and draw the consequences of its answer."""
        service = await self.service.config()
        call = Call(service.urls[name], query, body, writes)
        authorization = f"Bearer {access.token.reveal().decode('ascii')}"
        outcome = "answered"
        try:
            answer = await self._wire.exchange(call, authorization=authorization)
        except Exception as error:
            outcome = str(error) if isinstance(error, ManagedDistributionError) else type(error).__name__
            await self._heed(access, error)
            raise
        finally:
            APPLE_REQUESTS.labels(name, outcome).inc()
        if self._watch is not None:
            await self._watch.look(access, answer, tells_always=name == "clientConfig")
        return answer

    async def _heed(self, access: Access, error: Exception) -> None:
        """Slow the whole library down, for as long as Apple asks on whatever answer; look for new addresses.

        Raises nothing: the answer itself must not be lost, it may be the only proof that nothing was queued.
        """
        if isinstance(error, Moved):
            self.service.forget()
        try:
            if isinstance(error, SlowDown):
                await self._budget.slow_down(access.library_id, error.retry_after_seconds or None)
            elif isinstance(error, Unavailable | AppleRefused | OutcomeUnknown) and error.retry_after_seconds:
                await self._budget.pause(access.library_id, error.retry_after_seconds)
        except Exception:  # noqa: BLE001 - who sent it waits by itself, and the next answer says it again
            _log.exception("apple: a library could not be slowed down", library_id=access.library_id)
