"""What was parked, over HTTP: seen with its cause but without its content, replayed, discarded."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import httpx2
import pytest

from shared.auth import Verifier
from shared.batches import Received, receive, to_batches
from shared.clock import TurnedClock
from shared.database import Database, Transaction
from shared.dead_letters import dead_letters_router
from shared.events import Heard
from shared.events.assignment import AssignmentRequested
from shared.handling import Handling
from shared.ids import asset_id, new_id, new_ids
from shared.parking import Parking
from shared.replay import Replay
from shared.web import Health, build_app
from tests.shared.conftest import asked, fetch, serials_heard, write_down
from tests.shared.issuers import AUDIENCE, NOW, Issuer, serve_issuer
from tests.shared.records import record_of

ASSET = asset_id("1", "STDQ")
PATH = "/v1/dead-letters"


@pytest.fixture(scope="module")
async def issuer(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Issuer, httpx2.AsyncClient]]:
    async with serve_issuer(tmp_path_factory.mktemp("issuer")) as served:
        yield served


@pytest.fixture
async def http(
    database: Database, issuer: tuple[Issuer, httpx2.AsyncClient]
) -> AsyncIterator[httpx2.AsyncClient]:
    """A caller with the scope, at the door of a service."""
    signs, keys = issuer

    async def ready() -> Sequence[str]:
        return ()

    app = build_app(
        title="licensing",
        description="",
        verifier=Verifier(
            {signs.url: f"{signs.url}/keys"}, audience=AUDIENCE, http=keys, clock=TurnedClock(NOW)
        ),
        health=Health(stuck=tuple, unready=ready),
        routers=[dead_letters_router(database)],
    )
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {signs.token(scope='ops:replay')}"}
    async with httpx2.AsyncClient(
        transport=transport, base_url="http://licensing", headers=headers
    ) as client:
        yield client


@pytest.fixture
def handling(database: Database) -> Handling:
    return Handling(database, {AssignmentRequested: write_down}, Parking("licensing", "licensing"))


async def hear(handling: Handling, *records: Received) -> int:
    """Let the bus hear records one by one; return how many it parked for their own fault."""
    batches = to_batches(records, handling.handlers, most_events=1, most_targets=1)
    return sum([await handling.do(batch) for batch in batches])


async def park(handling: Handling, *serials: str, entitlement: UUID | None = None) -> None:
    """Let the bus hear one event for each serial number, all about one entitlement where it is given."""
    await hear(
        handling,
        *(record_of(asked(ASSET, serial, entitlements=[entitlement or new_id()])) for serial in serials),
    )


async def test_a_dead_letter_shows_its_cause_and_not_its_content(
    http: httpx2.AsyncClient, handling: Handling
) -> None:
    await park(handling, "BAD1")
    [item] = (await http.get(PATH)).json()["items"]
    assert item["reason"] == "handler_failed"
    assert item["detail"] == "ValueError"
    assert item["event_type"] == "AssignmentRequested"
    assert item["topic"] == "assignment.events"
    assert item["key"] == str(ASSET)
    assert item["attempts"] == 1
    assert len(item["entitlement_ids"]) == 1
    assert {"value", "headers", "sealed"}.isdisjoint(item)
    assert (await http.get(f"{PATH}/{item['id']}")).json() == item


@pytest.mark.parametrize("query", ["reason=%00", "event_type=a%00b", "cursor=WyJcdTAwMDAiXQ"])
async def test_a_text_that_the_database_cannot_hold_is_422(http: httpx2.AsyncClient, query: str) -> None:
    answer = await http.get(f"{PATH}?{query}")
    assert (answer.status_code, answer.json()["type"]) == (422, "invalid")


async def test_an_unreadable_record_that_was_discarded_and_comes_again_stays_discarded(
    http: httpx2.AsyncClient, handling: Handling
) -> None:
    record = record_of(asked(ASSET, "S1"), value=b"{")
    await hear(handling, record)
    [item] = (await http.get(PATH)).json()["items"]
    assert (await http.delete(f"{PATH}/{item['id']}")).status_code == 204
    await hear(handling, record)
    assert (await http.get(PATH)).json()["items"] == []


async def test_dead_letters_come_in_pages_and_by_cause(http: httpx2.AsyncClient, handling: Handling) -> None:
    await park(handling, *(f"BAD{number}" for number in range(5)))
    await hear(handling, record_of(asked(ASSET, "S1"), value=b"{"))
    first = (await http.get(PATH, params={"limit": 4})).json()
    second = (await http.get(PATH, params={"limit": 4, "cursor": first["next_cursor"]})).json()
    reasons = [item["reason"] for page in (first, second) for item in page["items"]]
    assert reasons == ["handler_failed"] * 5 + ["unreadable"]
    assert second["next_cursor"] is None
    unreadable = (await http.get(PATH, params={"reason": "unreadable"})).json()["items"]
    assert [item["reason"] for item in unreadable] == ["unreadable"]
    assert (await http.get(PATH, params={"event_type": "LicenseAssigned"})).json()["items"] == []


async def test_a_key_that_is_no_text_is_shown_as_well_as_it_can_be(
    http: httpx2.AsyncClient, handling: Handling
) -> None:
    place = record_of(asked(ASSET)).place
    stranger = receive(place, key=b"\xff\x00k", headers=[], value=b"")
    await hear(handling, stranger)
    [item] = (await http.get(PATH)).json()["items"]
    assert item["key"].endswith("k")


async def test_a_replay_is_asked_for_and_a_worker_does_it(
    http: httpx2.AsyncClient, handling: Handling, database: Database
) -> None:
    await park(handling, "BAD1", "S2", entitlement=new_id())
    letters = (await http.get(PATH)).json()["items"]
    assert [item["reason"] for item in letters] == ["handler_failed", "follows"]
    answer = await http.post(f"{PATH}/{letters[0]['id']}/replay")
    assert answer.status_code == 202
    assert answer.json()["replay_asked_at"] is not None

    async def mended(tx: Transaction, events: Sequence[Heard[Any]]) -> None:
        del events
        await tx.raw.execute("INSERT INTO heard VALUES (DEFAULT, $1, $1, 'OK')", new_id())

    good = Handling(database, {AssignmentRequested: mended}, handling.parking)
    assert await Replay(database, good).replay_asked() == 2
    assert await serials_heard(database) == ["OK", "OK"]
    assert (await http.get(PATH)).json() == {"items": [], "next_cursor": None}


async def test_a_discarded_letter_is_gone_for_good_and_holds_up_nobody(
    http: httpx2.AsyncClient, handling: Handling, database: Database
) -> None:
    [mine] = new_ids(1)
    bad = record_of(asked(ASSET, "BAD1", entitlements=[mine]))
    await hear(handling, bad)
    await park(handling, "S2", entitlement=mine)
    [letter, _] = (await http.get(PATH)).json()["items"]
    assert (await http.delete(f"{PATH}/{letter['id']}")).status_code == 204
    assert (await http.delete(f"{PATH}/{letter['id']}")).status_code == 404
    await Replay(database, handling).replay_asked()
    assert await serials_heard(database) == ["S2"]
    assert await hear(handling, bad) == 0  # delivered once more, as Kafka may
    assert await fetch(database, "SELECT id FROM parked") == []


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/replay"), ("DELETE", "")])
async def test_an_unknown_letter_is_not_found(http: httpx2.AsyncClient, method: str, path: str) -> None:
    answer = await http.request(method, f"{PATH}/{new_id()}{path}")
    assert (answer.status_code, answer.json()["type"]) == (404, "unknown_dead_letter")


async def test_letters_ask_for_the_scope_of_who_runs_the_system(
    http: httpx2.AsyncClient, issuer: tuple[Issuer, httpx2.AsyncClient]
) -> None:
    token = issuer[0].token(scope="licenses:admin")
    headers = {"authorization": f"Bearer {token}"}
    assert (await http.get(PATH, headers=headers)).status_code == 403
    assert (await http.post(f"{PATH}/{new_id()}/replay", headers=headers)).status_code == 403
