"""Draws the whole service: `assignment serve [--role api|worker|all] | migrate | replay`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from assignment import api
from assignment.consumer import hears
from assignment.handlers.asks import ask_again, make_due
from assignment.handlers.facts import Patience
from assignment.schedule import jobs
from assignment.settings import AssignmentSettings
from assignment.steps import steps
from assignment.tables import entitlements, users
from shared.asks import Asks
from shared.database import Database
from shared.program import Program
from shared.service import Service
from shared.vault import Vault


@asynccontextmanager
async def wire(settings: AssignmentSettings, database: Database, _: Vault) -> AsyncIterator[Service]:
    """Wire one process of the service."""
    patience = Patience(
        lives=settings.lives_in_a_row,
        installs=settings.install_attempts,
        retry_seconds=settings.install_retry_seconds,
    )
    yield Service(
        name="assignment",
        package="assignment",
        description="Who gets what, and how: the decisions, and the thread of each assignment.",
        database=database,
        handlers=hears(patience),
        asks=Asks(database, ask_again=ask_again, make_due=make_due),
        routers=[api.router(database, max_targets=settings.max_targets)],
        steps=steps(database),
        jobs=jobs(database, keep_ended_days=settings.keep_ended_days),
        versions=[users.c.version, entitlements.c.version],
    )


PROGRAM = Program("assignment", package="assignment", settings=AssignmentSettings, wire=wire)


def main() -> int:
    """Run the command line and return the exit code."""
    return PROGRAM.run()
