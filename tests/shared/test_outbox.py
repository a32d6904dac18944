from hypothesis import given
from hypothesis import strategies as st

from shared import outbox
from shared.database import Database
from shared.events import Outgoing
from shared.ids import asset_id, new_id
from shared.outbox import bucket_of, pack, unpack
from shared.tables import BUCKETS
from shared.trace import traceparent
from tests.shared.conftest import asked, fetch

ASSET = asset_id("1", "STDQ")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@given(st.lists(st.tuples(st.text(), st.binary())))
def test_headers_come_back_as_they_were_packed(headers: list[tuple[str, bytes]]) -> None:
    assert unpack(pack(headers)) == headers


@given(st.binary())
def test_every_key_has_a_bucket(key: bytes) -> None:
    assert 0 <= bucket_of(key) < BUCKETS


def test_the_bucket_of_a_key_is_the_same_for_ever() -> None:
    """Otherwise two relays of different releases would both send one key."""
    assert [bucket_of(key) for key in (b"", b"a", b"361309726")] == [0, 3, 54]


async def test_an_event_says_what_it_belongs_to(database: Database) -> None:
    correlation, cause = new_id(), new_id()
    reset = traceparent.set(TRACE)
    async with database.transaction() as tx:
        await outbox.append(tx, [Outgoing(asked(ASSET, "S1"), correlation, cause, sequence=7)])
    traceparent.reset(reset)
    [row] = await fetch(database, "SELECT * FROM outbox")
    said = dict(unpack(row["headers"]))
    assert row["topic"] == "assignment.events"
    assert row["key"] == str(ASSET).encode() == said["ce_subject"]
    assert said["ce_correlationid"] == str(correlation).encode()
    assert said["ce_causationid"] == str(cause).encode()
    assert said["ce_sequence"] == b"7"
    assert said["traceparent"] == TRACE.encode()


async def test_events_of_one_call_keep_their_order(database: Database) -> None:
    serials = [f"S{number}" for number in range(200)]
    async with database.transaction() as tx:
        await outbox.append(tx, [Outgoing(asked(ASSET, serial), new_id()) for serial in serials])
    rows = await fetch(database, "SELECT value FROM outbox ORDER BY id")
    assert [serial.encode() in row["value"] for serial, row in zip(serials, rows, strict=True)] == [
        True
    ] * 200
