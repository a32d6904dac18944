"""Draws the whole service: `licensing serve [--role api|worker|all] | migrate | replay`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from licensing.api import DOORS, router
from licensing.apple import Apple, Wire, http_client
from licensing.consumer import hears
from licensing.handlers import Clockwork, ask_again, make_due, show_drift
from licensing.schedule import jobs
from licensing.settings import LicensingSettings
from licensing.steps import Desk, steps
from licensing.store.budget import RequestBudget
from licensing.tables import apple_user, asset
from licensing.takeover import TakeoverGuard
from shared.asks import Asks
from shared.database import Database
from shared.lifecycle import Background
from shared.program import Program
from shared.schedule import repeat
from shared.service import Service
from shared.vault import Vault

_DRIFT_SECONDS = 15.0


@asynccontextmanager
async def wire(settings: LicensingSettings, database: Database, vault: Vault) -> AsyncIterator[Service]:
    """Wire one process of the service; at the end the connections to Apple are closed."""
    async with Wire(
        lambda: http_client(settings.trust_ca_file), deadline_seconds=settings.apple_deadline_seconds
    ) as to_apple:
        apple = Apple(
            to_apple,
            base_url=settings.apple_base_url,
            budget=RequestBudget(database),
            clock=database.clock,
            guard=TakeoverGuard(database),
        )
        yield Service(
            name="licensing",
            package="licensing",
            description="How many licences are left, and Apple's word on it.",
            database=database,
            handlers=hears(vault),
            asks=Asks(database, ask_again=ask_again, make_due=make_due),
            routers=[router(database, apple, vault)],
            steps=steps(Desk(database, vault, settings.pace), apple, settings.claims),
            jobs=jobs(
                Clockwork(database, vault, ended_kept=settings.ended_kept),
                assets_seconds=settings.assets_seconds,
                notifications_seconds=settings.notifications_seconds,
            ),
            open_doors=DOORS,
            workers=[
                Background("drift", lambda stop: repeat(stop, _DRIFT_SECONDS, lambda: show_drift(database)))
            ],
            versions=[asset.c.version, apple_user.c.version],
            worker=settings.worker,
        )


PROGRAM = Program("licensing", package="licensing", settings=LicensingSettings, wire=wire)


def main() -> int:
    """Run the command line and return the exit code."""
    return PROGRAM.run()
