"""Lists that take longer than a step may: they are read in parts, prove what others prove, and lose nothing."""

import pytest

from licensing import work
from licensing.model import EventState, EventStatus
from licensing.settings import LicensingSettings
from licensing.store import user_readings
from shared.ids import new_id
from tests.licensing.crowd import Crowd, some
from tests.licensing.office import APP, AppleAdmin, Office, serials
from tests.licensing.situation import Wish, wishes


@pytest.fixture
def crowd(school: Office, admin: AppleAdmin) -> Crowd:
    return Crowd(school, admin)


async def kept(school: Office) -> int:
    ((many,),) = await school.rows("SELECT count(*) FROM listed_assignment")
    return int(many)


async def ended(school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch, *targets: Wish) -> None:
    """Have licences given, and let a list of one holder a page say what became of it."""

    async def failed(*_: object) -> EventState:
        return EventState(EventStatus.FAILED)

    await admin.knobs(page_size=1)
    school.read_page_by_page()
    monkeypatch.setattr(school.apple, "status", failed)
    await school.request(*targets)
    await school.work(work.INTENT)
    await admin.settled()
    school.clock.turn(30)
    await school.work(work.INTENT)
    monkeypatch.undo()


async def test_a_list_longer_than_a_step_settles_what_waits_for_it(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = wishes(4)
    await admin.give(APP, "FOREIGN-1", "XENOS-2")
    await ended(school, admin, monkeypatch, *targets)
    await admin.take(APP, targets[1].serial_number)
    assert await school.work(work.READ_LIST) == [work.READ_LIST] * 5
    assert (await school.pool())["foreign_count"] == 2
    assert await school.assigned() == serials([targets[0], *targets[2:]]), "absence from all parts proves"
    assert await kept(school) == 0
    await school.settle_all()
    assert await school.assigned() == serials(targets)
    await school.check()


async def test_a_short_list_is_read_at_once_and_keeps_nothing(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> int:
        raise AssertionError("nothing is kept")

    monkeypatch.setattr("licensing.store.listed.keep", never)
    monkeypatch.setattr("licensing.store.listed.kept", never)
    await admin.give(APP, *(f"FOREIGN-{number}" for number in range(12)))
    await admin.knobs(page_size=1)
    await school.want_list()
    assert await school.work(work.READ_LIST) == [work.READ_LIST]
    assert (await school.pool())["foreign_count"] == 12
    assert admin.requests("GET assignments") == 12


async def test_a_list_that_changes_between_two_parts_is_read_anew(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = wishes(4)
    await ended(school, admin, monkeypatch, *targets)
    await school.work_once(work.READ_LIST)
    await admin.give(APP, "A-FIRST")  # all the others move on by a page
    assert await school.work(work.READ_LIST) == [work.READ_LIST] * (4 + 5)
    assert await school.assigned() == serials(targets)
    assert [row[0] for row in await school.rows("SELECT holder FROM foreign_assignment")] == ["A-FIRST"]


async def test_a_request_that_ends_between_two_parts_is_settled_by_a_later_list(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = wishes(3, "A"), wishes(3, "B")
    await ended(school, admin, monkeypatch, *first)
    await school.work_once(work.READ_LIST)
    await ended(school, admin, monkeypatch, *second)
    while await school.rows("SELECT 1 FROM work WHERE payload ? 'walk'"):
        await school.work_once(work.READ_LIST)
    assert await school.assigned() == serials(first)
    await school.settle_all()
    assert await school.assigned() == serials(first + second)
    assert admin.requests("POST assets/associate") == 2


async def test_what_the_database_lost_of_a_list_is_read_anew(
    school: Office, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = wishes(3)
    await ended(school, admin, monkeypatch, *targets)
    await school.work_once(work.READ_LIST)
    await school.work_once(work.READ_LIST)
    assert await kept(school) == 2
    async with school.database.transaction() as tx:
        await tx.raw.execute("DELETE FROM listed_assignment")  # as PostgreSQL does when it recovers
    assert await school.work(work.READ_LIST) == [work.READ_LIST] * (1 + 3)
    assert await school.assigned() == serials(targets)
    assert admin.requests("POST assets/associate") == 1


async def test_who_asks_for_a_long_list_while_it_is_read_gets_the_next_one(
    school: Office, admin: AppleAdmin
) -> None:
    await admin.give(APP, *(f"FOREIGN-{number}" for number in range(3)))
    await admin.knobs(page_size=1)
    school.read_page_by_page()
    await school.want_list()
    await school.work_once(work.READ_LIST)
    async with school.database.transaction() as tx:
        await tx.raw.execute("UPDATE work SET due_at = due_at + interval '1 second'")
    await school.want_list()
    await school.want_list()
    assert await school.work(work.READ_LIST) == [work.READ_LIST], "put off"
    assert await school.pass_time(1) == [work.READ_LIST] * 2, "to the end"
    await admin.take(APP, "FOREIGN-2")
    assert await school.pass_time(28) == []
    assert await school.pass_time(1) == [work.READ_LIST] * 2
    assert (await school.pool())["foreign_count"] == 2


async def test_an_outage_in_the_middle_of_a_list_costs_no_page_that_was_read(
    school: Office, admin: AppleAdmin
) -> None:
    await admin.give(APP, *(f"FOREIGN-{number}" for number in range(8)))
    await admin.knobs(page_size=1)
    await school.want_list()
    await admin.fault("assignments", "error", status=500, error_number=9603, skip=6, times=20)
    assert await school.work(work.READ_LIST) == [work.READ_LIST, "read_list!apple_9603"]
    ((page,),) = await school.rows("SELECT (payload->'walk'->>'next_page')::int FROM work")
    assert page >= 1
    before = admin.requests("GET assignments")
    while await school.pass_time(5) != [work.READ_LIST]:
        before = admin.requests("GET assignments")
    assert admin.requests("GET assignments") == before + 8 - page
    assert (await school.pool())["foreign_count"] == 8


async def test_another_refusal_in_the_middle_of_a_list_is_no_shorter_list(
    school: Office, admin: AppleAdmin
) -> None:
    await admin.give(APP, "FOREIGN-1", "FOREIGN-2")
    await admin.knobs(page_size=1)
    await school.want_list()
    await admin.fault("assignments", "error", status=400, error_number=9602, skip=1)
    assert await school.work(work.READ_LIST) == ["read_list!apple_9602"]
    assert await school.pass_time(5) == [work.READ_LIST]
    assert (await school.pool())["foreign_count"] == 2
    assert admin.requests("GET assignments") == 2 + 2


async def test_a_long_list_of_users_is_read_and_judged_in_parts(
    school: Office, crowd: Crowd, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = some(4)
    await crowd.tell(*everybody)
    await crowd.invite(*everybody)
    await school.settle_all()
    for user_id in everybody[:2]:
        await crowd.accept(user_id)
    await admin.knobs(page_size=1)
    monkeypatch.setattr("licensing.roster.MOST_AT_ONCE", 1)
    school.read_page_by_page()
    async with school.database.transaction() as tx:
        await tx.raw.execute("UPDATE user_reading SET version_id = NULL")  # a first reading
        await work.want_users(tx, await school.library())
    assert await school.work(work.READ_USERS) == [work.READ_USERS] * (3 + 1 + 4), "pages, then people"
    assert await crowd.states(everybody) == ["associated"] * 2 + ["registered"] * 2
    ((payload, version_id),) = await school.rows(
        "SELECT (SELECT payload FROM work WHERE kind = 'read_users'), version_id FROM user_reading"
    )
    assert payload is None
    assert version_id


async def test_users_who_are_registered_while_a_long_list_is_read_wait_for_the_next(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    first, later = some(3), some(2)
    await crowd.joined(*first)
    await admin.knobs(page_size=1)
    school.read_page_by_page()
    async with school.database.transaction() as tx:
        await tx.raw.execute("UPDATE user_reading SET version_id = NULL")
        await work.want_users(tx, await school.library())
    await school.work_once(work.READ_USERS)
    await crowd.tell(*later)
    await crowd.invite(*later)
    await school.work(work.WRITE_USERS)
    await admin.settled()
    school.clock.turn(30)
    await school.work(work.WRITE_USERS)
    while await school.rows("SELECT 1 FROM work WHERE payload ? 'reading'"):
        await school.work_once(work.READ_USERS)
    assert await school.rows("SELECT 1 FROM user_write WHERE ended_at IS NOT NULL"), "it ended too late"
    await school.settle_all()
    assert await crowd.states([*first, *later]) == ["associated"] * 3 + ["registered"] * 2
    assert await school.rows("SELECT 1 FROM user_write") == []


async def test_a_whole_list_that_is_wanted_while_users_are_read_comes_next(
    school: Office, crowd: Crowd
) -> None:
    await crowd.joined(new_id())
    library_id = await school.library()
    async with school.database.transaction() as tx:
        await user_readings.begin(tx, library_id)
        await user_readings.want_whole(tx, library_id)
        await user_readings.end(tx, library_id, "a version")
        assert (await user_readings.begin(tx, library_id)).since is None
        await user_readings.end(tx, library_id, "another")
        assert (await user_readings.begin(tx, library_id)).since == "another"


def test_a_part_and_an_exchange_end_within_the_lease() -> None:
    settings = LicensingSettings.model_construct()
    longest = settings.pace.part.total_seconds() + settings.apple_deadline_seconds
    assert longest < settings.worker_lease_seconds * 0.9, "the worker cuts a step before its lease ends"
