"""What the clock asks for, each in transactions of its own."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from licensing import work
from licensing.handlers.assets import tell_assets
from licensing.handlers.notices import Sealer, read_notifications
from licensing.handlers.tokens import resubscribe
from licensing.handlers.waitlist import serve_pool
from licensing.store import intents, libraries, licenses, notifications, pools
from shared.database import Database, Transaction

_NOTIFICATIONS_KEPT = timedelta(days=7)
_MOST_SLICES = 20
_FORGOTTEN_AT_ONCE = 5_000
_POOLS_AT_ONCE = 20


class Clockwork:
    """The scheduled jobs of licensing."""

    def __init__(self, database: Database, sealer: Sealer, *, ended_kept: timedelta) -> None:
        self._database = database
        self._sealer = sealer
        self._ended_kept = ended_kept

    async def tell_assets(self) -> None:
        """Tell what changed, each asset once."""
        async with self._database.transaction() as tx:
            await tell_assets(tx)

    async def read_notifications(self) -> None:
        """Read what came in, set by set."""
        await self._in_slices(lambda tx: read_notifications(tx, sealer=self._sealer))

    async def want_assets(self) -> None:
        """Have every library's assets and counts read."""
        async with self._database.transaction() as tx:
            for library_id in await libraries.active(tx):
                await work.want_assets(tx, library_id)

    async def serve_waitlists(self) -> None:
        """Go on serving where a purchase freed more than one transaction serves: one more for each such pool."""
        async with self._database.reading() as tx:
            idle = await pools.idle_beside_waiters(tx, limit=_POOLS_AT_ONCE)
        for pool_id in idle:
            async with self._database.transaction() as tx:
                await serve_pool(tx, pool_id)

    async def resubscribe(self) -> None:
        """Offer our door again to libraries whose notifications did not reach it."""
        async with self._database.transaction() as tx:
            await resubscribe(tx)

    async def forget_licenses(self) -> None:
        """Delete lives that ended long ago, then the proofs that none refers to any more."""
        before = self._database.clock.now() - self._ended_kept
        await self._in_slices(lambda tx: licenses.forget_ended(tx, before, limit=_FORGOTTEN_AT_ONCE))
        await self._in_slices(lambda tx: intents.forget_settled(tx, before, limit=_FORGOTTEN_AT_ONCE))

    async def forget_notifications(self) -> None:
        """Delete old notifications."""
        before = self._database.clock.now() - _NOTIFICATIONS_KEPT
        await self._in_slices(lambda tx: notifications.forget(tx, before, limit=_FORGOTTEN_AT_ONCE))

    async def _in_slices(self, one: Callable[[Transaction], Awaitable[int]]) -> None:
        """Repeat a slice, each in its transaction, until it finds nothing to do.

        Never for long, whatever keeps coming in: a stop waits for us, and the clock calls again.
        """
        for _ in range(_MOST_SLICES):
            async with self._database.transaction() as tx:
                if not await one(tx):
                    return
