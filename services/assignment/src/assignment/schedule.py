"""What runs by the clock, beside what runs by the clock in every service: assignments that expire."""

from assignment.handlers.withdrawing import revoke_expired
from shared.database import Database
from shared.schedule import Job

_EVERY_SECONDS = 60.0


def jobs(database: Database) -> list[Job]:
    """Return the jobs of this service."""

    async def expire() -> None:
        while True:
            async with database.transaction() as tx:
                if not await revoke_expired(tx):
                    return

    return [Job("expire assignments", _EVERY_SECONDS, expire)]
