"""Reconciliations through HTTP and a simulated Apple: each class is found, shown, and repaired if somebody says so."""

import random
from dataclasses import replace

import pytest

from licensing import work
from licensing.handlers import show_drift
from licensing.model import Access, AssetList
from local.simulators.apple.assets import HolderKind
from shared.events.licensing import LicenseReleased
from shared.ids import new_id
from shared.metrics import DRIFT_LICENSES
from tests.licensing.audit import Audit, given
from tests.licensing.conftest import Call
from tests.licensing.office import APP, BOOK, AppleAdmin, Office, serials
from tests.licensing.situation import Wish, wish, wishes


@pytest.fixture
async def audit(school: Office, call: Call) -> Audit:
    return Audit(school, call)


async def drift(school: Office, kind: str = "foreign") -> float:
    """Return what the metric shows of a class."""
    await show_drift(school.database)
    shown: float = DRIFT_LICENSES.labels(kind)._value.get()
    return shown


async def test_nothing_is_found_after_a_quiet_story(school: Office, audit: Audit) -> None:
    targets = await given(school, 5)
    await school.revoke(*targets[:2])
    await school.settle_all()
    its_id = await audit.run()
    shown = await audit.get(f"/{its_id}")
    assert (shown["state"], shown["differences"]) == ("ended", [])
    assert (shown["pools"], shown["listed"], shown["inexact"]) == (2, 3, 0)
    assert await school.rows("SELECT 1 FROM listed_assignment") == []


async def test_nothing_is_found_while_requests_are_on_their_way(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    leaving, *_ = await given(school, 1)
    await school.request(*wishes(3, "N"))
    await school.revoke(leaving)
    await school.work(work.INTENT)
    await admin.settled()
    its_id = await audit.run()
    assert await audit.states(its_id) == {}


async def test_a_target_whose_former_licence_is_on_its_way_back_is_no_difference(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    leaving, *_ = await given(school, 50)
    await school.revoke(leaving)
    await school.work(work.INTENT)
    await admin.settled()
    again = wish(leaving.serial_number)
    await school.request(again)
    assert await school.state(again) == "waitlisted"
    await admin.give(APP, leaving.serial_number)
    assert await audit.states(await audit.run()) == {}


async def test_what_another_hand_gave_is_shown_and_reclaimed_only_when_somebody_says_so(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    await given(school, 1)
    await admin.give(APP, "X1")
    its_id = await audit.run()
    [found] = await audit.found(its_id)
    assert (found["class"], found["serial_number"], found["repair"]) == ("foreign", "X1", "reclaim")
    assert (found["ours"], found["apples"], found["state"]) == ({"state": None}, {"listed": True}, "open")
    await school.settle_all()
    assert "X1" in await admin.holders()
    assert (await school.pool())["foreign_count"] == 1
    await audit.apply(its_id, "foreign")
    assert (await school.pool())["foreign_count"] == 0
    await school.check()
    await school.settle_all()
    assert "X1" not in await admin.holders()
    assert (await school.pool())["held"] == 1
    [proof] = await school.rows(
        "SELECT kind, proof, correlation_id FROM license JOIN settlement ON settlement.id = settlement_id"
        " WHERE serial_number = 'X1'"
    )
    assert (proof["kind"], proof["proof"]) == ("disassociate", "event")
    assert str(proof["correlation_id"]) == its_id


async def test_what_was_adopted_meanwhile_is_not_reclaimed(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    await admin.give(APP, "X1")
    its_id = await audit.run()
    await school.request(wish("X1"))
    await school.settle_all()
    await audit.apply(its_id)
    assert await audit.states(its_id) == {"foreign": {"gone": 1}}
    await school.settle_all()
    assert await school.assigned() == await admin.holders() == {"X1"}


async def test_what_was_taken_back_meanwhile_is_not_reclaimed(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    await admin.give(APP, "X1")
    its_id = await audit.run()
    await admin.take(APP, "X1")
    school.clock.turn(1)
    async with school.database.transaction() as tx:
        await work.want_lists(tx, [school.pool_id])
    await school.work()
    await audit.apply(its_id)
    assert await audit.states(its_id) == {"foreign": {"gone": 1}}
    assert await school.states() == {}


async def test_what_another_hand_took_ends_and_serves_who_waits(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    robbed, *others = await given(school, 50)
    waiting = wish("W1")
    await school.request(waiting)
    await school.told()
    await admin.take(APP, robbed.serial_number)
    its_id = await audit.run()
    [found] = await audit.found(its_id)
    assert (found["class"], found["entitlement_id"]) == ("taken", str(robbed.entitlement_id))
    assert await school.assigned() == serials([robbed, *others]), "a plan changes nothing"
    await audit.apply(its_id)
    assert await school.state(robbed) == "lost"
    await school.check()
    [event] = [event for _, event in await school.told() if isinstance(event, LicenseReleased)]
    assert [(each.serial_number, each.asked) for each in event.targets] == [(robbed.serial_number, False)]
    await school.settle_all()
    assert await school.assigned() == serials([waiting, *others]) == await admin.holders()


async def test_who_waits_for_what_another_hand_gave_them_keeps_it(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    waiting = wish("W1")
    await school.request(*wishes(50), waiting)
    await admin.give(APP, "W1")
    its_id = await audit.run()
    [found] = await audit.found(its_id)
    assert (found["class"], found["ours"]) == ("foreign", {"state": "waitlisted"})
    await audit.apply(its_id)
    assert await audit.states(its_id) == {"foreign": {"gone": 1}}
    await school.settle_all()
    assert await school.state(waiting) == "assigned"
    await school.check()


async def test_a_life_that_was_asked_about_meanwhile_is_not_ended(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    robbed, *_ = await given(school, 1)
    await admin.take(APP, robbed.serial_number)
    its_id = await audit.run()
    await school.request(replace(robbed, version=2), priority=9)
    await audit.apply(its_id)
    assert await audit.states(its_id) == {"taken": {"gone": 1}}
    assert await school.state(robbed) == "assigned"


async def test_what_changed_shortly_before_the_reading_proves_nothing(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    robbed, *_ = await given(school, 1)
    await admin.take(APP, robbed.serial_number)
    school.clock.turn(30)
    await audit.post("", {})
    await school.work(work.RECONCILE)
    [row] = (await audit.get(""))["items"]
    assert await audit.states(row["reconciliation_id"]) == {}


async def test_what_we_gave_back_and_apple_lists_all_the_same_is_given_back_again(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    target, *_ = await given(school, 1)
    await school.revoke(target)
    await school.settle_all()
    await admin.give(APP, target.serial_number)
    its_id = await audit.run()
    assert await audit.states(its_id) == {"our_fault": {"open": 1}}
    await audit.apply(its_id, "our_fault")
    await school.settle_all()
    assert await admin.holders() == set()
    assert (await school.pool())["held"] == 0


async def test_a_request_whose_outcome_was_lost_is_settled_by_the_list(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    done, undone = wish("DONE"), wish("UNDONE")
    await school.request(done, undone)
    await school.work(work.INTENT)
    await admin.settled()
    await admin.take(APP, "UNDONE")
    async with school.database.transaction() as tx:
        await tx.raw.execute("DELETE FROM work")
    school.clock.turn(600)
    its_id = await audit.run()
    assert await audit.states(its_id) == {"lost_message": {"open": 2}}
    await audit.apply(its_id)
    assert await audit.states(its_id) == {"lost_message": {"applied": 2}}
    await school.settle_all()
    assert await school.assigned() == {"DONE", "UNDONE"} == await admin.holders()
    await school.check()


async def test_a_purchase_in_the_console_is_a_difference_in_counts(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    await admin.refund(APP, 20)
    its_id = await audit.run()
    [found] = await audit.found(its_id, **{"class": "counts"})
    assert (found["ours"]["total"], found["apples"]["total"]) == (50, 30)
    assert (found["adam_id"], found["pool_id"]) == (APP, str(school.pool_id))
    await audit.apply(its_id, "counts")
    await school.settle_all()
    assert (await school.pool())["total"] == 30
    assert await audit.states(its_id) == {"counts": {"applied": 1}}


async def test_counts_that_were_read_since_are_gone(school: Office, audit: Audit, admin: AppleAdmin) -> None:
    await admin.refund(APP, 20)
    its_id = await audit.run()
    assert await drift(school, "counts") == 1
    school.clock.turn(1)
    await school.want_assets()
    await school.work()
    assert await drift(school, "counts") == 0
    await audit.apply(its_id)
    assert await audit.states(its_id) == {"counts": {"gone": 1}}


async def test_counts_that_were_read_meanwhile_are_believed(
    school: Office, audit: Audit, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = school.apple.assets

    async def overtaken(access: Access) -> AssetList:
        listed = await honest(access)
        monkeypatch.undo()
        await admin.refund(APP, 20)
        school.clock.turn(1)
        await school.want_assets()
        await school.work(work.READ_ASSETS)
        return listed

    monkeypatch.setattr(school.apple, "assets", overtaken)
    assert await audit.states(await audit.run()) == {}
    assert (await school.pool())["total"] == 30


async def test_the_librarys_setting_repairs_a_class_without_a_question(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    robbed, *_ = await given(school, 1)
    await admin.take(APP, robbed.serial_number)
    await admin.give(APP, "X1")
    async with school.database.transaction() as tx:
        await tx.raw.execute("UPDATE library SET repairs = '{taken}'")
    its_id = await audit.run()
    await school.work(work.REPAIR)
    assert await audit.states(its_id) == {"taken": {"applied": 1}, "foreign": {"open": 1}}
    assert await school.state(robbed) == "lost"


async def test_applying_twice_changes_nothing_the_second_time(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    robbed, *_ = await given(school, 2)
    await admin.take(APP, robbed.serial_number)
    await admin.give(APP, "X1")
    its_id = await audit.run()
    await audit.apply(its_id)
    before = await audit.states(its_id), await school.states(), await school.pool()
    await school.told()
    await audit.apply(its_id)
    assert (await audit.states(its_id), await school.states(), await school.pool()) == before
    assert await school.told() == []


async def test_an_irrevocable_licence_and_one_of_a_stranger_are_left(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    library = admin._library()
    for adam_id in (APP, BOOK):
        library.assets[admin._key(adam_id)].associate(HolderKind.USER, ["somebody"])
    admin.simulator.world.touch(library)
    its_id = await audit.run()
    found = await audit.found(its_id)
    assert {(each["client_user_id"], each["user_id"]) for each in found} == {("somebody", None)}
    await audit.apply(its_id)
    assert await audit.states(its_id) == {"foreign": {"ignored": 2}}


async def test_a_later_reconciliation_takes_over_what_was_left_open(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    await admin.give(APP, "X1", "X2")
    first = await audit.run()
    await admin.take(APP, "X2")
    second = await audit.begin()
    while row := await school._claim((work.RECONCILE,)):
        assert await drift(school) == 2, "the last one that ended counts"
        await school._do(row)
    assert await audit.states(first) == {"foreign": {"ignored": 2}}
    assert await audit.states(second) == {"foreign": {"open": 1}}
    assert await drift(school) == 1
    await audit.apply(second)
    assert await drift(school) == 0


async def test_old_reconciliations_are_forgotten(school: Office, audit: Audit, admin: AppleAdmin) -> None:
    await admin.give(APP, "X1")
    await audit.run()
    await school.clockwork.forget_reconciliations()
    assert len((await audit.get(""))["items"]) == 1
    school.clock.turn(31 * 86_400)
    await school.clockwork.forget_reconciliations()
    assert (await audit.get(""))["items"] == []
    assert await school.rows("SELECT 1 FROM difference") == []


async def test_differences_are_listed_by_class_and_state_page_by_page(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    await admin.give(APP, "X1", "X2", "X3")
    its_id = await audit.run()
    first = await audit.get(f"/{its_id}/differences?limit=2&class=foreign&state=open")
    rest = await audit.get(f"/{its_id}/differences?limit=2&cursor={first['next_cursor']}")
    assert [len(first["items"]), len(rest["items"]), rest["next_cursor"]] == [2, 1, None]
    assert {each["serial_number"] for each in first["items"] + rest["items"]} == {"X1", "X2", "X3"}
    assert await audit.found(its_id, state="applied") == []


async def test_what_cannot_be_is_refused(school: Office, audit: Audit, call: Call) -> None:
    its_id, unknown = await audit.begin(), f"/v1/reconciliations/{new_id()}"
    refused = {
        "still_reading": (f"/v1/reconciliations/{its_id}/apply", {}, 409),
        "unknown_reconciliation": (f"{unknown}/apply", {}, 404),
        "unknown_library": ("/v1/reconciliations", {"library_id": "other"}, 422),
        "invalid": (f"/v1/reconciliations/{its_id}/apply", {"classes": ["bad"]}, 422),
    }
    for slug, (path, body, status) in refused.items():
        response = await call("POST", path, json=body)
        assert (response.status_code, response.json()["type"].rpartition("/")[2]) == (status, slug)
    for path in (unknown, f"{unknown}/differences"):
        assert (await call("GET", path)).status_code == 404
    reader = await call("POST", "/v1/reconciliations", scope="licenses:read", json={})
    assert reader.status_code == 403


async def test_a_repeated_post_with_its_key_is_answered_again(
    school: Office, audit: Audit, call: Call
) -> None:
    key = {"Idempotency-Key": "daily"}
    first = await call("POST", "/v1/reconciliations", json={}, headers=key)
    await school.work(work.RECONCILE)
    again = await call("POST", "/v1/reconciliations", json={}, headers=key)
    assert first.json() == again.json()
    assert len((await audit.get(""))["items"]) == 1


@pytest.mark.parametrize("seed", range(3))
async def test_after_any_story_with_another_hand_both_sides_agree_once_all_is_repaired(
    school: Office, audit: Audit, admin: AppleAdmin, seed: int
) -> None:
    dice = random.Random(seed)
    names = [f"D{number}" for number in range(12)]
    asked: dict[str, Wish] = {}
    for _ in range(25):
        name = dice.choice(names)
        match dice.choice(["ask", "ask", "give_back", "console_gives", "console_takes", "time"]):
            case "ask" if name not in asked:
                asked[name] = wish(name)
                await school.request(asked[name])
            case "give_back" if name in asked:
                await school.revoke(asked.pop(name))
            case "console_gives":
                await admin.give(APP, name)
            case "console_takes":
                await admin.take(APP, name)
            case _:
                await school.pass_time(dice.choice([1, 40, 700]))
                await admin.settled()
    await school.settle_all()
    await audit.apply(await audit.run())
    await school.settle_all()
    assert await audit.states(await audit.run()) == {}
    assert await admin.holders() == await school.assigned()
    assert await school.assigned() <= asked.keys(), "nobody holds what was given back"
    assert (await school.pool())["foreign_count"] == 0
    await school.check()
