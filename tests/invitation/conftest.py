"""A database of the service, its keys, and the events that others publish, as it hears them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest

from invitation import consumer
from invitation.tables import METADATA
from shared.database import Database
from shared.events import Envelope, Event, Heard
from shared.events.assignment import UserChanged, UserDeleted
from shared.events.licensing import AppleUserAssociated, AppleUserRetired, InvitationRequested
from shared.ids import new_id
from shared.migrate import migrate
from shared.outbox import unpack
from shared.vault import Vault
from tests.conftest import NewDatabase
from tests.contracts.golden import golden_of

LIBRARY: str = golden_of(InvitationRequested).value["library_id"]
LINK = "https://buy.itunes.apple.com/WebObjects/MZFinance.woa/wa/associateVPPUserWithITSAccount?inviteCode=c0ffee&mt=8"

E = TypeVar("E", bound=Event)


@pytest.fixture(scope="session")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    """Fresh keys for both rings."""
    path: Path = tmp_path_factory.mktemp("vault") / "keys.json"
    path.write_text(Vault.generate())
    return Vault.load(path)


@pytest.fixture(scope="session")
async def migrated_url(new_database: NewDatabase) -> str:
    """One database for the session: making one takes longer than most tests."""
    url = await new_database("invitation")
    await migrate(url, package="invitation")
    return url


@pytest.fixture
async def database(migrated_url: str) -> AsyncIterator[Database]:
    """The session's database, emptied."""
    database = Database(migrated_url)
    async with database.transaction() as tx:
        tables = reversed(METADATA.sorted_tables)
        await tx.raw.execute(";".join(f"DELETE FROM {table.name}" for table in tables))
    yield database
    await database.close()


class Bus:
    """Brings events to the handlers, as the bus does, and reads what they appended to the outbox."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self.database = database
        self.vault = vault
        self._handlers = consumer.hears(vault)

    async def hear(self, *heard: Heard[Any]) -> None:
        """Handle events of one type as one batch, in one transaction."""
        async with self.database.transaction() as tx:
            await self._handlers[type(heard[0].event)](tx, heard)

    async def statements_for(self, *heard: Heard[Any]) -> int:
        """Handle events as `hear` does; return how many statements it took."""
        said: list[object] = []
        async with self.database.transaction() as tx:
            tx.raw.add_query_logger(said.append)
            try:
                await self._handlers[type(heard[0].event)](tx, heard)
            finally:
                tx.raw.remove_query_logger(said.append)
        return len(said)

    async def told(self) -> list[str]:
        """Return the types of the events told so far, in order."""
        rows = await self.fetch("SELECT headers FROM outbox ORDER BY id")
        return [_type_in(row["headers"]) for row in rows]

    async def fetch(self, statement: str, *values: object) -> list[Any]:
        """Run one query."""
        async with self.database.transaction() as tx:
            rows: list[Any] = await tx.raw.fetch(statement, *values)
        return rows

    async def states(self) -> list[str]:
        """Return the states of all invitations, oldest first."""
        return [row["state"] for row in await self.fetch("SELECT state FROM invitation ORDER BY id")]

    def requested(self, user_id: UUID, **said: Any) -> Heard[InvitationRequested]:
        """Return InvitationRequested, sealed with the keys of these tests."""
        return requested(self.vault, user_id, **said)


@pytest.fixture
def bus(database: Database, vault: Vault) -> Bus:
    """The way events come in."""
    return Bus(database, vault)


def heard(event: E, sequence: int | None, *, event_id: UUID | None = None) -> Heard[E]:
    """Return an event as a handler gets it."""
    envelope = Envelope(
        event_id=event_id or new_id(),
        source=event.topic.owner,
        type=type(event).__name__,
        version=event.version,
        time=datetime.now(UTC),
        subject=event.subject(),
        correlation_id=new_id(),
        sequence=sequence,
    )
    return Heard(envelope, event)


def requested(
    vault: Vault, user_id: UUID, *, version: int = 1, link: str = LINK, **said: Any
) -> Heard[InvitationRequested]:
    """Return InvitationRequested as its golden file has it, about this person and with a link sealed to it."""
    event_id = new_id()
    topic = InvitationRequested.topic.name
    sealed = vault.seal_for_bus(link.encode(), topic=topic, event_id=event_id, field="sealed_link")
    told = {"person_version": None, **said, "user_id": user_id, "sealed_link": sealed}
    event = InvitationRequested.model_validate({**golden_of(InvitationRequested).value, **told})
    return heard(event, version, event_id=event_id)


def changed(user_id: UUID, version: int = 1, **said: Any) -> Heard[UserChanged]:
    """Return UserChanged as its golden file has it (Zoë, who reads French), about this person."""
    told = {"managed_apple_id": None, **said, "user_id": user_id}
    return heard(UserChanged.model_validate({**golden_of(UserChanged).value, **told}), version)


def deleted(user_id: UUID, version: int) -> Heard[UserDeleted]:
    """Return UserDeleted."""
    return heard(UserDeleted(user_id=user_id), version)


def associated(user_id: UUID, version: int = 2) -> Heard[AppleUserAssociated]:
    """Return AppleUserAssociated."""
    return heard(AppleUserAssociated(user_id=user_id, library_id=LIBRARY), version)


def retired(user_id: UUID, version: int = 2) -> Heard[AppleUserRetired]:
    """Return AppleUserRetired."""
    return heard(AppleUserRetired(user_id=user_id, library_id=LIBRARY), version)


def _type_in(headers: bytes) -> str:
    return dict(unpack(headers))["ce_type"].decode()
