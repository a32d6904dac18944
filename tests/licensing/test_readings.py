"""What Apple's lists tell: assets, counts and who holds licences, read beside the ledger and never added to it."""

import pytest

from licensing.model import Access, AssetKey, EventState, EventStatus, ListedAsset
from shared.events.licensing import AssetChanged
from tests.licensing.conftest import Call
from tests.licensing.office import APP, AppleAdmin, Office, serials
from tests.licensing.situation import wish, wishes


async def test_a_request_that_ends_while_a_list_is_read_is_settled_by_a_later_one(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = wishes(3, "A"), wishes(3, "B")
    await school.request(*first)
    await school.work()
    school.clock.turn(1)
    await school.request(*second)
    await school.work()
    await admin.settled()
    honest = school.apple.asset

    async def failed(*_: object) -> EventState:
        return EventState(EventStatus.FAILED)

    async def let_the_second_end(access: Access, key: AssetKey) -> ListedAsset | None:
        monkeypatch.setattr(school.apple, "asset", honest)
        async with school.database.transaction() as tx:
            await tx.raw.execute("UPDATE work SET due_at = $1", tx.now)
        assert await school.work("intent") == ["intent"]
        return await honest(access, key)

    monkeypatch.setattr(school.apple, "status", failed)
    monkeypatch.setattr(school.apple, "asset", let_the_second_end)
    assert await school.pass_time(29) == ["intent", "read_list", "read_list"]

    assert await school.assigned() == await admin.holders() == serials(first + second)
    assert admin.requests("POST assets/associate") == 2
    told = await school.told_of()
    assert all(told[each.entitlement_id] == ["LicenseReserved", "LicenseAssigned"] for each in second)
    await school.check()


async def test_a_replica_whose_clock_is_ahead_leaves_no_request_behind(
    school: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failed(*_: object) -> EventState:
        return EventState(EventStatus.FAILED)

    monkeypatch.setattr(school.apple, "status", failed)
    await school.request(wish("S"))
    await school.work()
    school.clock.turn(30)
    await school.work("intent")
    async with school.database.transaction() as tx:
        await tx.raw.execute("UPDATE intent SET ended_at = ended_at + interval '1 minute'")
    await school.settle_all()
    assert await school.assigned() == {"S"}


async def test_a_purchase_serves_the_waitlist(school: Office, admin: AppleAdmin) -> None:
    targets = wishes(60)
    await school.request(*targets)
    await school.settle_all()
    assert (await school.pool())["waiting"] == 10
    await admin.post(f"/libraries/{await school.library()}/purchases", {"adam_id": APP, "count": 4})
    await admin.notified()
    await school.settle_all()  # ASSET_COUNT brings the reading forward

    assert (await school.pool())["waiting"] == 6
    assert len(await school.assigned()) == 54
    await school.check()


async def test_scenario_13_a_refund_below_what_is_held_shows_as_over_allocated(
    school: Office, admin: AppleAdmin
) -> None:
    targets = wishes(40)
    await school.request(*targets)
    await school.settle_all()
    await admin.refund(APP, 20, assigned="keep")
    await school.want_assets()
    await school.settle_all()
    pool = await school.pool()
    assert (pool["total"], pool["held"]) == (30, 40)

    waiting = wish("W")
    await school.request(waiting)
    await school.revoke(*targets[:10])
    await school.settle_all()
    assert await school.state(waiting) == "waitlisted"
    await school.revoke(targets[10])
    await school.settle_all()
    assert await school.state(waiting) == "assigned"
    assert (await school.pool())["held"] == 30
    await school.check()


async def test_scenario_12_a_reading_between_apples_execution_and_our_hearing_counts_nothing_twice(
    school: Office, admin: AppleAdmin
) -> None:
    await school.request(*wishes(30))
    await school.work()
    await admin.settled()
    await school.want_assets()
    await school.work()
    pool = await school.pool()
    assert (pool["apple_assigned"], pool["apple_available"], pool["held"]) == (30, 20, 30)
    await school.request(*wishes(20, "B"))
    assert (await school.states())["reserved"] == 50
    await school.settle_all()
    assert len(await admin.holders()) == 50
    await school.check()


async def test_a_licence_given_by_another_hand_is_foreign_and_lowers_the_capacity(
    school: Office, admin: AppleAdmin
) -> None:
    await admin.give(APP, "FOREIGN-1", "FOREIGN-2")
    await school.want_assets()
    await school.settle_all()
    assert (await school.pool())["foreign_count"] == 2
    await school.request(*wishes(50))
    await school.settle_all()
    assert (await school.states()) == {"assigned": 48, "waitlisted": 2}
    await school.check()


async def test_licences_given_by_another_hand_before_we_came_are_counted_at_the_first_reading(
    office: Office, admin: AppleAdmin, call: Call
) -> None:
    _, text = await admin.open_library(50)
    await admin.give(APP, "FOREIGN-1", "FOREIGN-2", "FOREIGN-3")
    assert (await call("POST", "/v1/content-tokens", json={"content_token": text})).status_code == 201
    await office.settle_all()
    await office.adopt_pool()
    assert (await office.pool())["foreign_count"] == 3


async def test_an_asset_that_is_described_anew_is_told_again(school: Office, admin: AppleAdmin) -> None:
    await school.clockwork.tell_assets()
    await school.told()
    library = next(iter(admin.simulator.world.libraries.values()))
    key = next(key for key in library.assets if key.adam_id == APP)
    library.assets[key].device_assignable = False
    await school.want_assets()
    await school.settle_all()
    await school.clockwork.tell_assets()
    ((_, event),) = await school.told()
    assert isinstance(event, AssetChanged)
    assert not event.device_assignable


async def test_more_waiters_than_one_transaction_serves_are_served_by_the_clock(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    await school.request(*wishes(57))
    await school.settle_all()
    monkeypatch.setattr("licensing.ledger.ledger.MOST_SERVED", 2)
    await admin.post(f"/libraries/{await school.library()}/purchases", {"adam_id": APP, "count": 5})
    await school.want_assets()
    await school.work("read_assets")
    assert (await school.pool())["waiting"] == 5
    await school.clockwork.serve_waitlists()
    assert (await school.pool())["waiting"] == 2
    await school.check()


async def test_an_asset_that_left_the_list_has_nothing_left_to_grant(
    school: Office, admin: AppleAdmin
) -> None:
    library = next(iter(admin.simulator.world.libraries.values()))
    del library.assets[next(key for key in library.assets if key.adam_id == APP)]
    await school.want_assets()
    await school.settle_all()
    assert (await school.pool())["total"] == 0
    await school.request(wish("S"))
    assert (await school.states()) == {"waitlisted": 1}
