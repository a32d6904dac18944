"""What nobody but this process knows, as the id of Apple's event, outlasts a moment without the database."""

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest

from licensing.steps.keep import keep
from licensing.store import intents, user_writes
from shared.database import Database, Transaction
from shared.errors import Unavailable
from shared.ids import new_id
from shared.retry import Backoff
from tests.licensing.crowd import Crowd
from tests.licensing.office import AppleAdmin, Office
from tests.licensing.situation import wishes

Meanwhile = Callable[[Transaction], Awaitable[None]]


async def associate(school: Office, _admin: AppleAdmin) -> None:
    await school.request(*wishes(3))
    await school.work("intent")


async def create(school: Office, admin: AppleAdmin) -> None:
    crowd, people = Crowd(school, admin), [new_id(), new_id()]
    await crowd.tell(*people)
    await crowd.invite(*people)
    await school.work("want_apple_users", "write_users")


Asking = tuple[ModuleType, Callable[[Office, AppleAdmin], Awaitable[None]]]
of_each_kind = pytest.mark.parametrize(
    "asking", [(intents, associate), (user_writes, create)], ids=["devices", "people"]
)


async def is_followed(
    school: Office, admin: AppleAdmin, patch: pytest.MonkeyPatch, asking: Asking, *, meanwhile: Meanwhile
) -> bool:
    """Ask Apple for something; say whether the id of its event is stored, whatever happens while it is."""
    store, ask = asking
    honest = store.follow

    async def follow(tx: Transaction, *said: Any) -> None:
        await honest(tx, *said)
        await meanwhile(tx)

    patch.setattr(store, "follow", follow)
    await ask(school, admin)
    (event_id,) = admin.simulator.world.events
    stored = await school.rows("SELECT event_id FROM intent UNION ALL SELECT event_id FROM user_write")
    return stored == [(event_id,)]


@of_each_kind
async def test_a_moment_without_the_database_loses_no_event(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch, asking: Asking
) -> None:
    failures = 2

    async def lose_connection(tx: Transaction) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            await tx.raw.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    assert await is_followed(school, admin, monkeypatch, asking, meanwhile=lose_connection)
    assert failures == 0


@of_each_kind
async def test_a_lease_that_was_lost_meanwhile_loses_no_event(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch, asking: Asking
) -> None:
    async def lose_lease(_tx: Transaction) -> None:
        async with school.database.transaction() as other:
            await other.raw.execute("UPDATE work SET lease = gen_random_uuid()")

    assert await is_followed(school, admin, monkeypatch, asking, meanwhile=lose_lease)


@pytest.mark.parametrize(("error", "tries"), [(Unavailable("away"), 8), (ValueError("a fault of ours"), 1)])
async def test_what_does_not_pass_is_raised(
    database: Database, monkeypatch: pytest.MonkeyPatch, error: Exception, tries: int
) -> None:
    monkeypatch.setattr("licensing.steps.keep.Backoff", lambda **_: Backoff(first=0.001, most=0.001))
    tried = 0

    async def write(_tx: Transaction) -> None:
        nonlocal tried
        tried += 1
        raise error

    with pytest.raises(type(error)):
        await keep(database, write)
    assert tried == tries
