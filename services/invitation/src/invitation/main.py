"""Draws the whole service: `invitation serve [--role api|worker|all] | migrate | replay`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from invitation import api
from invitation.consumer import hears
from invitation.settings import InvitationSettings
from invitation.smtp import MailRelay
from invitation.steps import Letters, steps
from shared.database import Database
from shared.program import Program
from shared.service import Service
from shared.trust import tls_context
from shared.vault import Vault
from shared.worker import WorkerSettings

_LONGEST_RETRY_SECONDS = 3600.0


@asynccontextmanager
async def wire(settings: InvitationSettings, database: Database, vault: Vault) -> AsyncIterator[Service]:
    """Wire one process of the service; at the end the mail relay is taken leave of."""
    mail = MailRelay(
        settings.relay,
        sender=settings.mail_from,
        tls=tls_context(settings.trust_ca_file),
        clock=database.clock,
        connections=settings.smtp_connections,
        deadline_seconds=settings.smtp_deadline_seconds,
    )
    try:
        yield Service(
            name="invitation",
            package="invitation",
            description="Asking a person to join, and knowing when they did.",
            database=database,
            handlers=hears(vault),
            asks=None,
            routers=[api.router(database)],
            steps=steps(Letters(database, vault, mail, settings.sender)),
            worker=WorkerSettings(
                first_retry_seconds=settings.letter_retry_seconds,
                longest_retry_seconds=_LONGEST_RETRY_SECONDS,
            ),
        )
    finally:
        await mail.close()


PROGRAM = Program("invitation", package="invitation", settings=InvitationSettings, wire=wire)


def main() -> int:
    """Run the command line and return the exit code."""
    return PROGRAM.run()
