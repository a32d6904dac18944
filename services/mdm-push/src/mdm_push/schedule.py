"""What runs by the clock, on one replica at a time."""

from datetime import timedelta

from mdm_push.handlers.certificates import warn_of_expiry
from mdm_push.handlers.pruning import forget_commands
from shared.database import Database
from shared.schedule import Job

_HOUR = 3600.0


def jobs(database: Database, *, keep_commands_days: int) -> list[Job]:
    """Return this service's jobs."""

    async def warn() -> None:
        async with database.transaction() as tx:
            await warn_of_expiry(tx)

    async def forget() -> None:
        await forget_commands(database, older_than=timedelta(days=keep_commands_days))

    return [Job("warn of certificates", _HOUR, warn), Job("forget commands", _HOUR, forget)]
