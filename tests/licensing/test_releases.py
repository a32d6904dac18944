"""How licences come back: refused releases, later lives, and the proof that is kept of each."""

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from licensing.model import EventState, EventStatus
from licensing.model.apple import AppleFailure
from shared.errors import Unavailable
from shared.events.licensing import LicenseReleased
from shared.events.words import Held
from tests.licensing.conftest import Call
from tests.licensing.office import AppleAdmin, Office
from tests.licensing.situation import Situation, Wish, wish

DISASSOCIATE = "assets/disassociate"
KEPT = timedelta(days=400)


async def _returned(school: Office, admin: AppleAdmin, *, others: int = 0) -> tuple[Wish, Wish]:
    """Let a target be released and come back while that is at Apple; return its two lives."""
    one, two = wish("S"), wish("S")
    await school.request(one, *(wish(f"OTHER-{number}") for number in range(others)))
    await school.settle_all()
    await admin.knobs(hold_events=True)
    await school.revoke(one)
    await school.work()
    await school.request(two)
    await school.told()
    return one, two


async def _refuse_the_release(school: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Apple's event end with a final no."""

    async def failed(*_: object) -> EventState:
        return EventState(EventStatus.FAILED, (AppleFailure(9999),))

    with monkeypatch.context() as patched:
        patched.setattr(school.apple, "status", failed)
        await school.pass_time(30)


@pytest.mark.parametrize("others", [0, 49], ids=["reserved", "waitlisted"])
async def test_a_later_life_takes_over_the_licence_whose_release_apple_refuses(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    one, two = await _returned(school, admin, others=others)
    await _refuse_the_release(school, monkeypatch)

    assert (await school.state(one), await school.state(two)) == ("released", "assigned")
    assert (await school.pool())["held"] == 1 + others
    told = await school.told()
    (released,) = [event for _, event in told if isinstance(event, LicenseReleased)]
    assert [(each.entitlement_id, each.held) for each in released.targets] == [
        (one.entitlement_id, Held.PASSED_ON)
    ]
    assert [envelope.type for envelope, _ in told if envelope.type != "AssetChanged"] == [
        "LicenseReleased",
        "LicenseAssigned",
    ]
    assert admin.requests("POST assets/associate") == 1
    assert "S" in await admin.holders()
    await school.check()


async def test_without_a_later_life_a_refused_release_leaves_the_licence_assigned(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await _returned(school, admin)
    await school.revoke(two)
    await _refuse_the_release(school, monkeypatch)
    assert (await school.state(one), await school.state(two)) == ("assigned", "released")
    assert (await school.told_of())[one.entitlement_id] == ["LicenseRefused"]
    assert (await school.pool())["held"] == 1
    await school.check()


async def test_a_later_life_takes_over_what_apple_did_not_take_in(
    school: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = wish("S"), wish("S")
    await school.request(one)
    await school.settle_all()

    async def not_taken(*_: object, **__: object) -> str:
        await school.request(two)
        raise Unavailable("apple_http_429")

    await school.revoke(one)
    with monkeypatch.context() as patched:
        patched.setattr(school.apple, "write", not_taken)
        assert await school.work() == ["intent!apple_http_429"]
    assert (await school.state(one), await school.state(two)) == ("released", "assigned")
    assert (await school.pool())["held"] == 1
    await school.settle_all()
    assert not await school.rows("SELECT 1 FROM intent")
    await school.check()


@pytest.mark.parametrize("state", ["waitlisted", "reserved", "assigned"])
async def test_the_database_knows_one_living_licence_of_a_target(situation: Situation, state: str) -> None:
    await situation.begin(5)
    await situation.request(wish("S"))
    with pytest.raises(asyncpg.UniqueViolationError, match="license_one_living"):
        async with situation.database.transaction() as tx:
            await tx.raw.execute(
                "INSERT INTO license (entitlement_id, pool_id, asset_id, serial_number, version, state,"
                " correlation_id, priority, arrival, no_wait, changed_at) SELECT gen_random_uuid(), pool_id,"
                " asset_id, serial_number, 1, $1, correlation_id, 0, 9, false, changed_at FROM license",
                state,
            )


async def test_a_reclaim_keeps_apples_answer_as_its_proof(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    target = wish("S")
    await school.request(target)
    assert (await _shown(call, target))["settled"] is None
    await school.settle_all()
    associated = (await _shown(call, target))["settled"]
    assert (associated["kind"], associated["proof"]) == ("associate", "event")

    await school.revoke(target)
    await school.work()
    under_way = await _shown(call, target)
    assert under_way["settled"] == associated
    await school.settle_all()
    shown = await _shown(call, target)
    assert (shown["state"], shown["apple_event_id"]) == ("released", None)
    assert shown["settled"] == {
        "kind": "disassociate",
        "proof": "event",
        "apple_event_id": under_way["apple_event_id"],
        "sent_at": under_way["sent_at"],
        "settled_at": shown["changed_at"],
    }


async def test_a_reclaim_that_the_list_proved_says_so(school: Office, admin: AppleAdmin, call: Call) -> None:
    target = wish("S")
    await school.request(target)
    await school.settle_all()
    await admin.fault(DISASSOCIATE, "nothing", accepted=True)  # the answer is lost
    await school.revoke(target)
    await school.settle_all()
    settled = (await _shown(call, target))["settled"]
    assert (settled["kind"], settled["proof"], settled["apple_event_id"]) == ("disassociate", "list", None)


async def test_a_refusal_is_kept_as_proof_too(school: Office, admin: AppleAdmin, call: Call) -> None:
    target = wish("S")
    await admin.fault("assets/associate", "error", status=400, error_number=9707)
    await school.request(target)
    await school.settle_all()
    shown = await _shown(call, target)
    assert (shown["state"], shown["error_number"], shown["settled"]["proof"]) == ("refused", 9707, "refusal")


async def test_lives_that_ended_long_ago_are_forgotten_with_their_proof(school: Office) -> None:
    ended, living = wish("ENDED"), wish("LIVING")
    await school.request(ended, living)
    await school.settle_all()
    await school.revoke(ended)
    await school.settle_all()
    school.clock.turn(KEPT.total_seconds() - 60)
    await school.clockwork.forget_licenses()
    assert await school.state(ended) == "released"
    assert len(await school.rows("SELECT 1 FROM settlement")) == 2

    school.clock.turn(600)
    await school.clockwork.forget_licenses()
    assert (await school.state(ended), await school.state(living)) == ("unknown", "assigned")
    assert [row["kind"] for row in await school.rows("SELECT kind FROM settlement")] == ["associate"]
    await school.check()


async def test_forgetting_goes_on_in_slices_at_the_next_call(
    school: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = [wish(f"S{number}") for number in range(10)]
    await school.request(*targets)
    await school.revoke(*targets)
    school.clock.turn(KEPT.total_seconds() + 1)
    monkeypatch.setattr("licensing.handlers.clockwork._MOST_SLICES", 2)
    monkeypatch.setattr("licensing.handlers.clockwork._FORGOTTEN_AT_ONCE", 3)
    left = []
    for _ in range(3):
        await school.clockwork.forget_licenses()
        left.append(len(await school.rows("SELECT 1 FROM license")))
    assert left == [4, 0, 0]


async def _shown(call: Call, target: Wish) -> dict[str, Any]:
    shown: dict[str, Any] = (await call("GET", f"/v1/licenses/{target.entitlement_id}")).json()
    return shown
