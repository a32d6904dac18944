"""Keeps what nobody but this process knows, also when the database is away for a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import structlog

from shared.database import Database, Transaction, unavailable
from shared.retry import Backoff

_log = structlog.get_logger(__name__)

_TRIES = 8


async def keep(database: Database, write: Callable[[Transaction], Awaitable[None]]) -> None:
    """Run `write` in a transaction of its own, again and again for some ten seconds until the database takes it.

    It must do no harm twice: what was committed and not confirmed is written again. Raises what stays in the way.
    """
    wait = Backoff(first=0.1, most=5.0)
    for attempt in count(1):
        try:
            async with database.transaction() as tx:
                await write(tx)
        except Exception as error:
            if attempt == _TRIES or not unavailable(error):
                raise
            _log.warning("apple: what it said could not be stored yet", cause=type(error).__name__)
            await asyncio.sleep(wait.next())
        else:
            return
