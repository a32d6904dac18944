"""The client of Apple's App and Book Management API: one method per thing that licensing asks Apple."""

from licensing.apple.guard import Guard
from licensing.apple.libraries import LibraryCalls
from licensing.apple.licenses import LicenseCalls
from licensing.apple.line import Budget, Line
from licensing.apple.people import PeopleCalls
from licensing.apple.service import Service
from licensing.apple.wire import Wire
from licensing.model import Access, Limits
from shared.clock import Clock


class Apple(LibraryCalls, LicenseCalls, PeopleCalls):
    """Apple's service. `base_url` None is Apple itself; an override names the one other host that may be called.

    Without a `guard` nobody hears whom a library belongs to.
    """

    def __init__(
        self, wire: Wire, *, base_url: str | None, budget: Budget, clock: Clock, guard: Guard | None = None
    ) -> None:
        service = Service(wire, base_url=base_url, clock=clock)
        super().__init__(Line(wire, service, budget=budget, clock=clock, guard=guard), clock)

    async def turn(self, access: Access) -> Limits:
        """Wait for the library's turn; return how much a request may hold now."""
        return await self._line.turn(access)

    def forget_limits(self) -> None:
        """Read `service/config` again before the next request: a limit was not what we believed."""
        self._line.service.forget()
