from datetime import timedelta

from shared import inbox
from shared.database import Database
from shared.ids import new_ids
from shared.topics import TOPICS
from tests.shared.conftest import fetch


async def test_an_event_is_claimed_once_by_each_consumer(database: Database) -> None:
    first, second = new_ids(2)
    async with database.transaction() as tx:
        assert await inbox.claim(tx, "licensing", [first, first]) == {first}
        assert await inbox.claim(tx, "licensing", [first, second]) == {second}
        assert await inbox.claim(tx, "assignment", [first]) == {first}
        assert await inbox.claim(tx, "licensing", []) == set()


async def test_claims_are_forgotten_in_slices_when_no_record_can_come_again(database: Database) -> None:
    old, young = new_ids(7), new_ids(3)
    async with database.transaction() as tx:
        await inbox.claim(tx, "licensing", [*old, *young])
        await tx.raw.execute(
            "UPDATE inbox SET claimed_at = $1 WHERE event_id = ANY ($2::uuid[])", tx.now - inbox.KEPT, old
        )
    assert await inbox.prune(database, slice_size=3) == 7
    assert {row["event_id"] for row in await fetch(database, "SELECT event_id FROM inbox")} == set(young)


def test_claims_outlive_every_record() -> None:
    longest = max(timedelta(milliseconds=topic.retention_ms) for topic in TOPICS if not topic.compacted)
    assert 2 * longest < inbox.KEPT
