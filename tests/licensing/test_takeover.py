"""Two services on one library: whoever finds another's claim stops writing, and only a person lets it go on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from licensing.apple import Apple, Wire, http_client
from licensing.handlers import Upload, install_token
from licensing.model import Access, MdmIdentity
from licensing.store.budget import RequestBudget
from licensing.tables import metadata
from licensing.takeover import TakeoverGuard, is_ours
from local.simulators.apple import AppleSimulator
from shared.clock import SystemClock, TurnedClock
from shared.database import Database
from shared.events.licensing import ContentTokenResumed, ContentTokenSuspended
from shared.ids import new_id
from shared.vault import Secret, Vault
from tests.conftest import NewDatabase
from tests.licensing.conftest import Call
from tests.licensing.office import AppleAdmin, Office
from tests.licensing.situation import NOON, Situation, wish, wishes

ASSOCIATE = "POST assets/associate"
CLAIM = "POST client/config"
THEIRS = {"id": "theirs", "name": "Other MDM", "metadata": "https://other.example"}


def claim_elsewhere(admin: AppleAdmin, library_id: str, *, mdm_info: dict[str, str] | None = THEIRS) -> None:
    """Let another service overwrite our claim, or take it away."""
    admin.simulator.world.libraries[library_id].mdm_info = mdm_info and dict(mdm_info)


def our_claim(admin: AppleAdmin, library_id: str) -> dict[str, str]:
    mdm_info = admin.simulator.world.libraries[library_id].mdm_info
    assert mdm_info is not None
    return mdm_info


async def shown(call: Call, library_id: str) -> Any:
    return (await call("GET", f"/v1/libraries/{library_id}")).json()


async def take_over(call: Call, library_id: str) -> Any:
    return await call("POST", f"/v1/libraries/{library_id}/takeover")


async def told(office: Office) -> list[str]:
    """Return what was told of the library: the cause of each suspension, and `resumed`."""
    return [
        event.cause if isinstance(event, ContentTokenSuspended) else "resumed"
        for _, event in await office.told()
        if isinstance(event, ContentTokenSuspended | ContentTokenResumed)
    ]


@pytest.fixture
async def fenced(school: Office, admin: AppleAdmin) -> Office:
    """A school whose library another service has just taken."""
    claim_elsewhere(admin, await school.library())
    await school.want_assets()
    await school.work()
    assert await told(school) == ["library_taken_over"]
    return school


async def test_a_foreign_claim_in_any_answer_stops_all_writes_and_is_named(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id = await school.library()
    await school.request(wish("SENT"))
    await school.work()
    claim_elsewhere(admin, library_id)
    await admin.settled()
    await school.request(wish("LATER"))
    await school.pass_time(30)

    library = await shown(call, library_id)
    assert (library["state"], library["cause"]) == ("fenced", "library_taken_over")
    assert library["other_service"] == {**THEIRS, "since": library["other_service"]["since"]}
    assert await told(school) == ["library_taken_over"]
    sent = admin.requests(ASSOCIATE)
    await school.request(wish("AFTER"))
    await school.pass_time(600)
    assert admin.requests(ASSOCIATE) == sent
    assert (await call("GET", "/v1/content-tokens")).json()["items"][0]["state"] == "fenced"


async def test_a_foreign_claim_that_cannot_be_stored_as_it_is_fences_too(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id = await school.library()
    claim_elsewhere(admin, library_id, mdm_info={"id": "\0theirs", "name": "\ud800", "metadata": "\0"})
    await school.want_assets()
    await school.work()
    library = await shown(call, library_id)
    assert (library["state"], library["other_service"]["id"]) == ("fenced", "\ufffdtheirs")


async def test_a_fence_is_counted_once_with_its_cause(school: Office, admin: AppleAdmin) -> None:
    labels = {"event": "ContentTokenSuspended", "cause": "library_taken_over"}
    before = REGISTRY.get_sample_value("content_tokens_told_total", labels) or 0.0
    claim_elsewhere(admin, await school.library())
    for _ in range(3):
        await school.want_assets()
        await school.work()
    assert REGISTRY.get_sample_value("content_tokens_told_total", labels) == before + 1


async def test_what_was_sent_before_the_fence_is_followed_to_its_end(
    school: Office, admin: AppleAdmin
) -> None:
    await school.request(wish("SENT"))
    await school.work()
    claim_elsewhere(admin, await school.library())
    await school.want_assets()
    await school.work()
    await admin.settled()
    await school.pass_time(30)
    assert await school.assigned() == {"SENT"}


async def test_reading_and_reserving_go_on_behind_the_fence(fenced: Office, call: Call) -> None:
    library_id = await fenced.library()
    await fenced.request(*wishes(3))
    fenced.clock.turn(60)
    await fenced.want_assets()
    assert "read_assets" in await fenced.work()
    assert await fenced.states() == {"reserved": 3}
    refused = wish("IMPATIENT")
    await fenced.request(refused, no_wait=True)
    assert await fenced.state(refused) == "refused"
    read_at = (await shown(call, library_id))["assets_read_at"]
    assert read_at == fenced.clock.now().isoformat().replace("+00:00", "Z")


async def test_nothing_but_an_administrators_act_resumes(
    fenced: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id = await fenced.library()
    await fenced.request(*wishes(3))
    claims = admin.requests(CLAIM)

    for mdm_info in (THEIRS, None, {**THEIRS, "id": "yet another"}):
        claim_elsewhere(admin, library_id, mdm_info=mdm_info)
        fenced.clock.turn(3600)
        await fenced.clockwork.check_libraries()
        await fenced.clockwork.resubscribe()
        await fenced.work()
    ((ours,),) = await fenced.rows("SELECT mdm_id FROM library")
    for mdm_info in (None, {**THEIRS, "id": str(ours)}):
        claim_elsewhere(admin, library_id, mdm_info=mdm_info)
        text = (await admin.post(f"/libraries/{library_id}/tokens", {}))["token"]
        assert (await call("POST", "/v1/content-tokens", json={"content_token": text})).status_code == 201
        await fenced.work()
    assert (await shown(call, library_id))["state"] == "fenced"
    assert (admin.requests(CLAIM), admin.requests(ASSOCIATE)) == (claims, 0)
    assert await told(fenced) == []


async def test_a_takeover_claims_again_and_all_work_resumes(
    fenced: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id = await fenced.library()
    await fenced.request(*wishes(3))
    await fenced.work()
    await admin.give("361309726", "ANOTHER HAND'S")
    response = await take_over(call, library_id)
    assert (response.status_code, response.json()["state"]) == (202, "fenced")
    done = await fenced.work()

    assert {"claim", "read_assets", "read_list"} <= set(done)
    library = await shown(call, library_id)
    assert (library["state"], library["cause"], library["other_service"]) == ("active", None, None)
    assert our_claim(admin, library_id)["name"] == "Tests"
    assert await told(fenced) == ["resumed"]
    assert (await fenced.pool())["foreign_count"] == 1
    await fenced.settle_all()
    assert len(await fenced.assigned()) == 3
    await fenced.check()


async def test_a_library_that_nobody_took_is_not_taken_over(school: Office, call: Call) -> None:
    response = await take_over(call, await school.library())
    assert (response.status_code, response.json()["type"]) == (409, "library_not_fenced")
    assert await school.rows("SELECT 1 FROM work") == []


async def test_a_fence_outlasts_a_dead_token(fenced: Office, admin: AppleAdmin, call: Call) -> None:
    library_id = await fenced.library()
    await admin.revoke_tokens()
    await fenced.want_assets()
    await fenced.work()
    library = await shown(call, library_id)
    assert (library["state"], library["cause"]) == ("suspended", "token_revoked")
    assert library["other_service"]["name"] == "Other MDM"
    assert (await take_over(call, library_id)).json()["type"] == "library_suspended"

    text = (await admin.post(f"/libraries/{library_id}/tokens", {}))["token"]
    refused = await call("POST", "/v1/content-tokens", json={"content_token": text})
    assert (refused.status_code, refused.json()["type"]) == (409, "library_managed_elsewhere")
    assert "Other MDM" in refused.json()["detail"]
    body = {"content_token": text, "takeover": True}
    assert (await call("POST", "/v1/content-tokens", json=body)).status_code == 201
    await fenced.settle_all()
    assert (await shown(call, library_id))["state"] == "active"
    assert await told(fenced) == ["token_revoked", "resumed"]


async def test_a_library_of_another_service_is_taken_over_at_its_upload(
    office: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id, text = await admin.open_library(50)
    claim_elsewhere(admin, library_id)
    response = await call("POST", "/v1/content-tokens", json={"content_token": text, "takeover": True})
    assert response.status_code == 201
    await office.settle_all()
    assert (await shown(call, library_id))["state"] == "active"
    assert our_claim(admin, library_id)["name"] == "Tests"


async def test_a_claim_that_came_between_upload_and_ours_is_left_alone(
    office: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id, text = await admin.open_library(50)
    await call("POST", "/v1/content-tokens", json={"content_token": text})
    claim_elsewhere(admin, library_id)
    await office.settle_all()
    assert our_claim(admin, library_id) == THEIRS
    assert (await shown(call, library_id))["state"] == "fenced"
    assert admin.requests(CLAIM) == 0


async def test_a_claim_that_vanished_is_looked_for_once_and_then_fences(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id = await school.library()
    claim_elsewhere(admin, library_id, mdm_info=None)
    school.clock.turn(600)
    await school.want_assets()
    assert (await school.work()).count("check_library") == 1
    library = await shown(call, library_id)
    assert library["state"] == "fenced"
    assert library["other_service"] == {
        "id": None,
        "name": None,
        "metadata": None,
        "since": library["other_service"]["since"],
    }
    assert await told(school) == ["library_taken_over"]


async def test_answers_without_a_claim_bring_no_more_than_one_look_in_five_minutes(school: Office) -> None:
    """Apple's answers only may carry mdmInfo: one that never does must not double our requests."""
    library_id = await school.library()
    guard, access = TakeoverGuard(school.database), Access(library_id, Secret(b""), new_id(), "ours")
    for seconds, looks in ((0, 1), (299, 0), (1, 1)):
        school.clock.turn(seconds)
        for _ in range(5):
            await guard.missing(access)
        assert (await school.work()).count("check_library") == looks
    assert (await school.rows("SELECT state FROM library"))[0]["state"] == "active"


async def test_many_answers_at_once_put_up_one_fence(school: Office) -> None:
    guard, library_id = TakeoverGuard(school.database), await school.library()
    access = Access(library_id, Secret(b""), new_id(), "ours")
    await asyncio.gather(*(guard.saw(access, MdmIdentity(**THEIRS)) for _ in range(8)))
    assert await told(school) == ["library_taken_over"]


async def test_a_foreign_claim_on_what_is_not_ours_anyway_fences_nothing(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id = await school.library()
    await admin.revoke_tokens()
    await school.want_assets()
    await school.work()
    guard = TakeoverGuard(school.database)
    for each in (library_id, "unknown"):
        await guard.saw(Access(each, Secret(b""), new_id(), "ours"), MdmIdentity(**THEIRS))
    assert (await shown(call, library_id))["state"] == "suspended"
    assert await told(school) == ["token_revoked"]


async def test_the_fence_goes_up_while_a_request_waits_for_its_turn(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = school.apple.turn

    async def fence_meanwhile(access: Access) -> Any:
        turn = await honest(access)
        await TakeoverGuard(school.database).saw(access, MdmIdentity(**THEIRS))
        return turn

    monkeypatch.setattr(school.apple, "turn", fence_meanwhile)
    await school.request(wish("S"))
    assert await school.work("intent") == ["intent!library_suspended"]
    assert admin.requests(ASSOCIATE) == 0
    assert await school.rows("SELECT 1 FROM intent WHERE sent_at IS NOT NULL") == []


async def test_the_hourly_look_restores_a_subscription_that_was_replaced(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id = await school.library()
    library = admin.simulator.world.libraries[library_id]
    library.subscription.url = "https://elsewhere.example/hook"
    school.clock.turn(3600)
    await school.clockwork.check_libraries()
    await school.clockwork.check_libraries()
    assert (await school.work()).count("check_library") == 1
    assert library.subscription.url == f"{school.door}/apple/notifications/{library_id}"
    checked_at = (await shown(call, library_id))["checked_at"]
    assert checked_at == school.clock.now().isoformat().replace("+00:00", "Z")
    assert await told(school) == []


async def test_the_hourly_look_finds_a_dead_token(school: Office, admin: AppleAdmin, call: Call) -> None:
    await admin.revoke_tokens()
    school.clock.turn(3600)
    await school.clockwork.check_libraries()
    await school.work()
    assert (await shown(call, await school.library()))["cause"] == "token_revoked"
    assert await school.rows("SELECT 1 FROM work") == []


async def test_a_look_that_began_before_a_takeover_fences_nothing(
    fenced: Office, admin: AppleAdmin, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    library_id = await fenced.library()
    honest = fenced.apple.client_config

    async def late(access: Access) -> Any:
        config = await honest(access)
        monkeypatch.undo()
        await take_over(call, library_id)
        await fenced.work("claim")
        return config

    fenced.clock.turn(3600)
    monkeypatch.setattr(fenced.apple, "client_config", late)
    await fenced.clockwork.check_libraries()
    await fenced.work("check_library")
    assert (await shown(call, library_id))["state"] == "active"
    assert await told(fenced) == ["resumed"]


async def test_only_the_id_decides_whose_a_library_is() -> None:
    same = MdmIdentity("ours", "renamed", "moved")
    assert is_ours(same, mdm_id="ours", claimed=True)
    assert not is_ours(MdmIdentity("OURS", "Tests", "same name"), mdm_id="ours", claimed=False)
    assert is_ours(None, mdm_id="ours", claimed=False)
    assert not is_ours(None, mdm_id="ours", claimed=True)


@pytest.fixture(scope="session")
async def second_url(new_database: NewDatabase) -> str:
    """The database of another installation."""
    url = await new_database("licensing_elsewhere")
    database = Database(url)
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await database.close()
    return url


@pytest.fixture
async def second(
    second_url: str, vault: Vault, certificates: Path, apple_simulator: AppleSimulator
) -> AsyncIterator[Office]:
    """Another installation, with nothing in it yet; Apple cannot reach its door."""
    database = Database(second_url, clock=TurnedClock(NOON))
    async with database.transaction() as tx:
        for table in reversed(metadata.sorted_tables):
            await tx.raw.execute(f"DELETE FROM {table.name}")
    async with Wire(lambda: http_client(certificates / "ca.pem"), deadline_seconds=10.0) as wire:
        apple = Apple(
            wire,
            base_url=apple_simulator.url,
            budget=RequestBudget(database),
            clock=SystemClock(),
            guard=TakeoverGuard(database),
        )
        yield Office(Situation(database), apple, vault, "https://127.0.0.1:9")
    await database.close()


async def test_two_installations_cannot_fight_over_one_library(
    school: Office, second: Office, admin: AppleAdmin, call: Call
) -> None:
    library_id = await school.library()
    (text,) = admin.simulator.world.tokens
    examined = await second.apple.examine(text)
    async with second.database.transaction() as tx:
        await install_token(
            tx,
            Upload(examined, takes_over=True),
            sealer=second.vault,
            caller="the other administrator",
            correlation_id=new_id(),
        )
    await second.work()
    await second.adopt_pool()
    await second.request(*wishes(2, "B"))
    await second.work("intent")

    await school.request(*wishes(2, "A"))
    await school.want_assets()
    await school.work("read_assets")
    await school.work()
    await admin.settled()
    assert await admin.holders() == {"B00000", "B00001"}
    assert await told(school) == ["library_taken_over"]
    assert (await shown(call, library_id))["other_service"]["metadata"] == "https://127.0.0.1:9"

    await take_over(call, library_id)
    await school.work()
    await second.request(*wishes(1, "C"))
    await second.want_assets()
    await second.work("read_assets")
    await second.work()
    await admin.settled()
    assert await admin.holders() == {"A00000", "A00001", "B00000", "B00001"}
    assert await told(second) == ["library_taken_over"]
