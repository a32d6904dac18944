"""Forgetting what nobody asks for any more, so that queues stay as fast as they began."""

from datetime import timedelta

from mdm_push.store import commands
from shared.database import Database

_SLICE = 5000


async def forget_commands(database: Database, *, older_than: timedelta) -> int:
    """Delete commands that ended this long ago, in slices of their own transactions; return how many."""
    total = 0
    while True:
        async with database.transaction() as tx:
            count = await commands.forget_finished(tx, before=tx.now - older_than, limit=_SLICE)
        total += count
        if count < _SLICE:
            return total
