"""Draws the whole service: `mdm-push serve [--role api|worker|all] | migrate | replay`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mdm_push import api, checkin
from mdm_push.apns import Apns, ApnsSettings
from mdm_push.consumer import hears
from mdm_push.handlers.means import Means
from mdm_push.identity import Prover
from mdm_push.schedule import jobs
from mdm_push.settings import MdmPushSettings
from mdm_push.steps import Pusher, PusherSettings
from mdm_push.tables import enrollments
from shared.database import Database
from shared.lifecycle import Background
from shared.program import Program
from shared.service import Service
from shared.vault import Vault


@asynccontextmanager
async def wire(settings: MdmPushSettings, database: Database, vault: Vault) -> AsyncIterator[Service]:
    """Wire one process of the service; at the end the connections to APNs are closed."""
    means = Means(vault, patience=settings.patience, ca_names_devices=settings.device_ca_names_devices)
    prover = Prover(
        settings.device_ca_file.read_bytes(),
        trusted_proxies=settings.trusted_proxies,
        clock=database.clock,
    )
    apns = Apns(
        ApnsSettings(
            host=settings.apns_host,
            port=settings.apns_port,
            trust_ca_file=settings.trust_ca_file,
            deadline_seconds=settings.apns_deadline_seconds,
        ),
        database.clock,
    )
    pusher = Pusher(
        database,
        apns,
        means,
        PusherSettings(lanes=settings.push_lanes, batch=settings.push_batch),
    )
    try:
        yield Service(
            name="mdm-push",
            package="mdm_push",
            description="Telling the device, and hearing what it did.",
            database=database,
            handlers=hears(means),
            asks=None,
            routers=[api.router(database, means), checkin.router(database, prover, means)],
            jobs=jobs(database, keep_commands_days=settings.keep_commands_days),
            open_doors=checkin.DOORS,
            versions=[enrollments.c.version],
            workers=[Background("pusher", pusher.run, progressing=pusher.progressing)],
        )
    finally:
        await apns.close()


PROGRAM = Program("mdm-push", package="mdm_push", settings=MdmPushSettings, wire=wire)


def main() -> int:
    """Run the command line and return the exit code."""
    return PROGRAM.run()
