"""What Apple's lists tell: assets, counts and who holds licences, read beside the ledger and never added to it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from licensing.model import Access, AssetKey, AssignmentPage, EventState, EventStatus, ListedAsset
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


async def test_a_foreign_licence_is_ours_as_soon_as_its_target_asks(
    school: Office, admin: AppleAdmin
) -> None:
    await admin.give(APP, "FOREIGN-1", "FOREIGN-2")
    await school.want_assets()
    await school.settle_all()
    await school.request(wish("FOREIGN-1"), *wishes(49), no_wait=True)

    pool = await school.pool()
    assert (pool["foreign_count"], pool["held"]) == (1, 49)
    assert (await school.states()) == {"assigned": 1, "reserved": 48, "refused": 1}
    await school.settle_all()
    assert await school.assigned() | {"FOREIGN-2"} == await admin.holders()
    await school.check()


async def test_scenario_14_who_holds_a_foreign_licence_of_a_full_pool_need_not_wait(
    school: Office, admin: AppleAdmin
) -> None:
    await admin.give(APP, *(f"FOREIGN-{number}" for number in range(50)))
    await school.want_assets()
    await school.settle_all()
    first, adopting = wish("FIRST"), wish("FOREIGN-7")
    await school.request(first)
    await school.request(adopting)
    await school.settle_all()

    assert (await school.state(first), await school.state(adopting)) == ("waitlisted", "assigned")
    pool = await school.pool()
    assert (pool["foreign_count"], pool["held"], pool["waiting"]) == (49, 1, 1)
    assert len(await admin.holders()) == 50
    assert admin.requests("POST assets/associate") == 0, "without a call"
    assert (await school.told_of())[adopting.entitlement_id] == ["LicenseAssigned"]
    await school.check()


async def test_who_waits_and_turns_out_to_hold_a_foreign_licence_gets_that_one(
    school: Office, admin: AppleAdmin
) -> None:
    await school.request(*wishes(49))
    await school.settle_all()
    await admin.give(APP, "FOREIGN")  # nobody tells us
    first, adopting = wish("FIRST"), wish("FOREIGN")
    await school.request(first, adopting)
    await school.settle_all()
    await school.want_assets()
    await school.settle_all()

    assert (await school.state(first), await school.state(adopting)) == ("waitlisted", "assigned")
    pool = await school.pool()
    assert (pool["foreign_count"], pool["held"], pool["waiting"]) == (0, 50, 1)
    await school.check()


async def test_who_asks_while_a_list_is_read_is_not_counted_as_foreign(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    await admin.give(APP, "FOREIGN-1", "FOREIGN-2")
    honest = school.apple.asset

    async def asked_meanwhile(access: Access, key: AssetKey) -> ListedAsset | None:
        monkeypatch.setattr(school.apple, "asset", honest)
        await school.request(wish("FOREIGN-1"))
        return await honest(access, key)

    monkeypatch.setattr(school.apple, "asset", asked_meanwhile)
    await school.want_assets()
    await school.work("read_assets", "read_list")
    pool = await school.pool()
    assert (pool["foreign_count"], pool["held"]) == (1, 1)


async def test_what_is_given_back_while_a_list_is_read_is_not_foreign(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next life would adopt, without a call, a licence that Apple has taken back."""
    former, later = wish("S"), wish("S")
    await school.request(former)
    await school.settle_all()
    school.clock.turn(600)
    honest = school.apple.assignments

    async def given_back_meanwhile(
        access: Access, key: AssetKey, **said: int
    ) -> AsyncIterator[AssignmentPage]:
        async for page in honest(access, key, **said):
            assert page.serial_numbers == ["S"]
            await school.revoke(former)
            await school.work("intent")
            await admin.settled()
            school.clock.turn(30)
            await school.work("intent")
            assert await school.state(former) == "released"
            yield page

    monkeypatch.setattr(school.apple, "assignments", given_back_meanwhile)
    await school.want_list()
    assert await school.work("read_list") == ["read_list"]
    assert (await school.pool())["foreign_count"] == 0
    await school.request(later)
    assert await school.state(later) == "reserved"
    await school.settle_all()
    assert await school.assigned() == await admin.holders() == {"S"}
    await school.check()


async def test_what_was_given_back_shortly_before_a_list_was_read_is_foreign_a_minute_later(
    school: Office, admin: AppleAdmin
) -> None:
    """The clock of the replica that heard of it may be behind that of the one that reads."""
    former = wish("S")
    await school.request(former)
    await school.settle_all()
    await school.revoke(former)
    await school.work("intent")
    await admin.settled()
    await school.pass_time(30)
    assert await school.state(former) == "released"
    await admin.give(APP, "S")
    counts = []
    for seconds in (59, 2):
        school.clock.turn(seconds)
        await school.want_list()
        await school.work("read_list")
        counts.append((await school.pool())["foreign_count"])
    assert counts == [0, 1]


async def test_an_earlier_list_that_comes_late_changes_nothing(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two replicas read one list, and the one that began first writes last."""
    await admin.give(APP, "X")
    honest = school.apple.asset

    async def overtaken(access: Access, key: AssetKey) -> ListedAsset | None:
        monkeypatch.setattr(school.apple, "asset", honest)
        await admin.take(APP, "X")
        school.clock.turn(30)
        await school.want_list()
        assert await school.work("read_list") == ["read_list"]
        return await honest(access, key)

    monkeypatch.setattr(school.apple, "asset", overtaken)
    await school.want_list()
    await school.work("read_list")
    pool = await school.pool()
    assert (pool["foreign_count"], pool["listed_at"]) == (0, school.clock.now())
    target = wish("X")
    await school.request(target)
    assert await school.state(target) == "reserved"
    await school.settle_all()
    assert await school.assigned() == await admin.holders() == {"X"}


async def test_earlier_counts_that_come_late_change_nothing(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = school.apple.asset

    async def overtaken(access: Access, key: AssetKey) -> ListedAsset | None:
        monkeypatch.setattr(school.apple, "asset", honest)
        before = await honest(access, key)
        await admin.post(f"/libraries/{await school.library()}/purchases", {"adam_id": APP, "count": 10})
        school.clock.turn(30)
        await school.want_assets()
        assert await school.work("read_assets") == ["read_assets"]
        return before

    monkeypatch.setattr(school.apple, "asset", overtaken)
    await school.want_list()
    assert await school.work("read_list") == ["read_list"]
    pool = await school.pool()
    assert (pool["total"], pool["read_at"]) == (60, school.clock.now())


async def test_a_foreign_licence_that_was_taken_back_elsewhere_is_forgotten(
    school: Office, admin: AppleAdmin
) -> None:
    await admin.give(APP, "FOREIGN-1", "FOREIGN-2")
    await school.want_assets()
    await school.settle_all()
    await admin.take(APP, "FOREIGN-1")
    await school.want_assets()
    await school.settle_all()
    assert (await school.pool())["foreign_count"] == 1
    assert [row[0] for row in await school.rows("SELECT holder FROM foreign_assignment")] == ["FOREIGN-2"]


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
    monkeypatch.setattr("licensing.ledger.serving.MOST_SERVED", 2)
    await admin.post(f"/libraries/{await school.library()}/purchases", {"adam_id": APP, "count": 5})
    await school.want_assets()
    await school.work("read_assets")
    assert (await school.pool())["waiting"] == 5
    served = []
    for _ in range(3):
        await school.clockwork.serve_waitlists()
        served.append((await school.pool())["waiting"])
    assert served == [3, 2, 2]
    await school.check()


async def test_the_clock_comes_back_from_a_waitlist_that_cannot_be_served(school: Office) -> None:
    async with school.database.transaction() as tx:
        await tx.raw.execute("UPDATE pool SET waiting = 1")  # though nobody waits
    async with asyncio.timeout(20):
        await school.clockwork.serve_waitlists()


async def test_the_clock_comes_back_however_fast_notifications_come_in(
    school: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def another(*_: object, **__: object) -> int:
        return 1

    monkeypatch.setattr("licensing.handlers.clockwork.read_notifications", another)
    async with asyncio.timeout(20):
        await school.clockwork.read_notifications()


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
