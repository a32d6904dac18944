"""A small service to try the bus rooms on: it writes down what it heard, and answers each event with one."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from local.broker import EmbeddedBroker
from shared import outbox
from shared.database import Database, Transaction
from shared.events import Heard, Outgoing, Principal
from shared.events.assignment import AssignmentRequested
from shared.events.licensing import LicenseAssigned
from shared.events.words import AssetKind, AssignmentMode, InstallMode
from shared.ids import new_id
from shared.kafka import KafkaConnection
from shared.locks import Rung
from shared.tables import bus_tables
from tests.conftest import NewDatabase

METADATA = sa.MetaData()
bus_tables(METADATA)
HEARD = sa.Table(
    "heard",
    METADATA,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("entitlement_id", sa.Uuid, nullable=False),
    sa.Column("event_id", sa.Uuid, nullable=False),
    sa.Column("serial_number", sa.Text, nullable=False),
)


@pytest.fixture
async def database(new_database: NewDatabase) -> AsyncIterator[Database]:
    """A database with the bus tables and the little service's own."""
    database = Database(await new_database("bus"))
    async with database.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    yield database
    await database.close()


@pytest.fixture
async def mortal() -> AsyncIterator[EmbeddedBroker]:
    """A broker that may be taken down: one node, so that it coordinates every group and leads every partition."""
    broker = EmbeddedBroker(brokers=1)
    await broker.start()
    yield broker
    await broker.stop()


@pytest.fixture
def mortal_kafka(mortal: EmbeddedBroker) -> KafkaConnection:
    """The way to the broker that may be taken down."""
    return KafkaConnection(mortal.bootstrap_servers, keeps_log=False, request_seconds=5)


def asked(asset: UUID, *serials: str, entitlements: Sequence[UUID] = ()) -> AssignmentRequested:
    """Return a request for these serial numbers."""
    ids = entitlements or [new_id() for _ in serials]
    return AssignmentRequested(
        asset_id=asset,
        kind=AssetKind.VPP_APP,
        assignment_mode=AssignmentMode.DEVICE,
        install_mode=InstallMode.AUTOMATIC,
        targets=tuple(
            Principal(entitlement_id=entitlement, serial_number=serial)
            for entitlement, serial in zip(ids, serials, strict=True)
        ),
    )


async def write_down(tx: Transaction, events: Sequence[Heard[AssignmentRequested]]) -> None:
    """Handle requests: note each target, then answer; a serial number that begins with BAD cannot be noted."""
    tx.reach(Rung.TARGETS)
    targets = [(heard.envelope.event_id, target) for heard in events for target in heard.event.targets]
    if any((target.serial_number or "").startswith("BAD") for _, target in targets):
        raise ValueError("this serial number cannot be written down")
    await tx.raw.execute(
        "INSERT INTO heard (entitlement_id, event_id, serial_number)"
        " SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[])",
        [target.entitlement_id for _, target in targets],
        [event_id for event_id, _ in targets],
        [target.serial_number for _, target in targets],
    )
    await outbox.append(tx, [answer(heard) for heard in events])


def answer(heard: Heard[AssignmentRequested]) -> Outgoing:
    """Return the answer to a request."""
    event = LicenseAssigned(asset_id=heard.event.asset_id, library_id="library", targets=heard.event.targets)
    return Outgoing(event, heard.envelope.correlation_id, heard.envelope.event_id)


async def serials_heard(database: Database) -> list[str]:
    """Return the serial numbers noted, in order."""
    return [
        row["serial_number"] for row in await fetch(database, "SELECT serial_number FROM heard ORDER BY id")
    ]


async def fetch(database: Database, statement: str, *values: Any) -> list[Any]:
    """Run one query."""
    async with database.transaction() as tx:
        rows: list[Any] = await tx.raw.fetch(statement, *values)
    return rows
