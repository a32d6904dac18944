"""What runs by the clock, beside what does in every service.

Assignments expire, what ended is forgotten, people are told again.
"""

from datetime import timedelta

from assignment.handlers.forgetting import forget_ended
from assignment.handlers.people import tell_again
from assignment.handlers.withdrawing import revoke_expired
from shared.database import Database
from shared.schedule import Job

_MINUTE = 60.0
_DAY = 86_400.0


def jobs(database: Database, *, keep_ended_days: int) -> list[Job]:
    """Return the jobs of this service."""

    async def expire() -> None:
        while True:
            async with database.transaction() as tx:
                if not await revoke_expired(tx):
                    return

    async def forget() -> None:
        await forget_ended(database, older_than=timedelta(days=keep_ended_days))

    async def retell() -> None:
        async with database.transaction() as tx:
            await tell_again(tx)

    return [
        Job("expire assignments", _MINUTE, expire),
        Job("forget what ended", _DAY, forget),
        Job("tell people again", _MINUTE, retell),
    ]
