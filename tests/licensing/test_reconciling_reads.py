"""How a reconciliation reads: in parts that a death does not spoil, and believing no list that changed."""

from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest

from licensing import work
from licensing.model import Access, AssetKey, AssignmentPage
from tests.licensing.audit import Audit, given
from tests.licensing.conftest import Call
from tests.licensing.office import APP, AppleAdmin, Office, serials


@pytest.fixture
async def audit(school: Office, call: Call) -> Audit:
    return Audit(school, call)


async def test_a_kill_in_the_middle_resumes_where_it_stood(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    await given(school, 3)
    await admin.give(APP, "X1")
    its_id = await audit.begin()
    for _ in range(2):  # the counts, and the first of two pools
        row = await school._claim((work.RECONCILE,))
        assert row is not None
        assert await school._do(row) == work.RECONCILE
    read = admin.requests("GET assignments")
    assert (await audit.get(f"/{its_id}"))["pools"] == 1
    row = await school._claim((work.RECONCILE,))
    assert row is not None, "claimed, and its process dies"
    async with school.database.transaction() as tx:
        await tx.raw.execute(
            "INSERT INTO listed_assignment SELECT $1, id, false, 'half a page' FROM pool", UUID(its_id)
        )
        await tx.raw.execute("UPDATE work SET lease = NULL")
    assert await school.work(work.RECONCILE) == [work.RECONCILE]
    assert admin.requests("GET assignments") == read + 1
    assert await audit.states(its_id) == {"foreign": {"open": 1}}
    assert (await audit.get(f"/{its_id}"))["state"] == "ended"


async def test_a_long_list_is_read_in_parts(school: Office, audit: Audit, admin: AppleAdmin) -> None:
    robbed, *_ = await given(school, 5)
    await admin.take(APP, robbed.serial_number)
    await admin.give(APP, "X1")
    await admin.knobs(page_size=1)
    school.read_page_by_page()
    its_id = await audit.begin()
    assert len(await school.work(work.RECONCILE)) == 1 + 5 + 1, "the counts, five holders, an empty pool"
    assert await audit.states(its_id) == {"taken": {"open": 1}, "foreign": {"open": 1}}
    shown = await audit.get(f"/{its_id}")
    assert (shown["listed"], shown["inexact"]) == (5, 0)


async def test_a_death_in_the_middle_of_a_part_begins_that_list_anew(
    school: Office, audit: Audit, admin: AppleAdmin
) -> None:
    await given(school, 5)
    await admin.knobs(page_size=1)
    school.read_page_by_page()
    its_id = await audit.begin()
    while not await school.rows("SELECT 1 FROM listed_assignment"):
        row = await school._claim((work.RECONCILE,))
        if row is None:
            school.clock.turn(2)  # what was put off is due again
            continue
        await school._do(row)
    async with school.database.transaction() as tx:
        await tx.raw.execute(
            "INSERT INTO listed_assignment SELECT reading_id, pool_id, false, 'a page more'"
            " FROM listed_assignment LIMIT 1"
        )
    await school.work(work.RECONCILE)
    shown = await audit.get(f"/{its_id}")
    assert (shown["state"], shown["listed"], shown["differences"]) == ("ended", 5, [])


async def test_a_list_that_the_database_lost_is_read_again(
    school: Office, audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = await given(school, 3)
    honest = school.apple.assignments

    async def crashing(access: Access, key: AssetKey, **said: int) -> AsyncIterator[AssignmentPage]:
        async for page in honest(access, key, **said):
            yield replace(page, next_page=1)
        async with school.database.transaction() as tx:
            await tx.raw.execute("DELETE FROM listed_assignment")
        yield AssignmentPage((), (), page.version_id)

    its_id = await audit.begin()
    monkeypatch.setattr(school.apple, "assignments", crashing)
    done = await school.work(work.RECONCILE)
    assert f"{work.RECONCILE}!list_lost" in done
    monkeypatch.undo()
    school.clock.turn(5)
    await school.work(work.RECONCILE)
    assert await audit.states(its_id) == {}
    assert await school.assigned() == serials(targets)


async def test_a_list_that_keeps_changing_proves_no_absence(
    school: Office, audit: Audit, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    robbed, *_ = await given(school, 3)
    await admin.take(APP, robbed.serial_number)
    await admin.give(APP, "X1")
    honest = school.apple.assignments

    async def restless(access: Access, key: AssetKey, **said: int) -> AsyncIterator[AssignmentPage]:
        async for page in honest(access, key, **said):
            yield replace(page, next_page=1)
        yield AssignmentPage((), (), "another version")

    monkeypatch.setattr(school.apple, "assignments", restless)
    its_id = await audit.run()
    assert await audit.states(its_id) == {"foreign": {"open": 1}}
    assert (await audit.get(f"/{its_id}"))["inexact"] == 2
    monkeypatch.undo()
    assert (await audit.states(await audit.run())).keys() == {"foreign", "taken"}


async def test_a_library_that_is_being_reconciled_is_not_begun_again(school: Office, audit: Audit) -> None:
    first = await audit.begin()
    again = await audit.post("", {"library_id": await school.library()})
    await school.clockwork.reconcile()
    assert [each["reconciliation_id"] for each in again["items"]] == [first]
    assert [each["reconciliation_id"] for each in (await audit.get(""))["items"]] == [first]
    assert len(await school.rows("SELECT 1 FROM work WHERE kind = 'reconcile'")) == 1
