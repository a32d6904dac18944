"""What the clock asks for, each in transactions of its own."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID

from licensing import work
from licensing.handlers.apple_users import accept_left_behind, retire_leavers, want_users
from licensing.handlers.assets import tell_assets
from licensing.handlers.libraries import check_libraries, tell_expiring
from licensing.handlers.notices import Sealer, read_notifications
from licensing.handlers.reconciling import reconcile_daily
from licensing.handlers.tokens import resubscribe
from licensing.handlers.waitlist import end_quarantine, end_waiting, serve_pool
from licensing.store import differences, intents, libraries, licenses, notifications, pools, waiting
from shared.database import Database, Transaction

_NOTIFICATIONS_KEPT = timedelta(days=7)
_RECONCILIATIONS_KEPT = timedelta(days=30)
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
            for library_id in await libraries.readable(tx):
                await work.want_assets(tx, library_id)

    async def serve_waitlists(self) -> None:
        """Go on serving where a purchase freed more than one transaction serves: one more for each such pool."""
        await self._for_pools(lambda tx: pools.idle_beside_waiters(tx, limit=_POOLS_AT_ONCE), serve_pool)

    async def end_waiting(self) -> None:
        """End the waiting of those who wanted to wait no longer than until now."""
        await self._for_pools(lambda tx: waiting.pools_with_expired(tx, limit=_POOLS_AT_ONCE), end_waiting)

    async def end_quarantine(self) -> None:
        """Give back what was kept for its grace."""
        await self._for_pools(lambda tx: licenses.pools_with_due(tx, limit=_POOLS_AT_ONCE), end_quarantine)

    async def want_users(self) -> None:
        """Have the users read of the libraries in which somebody may have joined."""
        async with self._database.transaction() as tx:
            await want_users(tx)

    async def retire_leavers(self) -> None:
        """Retire the Apple users of people who left and hold nothing that could still come back."""
        await self._in_slices(retire_leavers)

    async def accept_left_behind(self) -> None:
        """Count who joined beside a licence that waits for just that, and let it go on."""
        async with self._database.transaction() as tx:
            await accept_left_behind(tx)

    async def resubscribe(self) -> None:
        """Offer our door again to libraries whose notifications did not reach it."""
        async with self._database.transaction() as tx:
            await resubscribe(tx)

    async def check_libraries(self) -> None:
        """Have every library looked at: whose it is, and whether Apple still calls our door."""
        async with self._database.transaction() as tx:
            await check_libraries(tx)

    async def tell_expiring(self) -> None:
        """Tell of the content tokens that end soon."""
        async with self._database.transaction() as tx:
            await tell_expiring(tx)

    async def forget_licenses(self) -> None:
        """Delete lives that ended long ago, then the proofs that none refers to any more."""
        before = self._database.clock.now() - self._ended_kept
        await self._in_slices(lambda tx: licenses.forget_ended(tx, before, limit=_FORGOTTEN_AT_ONCE))
        await self._in_slices(lambda tx: intents.forget_settled(tx, before, limit=_FORGOTTEN_AT_ONCE))

    async def forget_notifications(self) -> None:
        """Delete old notifications, malformed ones too: they may speak of people who were erased since."""
        before = self._database.clock.now() - _NOTIFICATIONS_KEPT
        await self._in_slices(lambda tx: notifications.forget(tx, before, limit=_FORGOTTEN_AT_ONCE))
        async with self._database.transaction() as tx:
            await notifications.forget_malformed(tx, before)

    async def reconcile(self) -> None:
        """Have every library reconciled."""
        async with self._database.transaction() as tx:
            await reconcile_daily(tx)

    async def forget_reconciliations(self) -> None:
        """Delete what old reconciliations found."""
        before = self._database.clock.now() - _RECONCILIATIONS_KEPT
        await self._in_slices(lambda tx: differences.forget(tx, before, limit=_FORGOTTEN_AT_ONCE))

    async def _for_pools(
        self,
        find: Callable[[Transaction], Awaitable[Sequence[UUID]]],
        one: Callable[[Transaction, UUID], Awaitable[None]],
    ) -> None:
        """Do something for each pool found, each in its transaction."""
        async with self._database.reading() as tx:
            found = await find(tx)
        for pool_id in found:
            async with self._database.transaction() as tx:
                await one(tx, pool_id)

    async def _in_slices(self, one: Callable[[Transaction], Awaitable[int]]) -> None:
        """Repeat a slice, each in its transaction, until it finds nothing to do.

        Never for long, whatever keeps coming in: a stop waits for us, and the clock calls again.
        """
        for _ in range(_MOST_SLICES):
            async with self._database.transaction() as tx:
                if not await one(tx):
                    return
