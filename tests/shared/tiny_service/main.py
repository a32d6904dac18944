"""The smallest service: it writes down what it is asked for, as a process of its own."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.database import Database
from shared.events.assignment import AssignmentRequested
from shared.program import Program
from shared.service import Service
from shared.settings import ServiceSettings
from shared.vault import Vault
from tests.shared.conftest import write_down


@asynccontextmanager
async def wire(_settings: ServiceSettings, database: Database, _vault: Vault) -> AsyncIterator[Service]:
    """Wire it."""
    yield Service(
        name="tiny",
        package="tests.shared.tiny_service",
        description="Writes down what it is asked for.",
        database=database,
        handlers={AssignmentRequested: write_down},
        asks=None,
        routers=[],
    )


PROGRAM = Program("tiny", package="tests.shared.tiny_service", settings=ServiceSettings, wire=wire)

if __name__ == "__main__":
    sys.exit(PROGRAM.run())
