"""What the clock asks for, each in transactions of its own."""

from datetime import timedelta

from licensing import work
from licensing.handlers.assets import tell_assets
from licensing.handlers.notices import Sealer, read_notifications
from licensing.handlers.tokens import resubscribe
from licensing.handlers.waitlist import serve_pool
from licensing.store import libraries, notifications, pools
from shared.database import Database

_NOTIFICATIONS_KEPT = timedelta(days=7)


class Clockwork:
    """The scheduled jobs of licensing."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def tell_assets(self) -> None:
        """Tell what changed, each asset once."""
        async with self._database.transaction() as tx:
            await tell_assets(tx)

    async def read_notifications(self) -> None:
        """Read what came in, set by set."""
        read = 1
        while read:
            async with self._database.transaction() as tx:
                read = await read_notifications(tx, sealer=self._sealer)

    async def want_assets(self) -> None:
        """Have every library's assets and counts read."""
        async with self._database.transaction() as tx:
            for library_id in await libraries.active(tx):
                await work.want_assets(tx, library_id)

    async def serve_waitlists(self) -> None:
        """Go on serving where a purchase freed more than one transaction serves."""
        while True:
            async with self._database.reading() as tx:
                idle = await pools.idle_beside_waiters(tx)
            if not idle:
                return
            for pool_id in idle:
                async with self._database.transaction() as tx:
                    await serve_pool(tx, pool_id)

    async def resubscribe(self) -> None:
        """Offer our door again to libraries whose notifications did not reach it."""
        async with self._database.transaction() as tx:
            await resubscribe(tx)

    async def forget_notifications(self) -> None:
        """Delete old notifications."""
        async with self._database.transaction() as tx:
            await notifications.forget(tx, tx.now - _NOTIFICATIONS_KEPT)
