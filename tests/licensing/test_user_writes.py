"""Requests about users: each is sent once, its outcome looked up, and one bad member spoils none of the others."""

from typing import Any

import pytest

from licensing.model import NewAppleUser
from shared.ids import new_id
from tests.licensing.crowd import CREATE, Crowd, some
from tests.licensing.office import AppleAdmin, Office
from tests.licensing.situation import wish


@pytest.fixture
def crowd(school: Office, admin: AppleAdmin) -> Crowd:
    return Crowd(school, admin)


REFUSED: list[dict[str, Any]] = [
    {"answer": "error", "status": 500, "error_number": 9603},
    {"answer": "error", "status": 429, "error_number": 9646},
    {"answer": "garbage", "status": 503},
    {"answer": "nothing"},
]
LOST: list[dict[str, Any]] = [
    {"answer": "garbage", "status": 502, "accepted": True},
    {"answer": "nothing", "accepted": True},
]


@pytest.mark.parametrize("fault", REFUSED + LOST, ids=lambda fault: "-".join(map(str, fault.values())))
async def test_whatever_apple_answers_everybody_is_made_once(
    school: Office, crowd: Crowd, admin: AppleAdmin, fault: dict[str, Any]
) -> None:
    people = some(3)
    await crowd.tell(*people)
    await admin.fault("users/create", **fault)
    await crowd.invite(*people)
    await school.settle_all()
    assert set(await crowd.states(people)) == {"registered"}
    assert admin.requests(CREATE) == (1 if fault in LOST else 2)
    assert {len(records) for records in (await crowd.at_apple()).values()} == {1}


DEATHS = (
    "store.user_writes.insert",
    "steps.user_writes.UserWriteStep._write",
    "store.user_writes.follow",
    "store.user_writes.end",
    "store.user_records.store",
    "roster.write",
    "store.user_readings.end",
    "store.user_writes.delete",
    "sealed.seal_link",
)


@pytest.mark.parametrize("place", DEATHS)
async def test_a_process_that_dies_there_is_followed_by_one_that_goes_on(
    school: Office, crowd: Crowd, admin: AppleAdmin, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    people = some(3)
    targets = [wish(user_id) for user_id in people]
    await crowd.tell(*people)
    await school.request(*targets)
    await school.work("want_apple_users")
    died = []

    def die(*_: object, **__: object) -> None:
        died.append(place)
        monkeypatch.undo()
        raise RuntimeError("the process died")

    monkeypatch.setattr(f"licensing.{place}", die)
    with pytest.raises(RuntimeError, match="the process died"):
        await school.settle_all()
    async with school.database.transaction() as tx:
        await tx.raw.execute("UPDATE work SET lease = NULL")
    await school.settle_all()

    assert died == [place]
    assert set(await crowd.states(people)) == {"registered"}
    assert {len(records) for records in (await crowd.at_apple()).values()} == {1}
    for user_id in people:
        await crowd.accept(user_id)
    await crowd.read()
    await school.settle_all()
    assert await school.rows("SELECT 1 FROM user_write") == []
    assert {await school.state(target) for target in targets} == {"assigned"}
    invited = [user for kind, user, _ in await crowd.told_of_people() if kind == "InvitationRequested"]
    assert sorted(invited) == sorted(people)
    await school.check()


async def test_an_unknown_outcome_is_looked_up_before_anything_is_sent_again(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    zoe = new_id()
    await crowd.tell(zoe)
    await admin.fault("users/create", "nothing", accepted=False, seconds=2.5)
    await crowd.invite(zoe)
    await school.work()
    await school.pass_time(599)
    assert admin.requests(CREATE) == 1
    await school.settle_all()
    assert admin.requests(CREATE) == 2
    assert (await crowd.user(zoe)).state == "registered"


@pytest.mark.parametrize("shown_before", [False, True])
async def test_one_who_exists_already_is_taken_as_made(
    school: Office, crowd: Crowd, admin: AppleAdmin, *, shown_before: bool
) -> None:
    zoe = new_id()
    await school.apple.create_users(await crowd.access(), [NewAppleUser(str(zoe))])
    await admin.settled()
    if shown_before:  # as a stranger
        await crowd.joined(new_id())
    await crowd.tell(zoe)
    await crowd.invite(zoe)
    await school.settle_all()
    assert (await crowd.user(zoe)).state == "registered"
    assert await crowd.told_of_people() == [("InvitationRequested", zoe, 1)]


async def test_a_bad_mail_address_is_dropped_and_the_rest_goes_on(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    zoe, *others = people = some(5)
    await crowd.tell(*others)
    await crowd.tell(zoe, mail_address="no address")
    await crowd.invite(*people)
    await school.settle_all()
    assert set(await crowd.states(people)) == {"registered"}
    assert "email" not in (await crowd.at_apple())[str(zoe)][0]


async def test_a_user_that_apple_will_not_have_is_found_by_halves(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    people = some(9)
    targets = [wish(user_id) for user_id in people]
    admin.poison_user(str(people[5]))
    await crowd.tell(*people)
    await school.request(*targets)
    await school.settle_all()
    states = await crowd.states(people)
    assert states[5] == "failed"
    assert set(states) == {"failed", "registered"}
    assert states.count("failed") == 1
    assert [await school.state(targets[place]) for place in (5, 4)] == ["refused", "awaiting_acceptance"]
    await school.check()


async def test_limits_that_fell_split_the_request(school: Office, crowd: Crowd, admin: AppleAdmin) -> None:
    people = some(30)
    await crowd.tell(*people)
    await admin.knobs(limits={"maxUsers": 10})  # and we believe in the hundred of before
    await crowd.invite(*people)
    await school.settle_all()
    assert set(await crowd.states(people)) == {"registered"}


@pytest.mark.parametrize("number", [9603, 9644])
async def test_what_failed_for_now_is_repeated(
    school: Office, crowd: Crowd, admin: AppleAdmin, number: int
) -> None:
    zoe, ann = some(2)
    await crowd.tell(zoe, ann)
    await admin.fault("users/create", "failed", error_number=number, targets=[str(zoe)])
    await crowd.invite(zoe, ann)
    await school.settle_all()
    assert await crowd.states([zoe, ann]) == ["registered"] * 2
    assert admin.requests(CREATE) == 2


async def test_a_version_that_apple_forgot_is_followed_by_a_full_reading(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    zoe = new_id()
    await crowd.tell(zoe)
    await crowd.invite(zoe)
    await school.settle_all()
    await admin.fault("users", "error", status=400, error_number=9721)
    await crowd.accept(zoe)
    await crowd.read()
    assert (await crowd.user(zoe)).state == "associated"


async def test_only_what_changed_is_read(school: Office, crowd: Crowd, admin: AppleAdmin) -> None:
    await crowd.joined(*some(3))
    zoe = new_id()
    await crowd.tell(zoe)
    await crowd.invite(zoe)
    await school.settle_all()
    shown = await school.rows("SELECT max(reading) AS last FROM apple_user_record")
    changed = await school.rows(
        "SELECT count(*) AS many FROM apple_user_record WHERE reading = $1", shown[0]["last"]
    )
    assert changed[0]["many"] == 1
