"""A release rolls out under load: its migration Job runs while the pods of the former release serve."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import invitation
from shared.events.assignment import UserChanged
from shared.events.licensing import InvitationRequested
from shared.ids import new_id
from shared.migrate import LOCK_TIMEOUT, head_revision
from shared.vault import Vault
from tests.failures.bus import speaking, telling
from tests.failures.grounds import Grounds, Pod, until

PEOPLE = 200
PATIENCE_SECONDS = float(LOCK_TIMEOUT.removesuffix("s"))
NEXT_RELEASE = '''
"""What the next release adds; the code of this one goes on beside it."""

import sqlalchemy as sa
from alembic import op

revision = "next_release"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("invitation", sa.Column("campaign", sa.Text()))
'''


@pytest.fixture
def next_release(tmp_path: Path) -> str:
    """Where Python finds a build of invitation that has one more revision."""
    package = tmp_path / "next" / "invitation"
    shutil.copytree(Path(invitation.__file__).parent, package)
    text = NEXT_RELEASE.format(head=head_revision("invitation"))
    (package / "migrations" / "versions" / "next_release.py").write_text(text)
    return str(package.parent)


async def test_scenario_33_a_migration_runs_while_old_pods_serve_and_nobody_becomes_unready(
    grounds: Grounds, next_release: str
) -> None:
    await grounds.migrate("invitation")
    pods = [await grounds.serve("invitation", role=role) for role in ("api", "worker")]
    async with watched(pods) as seen:
        inviting = asyncio.create_task(invite(grounds))
        async with in_the_way_of_changes(grounds):
            job = asyncio.create_task(grounds.run("invitation", "migrate", PYTHONPATH=next_release))
            await until(lambda: waiting(grounds), lambda count: count > 0, seconds=30)
            await asyncio.sleep(PATIENCE_SECONDS + 0.5)  # the change has given way by now, to try again
            assert not job.done()
        await job
        await inviting
        await until(lambda: sent(grounds), lambda count: count == PEOPLE, seconds=30)
    assert len(seen) > 20
    assert all(seen)
    assert [pod.child.exit_code for pod in pods] == [None, None]
    assert await grounds.fetch("invitation", "SELECT version_num FROM alembic_version") == [("next_release",)]
    assert (await grounds.serve("invitation", PYTHONPATH=next_release)).child.exit_code is None
    assert grounds.errors() == []


async def invite(grounds: Grounds) -> None:
    """Invite people one after the other, for as long as the migration may take."""
    vault = Vault.load(Path(grounds.places["invitation"].environment["VAULT_KEYS_FILE"]))
    async with speaking(grounds.kafka) as speaker:
        for _ in range(PEOPLE):
            person = UserChanged(user_id=new_id(), state="active", mail_address="zoe@school.example")
            event_id = new_id()
            sealed_link = vault.seal_for_bus(
                b"https://example.org/invitation",
                topic=InvitationRequested.topic.name,
                event_id=event_id,
                field="sealed_link",
            )
            request = InvitationRequested(
                user_id=person.user_id, library_id="library", sealed_link=sealed_link
            )
            await speaker.tell(telling(person, sequence=1), telling(request, sequence=1, event_id=event_id))
            await asyncio.sleep(0.04)


@asynccontextmanager
async def in_the_way_of_changes(grounds: Grounds) -> AsyncIterator[None]:
    """Hold the table as somebody's long report would: reads and writes go on, a change of it must wait."""
    connection = await grounds.connect("invitation")
    try:
        async with connection.transaction():
            await connection.fetch("SELECT count(*) FROM invitation")
            yield
    finally:
        await connection.close()


async def waiting(grounds: Grounds) -> int:
    """Return how many changes of a table wait for their lock."""
    rows = await grounds.fetch(
        "invitation",
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'invitation'::regclass"
        " AND mode = 'AccessExclusiveLock'",
    )
    return int(rows[0][0])


async def sent(grounds: Grounds) -> int:
    """Return how many invitations were sent."""
    rows = await grounds.fetch("invitation", "SELECT count(*) FROM invitation WHERE state = 'sent'")
    return int(rows[0][0])


@asynccontextmanager
async def watched(pods: Sequence[Pod]) -> AsyncIterator[list[bool]]:
    """Probe the readiness of pods all the while, and give the answers."""
    seen: list[bool] = []

    async def watch() -> None:
        while True:
            seen.extend([await pod.ready() for pod in pods])
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        watching.cancel()
        await asyncio.wait({watching})
