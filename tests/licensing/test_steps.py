"""What is done with Apple: requests are sent once, their outcomes proven, and no licence lost or doubled."""

import asyncio
from typing import Any

import pytest

from licensing.model import Access, Limits
from shared.errors import Unavailable
from shared.events.licensing import LicenseRefused, LicenseReleased
from shared.events.words import Held, Refusal
from tests.licensing.office import APP, AppleAdmin, Office, serials
from tests.licensing.situation import wish, wishes

ASSOCIATE = "assets/associate"


async def test_a_reservation_becomes_an_assigned_licence(school: Office, admin: AppleAdmin) -> None:
    targets = wishes(40)
    await school.request(*targets)
    await school.settle_all()

    assert await admin.holders() == serials(targets)
    assert await school.assigned() == serials(targets)
    told = await school.told_of()
    assert all(told[each.entitlement_id] == ["LicenseReserved", "LicenseAssigned"] for each in targets)
    assert admin.requests("POST assets/associate") == 1
    await school.check()


async def test_a_revoked_licence_comes_back_and_serves_who_waits(school: Office, admin: AppleAdmin) -> None:
    first, second = wishes(50, "A"), wishes(10, "B")
    await school.request(*first)
    await school.request(*second)
    await school.settle_all()
    await school.told()
    await school.revoke(*first[:20])
    await school.settle_all()

    told = await school.told_of()
    assert all(told[each.entitlement_id] == ["LicenseReleased"] for each in first[:20])
    assert all(told[each.entitlement_id] == ["LicenseReserved", "LicenseAssigned"] for each in second)
    assert await admin.holders() == serials(first[20:]) | serials(second)
    assert (await school.pool())["held"] == 40
    await school.check()


async def test_nothing_is_told_assigned_before_the_status_says_complete(
    school: Office, admin: AppleAdmin
) -> None:
    await admin.knobs(hold_events=True)
    await school.request(wish("S"))
    await school.work()
    await school.pass_time(30)
    assert await school.assigned() == set()

    await admin.knobs(hold_events=False)
    await admin.settled()
    await school.pass_time(29)
    assert await school.assigned() == set()
    await school.pass_time(1)
    assert await school.assigned() == {"S"}


async def test_notifications_that_cover_all_bring_the_one_status_read_forward(
    school: Office, admin: AppleAdmin
) -> None:
    await school.request(*wishes(50))
    await school.work()
    await admin.notified()
    await school.clockwork.read_notifications()
    assert await school.assigned() == set()

    await school.work()
    assert len(await school.assigned()) == 50
    assert admin.requests("GET status") == 1


async def test_what_notifications_told_before_the_event_was_known_is_not_waited_for(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = school.apple.write

    async def answered_late(*said: Any, **more: Any) -> str:
        event_id = await honest(*said, **more)
        await admin.notified()
        await school.clockwork.read_notifications()
        return event_id

    monkeypatch.setattr(school.apple, "write", answered_late)
    await school.request(*wishes(50))
    await school.work()
    assert len(await school.assigned()) == 50
    assert admin.requests("GET status") == 1


REFUSED: list[dict[str, Any]] = [
    {"answer": "error", "status": 500, "error_number": 9603},
    {"answer": "error", "status": 200, "error_number": 9603},
    {"answer": "error", "status": 429, "error_number": 9646, "retry_after_seconds": 2},
    {"answer": "error", "status": 503, "error_number": 9729, "retry_after_form": "date"},
    {"answer": "garbage", "status": 503, "retry_after_seconds": 3},
    {"answer": "garbage", "status": 429},
    {"answer": "garbage", "status": 502},
    {"answer": "nothing"},
]
LOST: list[dict[str, Any]] = [
    {"answer": "garbage", "status": 502, "accepted": True},
    {"answer": "garbage", "status": 200, "accepted": True},
    {"answer": "truncated", "status": 200, "accepted": True},
    {"answer": "nothing", "accepted": True},
    {"answer": "nothing", "accepted": True, "seconds": 2.5},
]


@pytest.mark.parametrize("fault", REFUSED + LOST, ids=lambda fault: "-".join(map(str, fault.values())))
async def test_whatever_apple_answers_no_licence_is_lost_and_none_doubled(
    school: Office, admin: AppleAdmin, fault: dict[str, Any]
) -> None:
    targets = wishes(30)
    await admin.fault(ASSOCIATE, **fault)
    await school.request(*targets)
    await school.settle_all()

    assert await admin.holders() == serials(targets)
    assert await school.assigned() == serials(targets)
    told = await school.told_of()
    assert all(told[each.entitlement_id] == ["LicenseReserved", "LicenseAssigned"] for each in targets)
    assert admin.requests("POST assets/associate") == (1 if fault in LOST else 2)
    await school.check()


async def test_retry_after_is_obeyed(school: Office, admin: AppleAdmin) -> None:
    await admin.fault(ASSOCIATE, "error", status=503, error_number=9729, retry_after_seconds=40)
    await school.request(wish("S"))
    assert await school.work() == ["intent!apple_9729"]
    assert await school.pass_time(39) == []
    assert await school.rows(
        "SELECT FROM library WHERE next_request_at > clock_timestamp() + interval '30 seconds'"
    )
    async with school.database.transaction() as tx:
        await tx.raw.execute(
            "UPDATE library SET next_request_at = NULL"
        )  # its pause goes by the database's clock
    assert await school.pass_time(1) == ["intent"]


async def test_scenario_03_a_request_whose_event_id_is_lost_keeps_its_unit_until_the_proof(
    school: Office, admin: AppleAdmin
) -> None:
    held, others = wish("HELD"), wishes(50, "W")
    await admin.knobs(hold_events=True)
    await admin.fault(ASSOCIATE, "nothing", accepted=True)
    await school.request(held)
    await school.work()
    await school.request(*others)
    await school.work()
    await school.told()

    await school.pass_time(60)
    await school.revoke(held)
    await school.pass_time(60)
    await admin.knobs(hold_events=False)  # Apple runs it two minutes later
    await admin.settled()
    assert "HELD" in await admin.holders()
    await school.pass_time(450)
    assert await school.state(held) == "releasing"
    assert (await school.states())["waitlisted"] == 1
    assert (await school.told_of()).get(held.entitlement_id) is None

    await school.pass_time(60)
    await school.settle_all()
    assert (await school.told_of())[held.entitlement_id] == ["LicenseReleased"]
    assert await admin.holders() == await school.assigned() == serials(others)
    await school.check()


async def test_scenario_15_apple_has_none_left_and_the_waiters_are_served_when_it_has(
    school: Office, admin: AppleAdmin
) -> None:
    first, waiting = wishes(50, "A"), wish("WAITING")
    await school.request(*first)
    await school.request(waiting)
    await school.settle_all()
    await admin.knobs(disassociate_delay_seconds=0.2)
    await school.told()
    await school.revoke(first[0])
    await school.settle_all()

    assert await school.state(waiting) == "assigned"
    assert len(await admin.holders()) == 50
    assert (await school.states())["waitlisted"] == 0
    await school.check()


async def test_9709_returns_the_targets_to_the_waitlist_with_their_places(
    school: Office, admin: AppleAdmin
) -> None:
    await admin.refund(APP, 48)  # nobody tells us
    targets = wishes(5)
    await school.request(*targets)
    await school.settle_all()

    assert (await school.states()) == {"assigned": 2, "waitlisted": 3}
    told = await school.told_of()
    waiting = [each for each in targets if each.serial_number not in await school.assigned()]
    assert all(told[each.entitlement_id] == ["LicenseReserved", "LicenseWaitlisted"] for each in waiting)
    pool = await school.pool()
    assert (pool["total"], pool["held"], pool["waiting"]) == (2, 2, 3)

    await admin.post(f"/libraries/{await school.library()}/purchases", {"adam_id": APP, "count": 10})
    await school.want_assets()
    await school.settle_all()
    assert await school.assigned() == serials(targets)
    await school.check()


async def test_9709_refuses_who_would_not_wait(school: Office, admin: AppleAdmin) -> None:
    await admin.refund(APP, 50)
    target = wish("S")
    await school.request(target, no_wait=True)
    await school.settle_all()
    _, (_, refused) = [each for each in await school.told() if each[0].type.startswith("License")]
    assert isinstance(refused, LicenseRefused)
    assert refused.targets[0].refusal is Refusal.NO_LICENCE_LEFT
    assert (await school.pool())["held"] == 0


async def test_a_partly_failed_event_confirms_what_the_list_shows(school: Office, admin: AppleAdmin) -> None:
    await admin.refund(APP, 40)
    targets = wishes(20)
    await school.request(*targets)
    await school.settle_all()
    assert await school.assigned() == await admin.holders()
    assert len(await school.assigned()) == 10
    assert admin.requests("GET assignments") >= 1
    await school.check()


async def test_an_asset_that_turned_out_not_to_be_for_devices_is_refused(
    school: Office, admin: AppleAdmin
) -> None:
    targets = wishes(3)
    await admin.fault(ASSOCIATE, "error", status=400, error_number=9707)
    await school.request(*targets)
    await school.settle_all()
    events = [event for _, event in await school.told()]
    (refused,) = [event for event in events if isinstance(event, LicenseRefused)]
    assert {each.refusal for each in refused.targets} == {Refusal.NOT_DEVICE_ASSIGNABLE}
    assert {each.error_number for each in refused.targets} == {9707}
    assert (await school.pool())["held"] == 0
    await school.check()


async def test_one_bad_target_is_found_by_halves_and_refused_alone(school: Office, admin: AppleAdmin) -> None:
    targets = wishes(16)
    admin.poison(targets[5].serial_number)
    await school.request(*targets)
    await school.settle_all()

    assert await school.assigned() == serials(targets) - {targets[5].serial_number}
    assert await school.state(targets[5]) == "refused"
    assert admin.requests("POST assets/associate") == 9
    refused = [event for _, event in await school.told() if isinstance(event, LicenseRefused)]
    assert [(each.refusal, each.error_number) for event in refused for each in event.targets] == [
        (Refusal.APPLE_REFUSED, 9602)
    ]
    await school.check()


async def test_scenario_34_limits_that_fell_between_claim_and_call_split_the_request(
    school: Office, admin: AppleAdmin
) -> None:
    await admin.knobs(limits={"maxSerialNumbers": 20})
    await school.request(*wishes(50))
    await school.settle_all()
    assert len(await school.assigned()) == 50
    assert admin.requests("POST assets/associate") == 5  # refused with 9702; its halves by 20 and 5
    taken = await school.rows("SELECT event_id FROM settlement WHERE event_id IS NOT NULL")
    assert len(taken) == 4, "an intent of its own for each request that Apple took"
    await school.check()


async def test_a_release_is_told_once_apple_confirmed_it(school: Office, admin: AppleAdmin) -> None:
    target = wish("S")
    await school.request(target)
    await school.settle_all()
    await school.told()
    await admin.knobs(hold_events=True)
    await school.revoke(target)
    await school.work()
    assert await school.told() == []
    assert (await school.pool())["held"] == 1

    await admin.knobs(hold_events=False)
    await school.settle_all()
    ((_, event),) = [each for each in await school.told() if each[0].type != "AssetChanged"]
    assert isinstance(event, LicenseReleased)
    assert event.targets[0].held is Held.LICENSE


async def test_scenario_02_life_two_is_sent_after_the_release_of_life_one(
    school: Office, admin: AppleAdmin
) -> None:
    one, two = wish("S"), wish("S")
    await school.request(one)
    await school.settle_all()
    await admin.knobs(hold_events=True)
    await school.revoke(one)
    await school.work()
    await school.request(two)
    await school.work()
    assert admin.requests("POST assets/associate") == 1

    await admin.knobs(hold_events=False)
    await school.settle_all()
    assert admin.requests("POST assets/associate") == 2
    assert await admin.holders() == {"S"}
    assert await school.state(two) == "assigned"
    assert await school.state(one) == "released"
    await school.check()


async def test_a_revoke_during_the_call_is_disassociated_after_it(school: Office, admin: AppleAdmin) -> None:
    target = wish("S")
    await admin.knobs(hold_events=True)
    await school.request(target)
    await school.work()
    await school.revoke(target)
    await admin.knobs(hold_events=False)
    await school.settle_all()
    assert await admin.holders() == set()
    assert await school.state(target) == "released"
    assert (await school.pool())["held"] == 0


async def test_who_was_withdrawn_during_a_call_that_was_not_taken_is_free_at_once(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = wish("S")

    async def not_taken(*_: object, **__: object) -> str:
        await school.revoke(target)
        raise Unavailable("apple_http_429")

    await school.request(target)
    with monkeypatch.context() as patched:
        patched.setattr(school.apple, "write", not_taken)
        assert await school.work() == ["intent!apple_http_429"]
    assert await school.state(target) == "released"
    assert (await school.pool())["held"] == 0
    await school.settle_all()
    assert admin.requests("POST assets/associate") == 0
    await school.check()


async def test_a_request_still_pending_after_the_proof_time_is_judged_by_the_list(
    school: Office, admin: AppleAdmin
) -> None:
    await admin.knobs(hold_events=True)
    await school.request(wish("S"))
    await school.work()
    for _ in range(21):
        await school.pass_time(30)
    assert admin.requests("GET assignments") >= 1
    await admin.knobs(hold_events=False)
    await school.settle_all()
    assert await school.assigned() == await admin.holders() == {"S"}
    await school.check()


async def test_an_unknown_event_is_judged_by_the_list_after_the_proof_time(
    school: Office, admin: AppleAdmin
) -> None:
    await school.request(wish("S"))
    await school.work()
    admin.simulator.world.events.clear()
    await school.pass_time(30)
    assert await school.assigned() == set()
    await school.settle_all()
    assert await school.assigned() == {"S"}
    assert admin.requests("POST assets/associate") == 1


async def test_scenario_32_a_worker_that_froze_before_sending_does_nothing_twice(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    await school.request(*wishes(3))
    honest, frozen, woken = school.apple.turn, asyncio.Event(), asyncio.Event()

    async def freeze(access: Access) -> Limits:
        monkeypatch.setattr(school.apple, "turn", honest)
        frozen.set()
        await woken.wait()
        return await honest(access)

    monkeypatch.setattr(school.apple, "turn", freeze)
    stale = asyncio.create_task(school.work())
    await frozen.wait()
    async with school.database.transaction() as tx:
        await tx.raw.execute("UPDATE work SET lease = NULL")  # its lease ran out
    await school.settle_all()
    woken.set()
    await stale
    assert admin.requests("POST assets/associate") == 1
    assert len(await school.assigned()) == 3
    await school.check()


async def test_a_process_killed_between_apples_answer_and_its_storing_loses_nothing(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as killed, pytest.raises(RuntimeError, match="killed"):
        killed.setattr("licensing.steps.intent.intents.follow", die)
        await school.request(*wishes(3))
        await school.work()
    async with school.database.transaction() as tx:
        await tx.raw.execute("UPDATE work SET lease = NULL")
    await school.settle_all()
    assert admin.requests("POST assets/associate") == 1
    assert await school.assigned() == await admin.holders()
    assert len(await school.assigned()) == 3
    await school.check()
