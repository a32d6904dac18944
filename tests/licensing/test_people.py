"""Our copy of the people: the newest word on each, sealed, forgotten when they are, and told to nobody."""

import asyncio
import json
import logging
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest

from licensing import roster
from licensing.store import apple_users, people
from shared.errors import Poison
from shared.events import Heard
from shared.events.assignment import UserChanged
from shared.ids import new_id
from shared.vault import Vault
from tests.licensing.conftest import Call
from tests.licensing.crowd import Crowd, mail_address, some
from tests.licensing.office import AppleAdmin, Office
from tests.licensing.situation import wish


@pytest.fixture
def crowd(school: Office, admin: AppleAdmin) -> Crowd:
    return Crowd(school, admin)


async def person(school: Office, user_id: UUID) -> tuple[int, str]:
    ((version, state),) = await school.rows("SELECT version, state FROM person WHERE user_id = $1", user_id)
    return version, state


async def test_an_older_word_on_a_person_changes_nothing(school: Office, crowd: Crowd) -> None:
    zoe = new_id()
    await crowd.tell(zoe, version=5, mail_address="new@school.example")
    await crowd.tell(zoe, version=4, mail_address="old@school.example", state="left")
    await crowd.tell(zoe, version=5, mail_address="other@school.example")
    assert await person(school, zoe) == (5, "active")
    assert await mail_address(school, zoe) == "new@school.example"


async def test_of_one_batch_the_newest_word_counts(school: Office, crowd: Crowd) -> None:
    zoe = new_id()
    heard = []
    for version in (3, 7, 5):
        event = UserChanged(user_id=zoe, state="active", mail_address=f"v{version}@school.example")
        heard.append(Heard(crowd.envelope(event, sequence=version), event))
    async with school.database.transaction() as tx:
        await crowd.keep(tx, heard)
    assert await mail_address(school, zoe) == "v7@school.example"


async def test_an_erased_person_leaves_id_and_version_and_never_returns(school: Office, crowd: Crowd) -> None:
    zoe = new_id()
    await crowd.tell(zoe, version=3, managed_apple_id="zoe@example.com")
    await crowd.erase(zoe, version=2)
    assert await person(school, zoe) == (3, "active")
    await crowd.erase(zoe, version=4)
    await crowd.tell(zoe, version=9)
    assert await person(school, zoe) == (4, "deleted")
    rows = await school.rows("SELECT mail_address, managed_apple_id FROM person WHERE user_id = $1", zoe)
    assert list(rows[0]) == [None, None]


async def test_who_reads_the_database_cannot_guess_a_managed_apple_id_and_a_rotation_parts_no_namesakes(
    school: Office, crowd: Crowd, tmp_path: Path
) -> None:
    zoe, ann, other = some(3)
    keyset = Vault.generate()
    for user_id, name, keys in (
        (zoe, "Zoe", keyset),
        (ann, "zoe", Vault.rotate(keyset)),
        (other, "x", keyset),
    ):
        (tmp_path / "keyset.json").write_text(keys)
        school.vault = Vault.load(tmp_path / "keyset.json")
        await crowd.tell(user_id, managed_apple_id=f"{name}@example.com")
    rows = await school.rows("SELECT user_id, managed_digest FROM person")
    digests = {row["user_id"]: row["managed_digest"] for row in rows}
    assert digests[zoe] == digests[ann] != digests[other]
    assert digests[zoe] != sha256(b"zoe@example.com").digest()


async def test_two_replicas_that_hear_of_the_first_people_agree_on_one_digest_key(
    school: Office, crowd: Crowd
) -> None:
    await asyncio.gather(*[crowd.tell(each, managed_apple_id="zoe@example.com") for each in some(8)])
    assert len(await school.rows("SELECT DISTINCT managed_digest FROM person")) == 1


async def test_a_person_without_a_version_is_poison(school: Office, crowd: Crowd) -> None:
    event = UserChanged(user_id=new_id(), state="active")
    with pytest.raises(Poison, match="no_sequence"):
        async with school.database.transaction() as tx:
            await crowd.keep(tx, [Heard(crowd.envelope(event), event)])


async def test_who_left_is_not_registered_until_they_are_back(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    zoe = new_id()
    await crowd.tell(zoe, state="left")
    await crowd.invite(zoe)
    await school.settle_all()
    assert admin.requests("POST users/create") == 0
    await crowd.tell(zoe, version=2)
    await school.settle_all()
    assert (await crowd.user(zoe)).state == "registered"


async def test_an_invitation_to_an_unknown_library_is_no_ones(school: Office, crowd: Crowd) -> None:
    zoe = new_id()
    await crowd.tell(zoe)
    await crowd.invite(zoe, library_id="elsewhere")
    await school.settle_all()
    assert await school.rows("SELECT 1 FROM apple_user") == []


async def test_who_joined_already_is_told_of_again(school: Office, crowd: Crowd) -> None:
    zoe = new_id()
    await crowd.joined(zoe)
    await crowd.invite(zoe)
    await school.settle_all()
    assert await crowd.told_of_people() == [("AppleUserAssociated", zoe, 2)]


async def test_scenario_09_no_licence_waits_for_who_has_joined(school: Office, crowd: Crowd) -> None:
    everybody = [new_id() for _ in range(20)]
    targets = [wish(user_id) for user_id in everybody]
    await crowd.tell(*everybody)
    await crowd.invite(*everybody)
    await school.settle_all()
    for user_id in everybody:
        await crowd.accept(user_id)
    await school.clockwork.want_users()
    reserving = [school.request(target) for target in targets]
    await asyncio.gather(school.work("read_users"), *reserving)

    async with school.database.transaction() as tx:
        assert await roster.accept_left_behind(tx) == 0
    await school.settle_all()
    assert {await school.state(target) for target in targets} == {"assigned"}
    await school.check()


async def test_a_licence_left_behind_is_shown_and_mended(school: Office, crowd: Crowd) -> None:
    zoe = new_id()
    target = wish(zoe)
    await crowd.tell(zoe)
    await school.request(target)
    await school.settle_all()
    async with school.database.transaction() as tx:
        await tx.raw.execute("UPDATE apple_user SET state = 'associated'")
    await crowd.accept(zoe)
    await school.clockwork.accept_left_behind()
    await school.settle_all()
    assert await school.state(target) == "assigned"


async def test_locking_a_person_twice_is_waiting_for_the_first(school: Office) -> None:
    zoe = new_id()
    order: list[str] = []

    async def second() -> None:
        async with school.database.transaction() as tx:
            await people.lock(tx, {zoe: None})
            order.append("second")

    async with school.database.transaction() as tx:
        await people.lock(tx, {zoe: 4})
        waiting = asyncio.create_task(second())
        await asyncio.sleep(0.1)
        order.append("first")
    await waiting
    assert order == ["first", "second"]
    ((wanted,),) = await school.rows("SELECT wanted_version FROM person WHERE user_id = $1", zoe)
    assert wanted == 4


async def test_client_user_ids_are_found_both_ways(school: Office, crowd: Crowd) -> None:
    zoe, ann = new_id(), new_id()
    await crowd.joined(zoe)
    library_id = await school.library()
    async with school.database.reading() as tx:
        assert await apple_users.client_user_ids(tx, library_id, [zoe, ann]) == {zoe: str(zoe)}
        assert await apple_users.user_ids(tx, library_id, [str(zoe), "stranger"]) == {str(zoe): zoe}
        pairs = {(library_id, zoe), (library_id, ann)}
        assert await apple_users.associated(tx, pairs) == {(library_id, zoe)}


async def test_apple_users_are_listed_with_filters_and_pages(
    school: Office, crowd: Crowd, call: Call
) -> None:
    everybody = [new_id() for _ in range(5)]
    await crowd.joined(*everybody[:2])
    await crowd.tell(*everybody[2:4])
    await crowd.invite(*everybody[2:])
    await school.settle_all()

    shown: list[dict[str, object]] = []
    cursor = None
    while True:
        page = (
            await call(
                "GET", "/v1/apple-users", params={"limit": 2, "cursor": cursor} if cursor else {"limit": 2}
            )
        ).json()
        shown += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [each["user_id"] for each in shown] == sorted(map(str, everybody))
    states = {str(each["user_id"]): each["state"] for each in shown}
    assert [states[str(each)] for each in everybody] == ["associated"] * 2 + ["registered"] * 2 + ["wanted"]
    blocked = {each["user_id"]: each["blocked_by"] for each in shown}
    assert blocked[str(everybody[4])] == "person_not_heard_of"
    for query, count in (
        ({"state": "registered"}, 2),
        ({"state": "wanted"}, 1),
        ({"user_id": str(everybody[0])}, 1),
        ({"library_id": "elsewhere"}, 0),
    ):
        assert len((await call("GET", "/v1/apple-users", params=query)).json()["items"]) == count


@pytest.mark.parametrize(
    ("method", "path", "scope", "status"),
    [
        ("GET", "", None, 401),
        ("GET", "", "directory:read", 403),
        ("POST", "/{user}/reinvite", "licenses:read", 403),
        ("GET", "/{user}", "licenses:read", 404),
        ("POST", "/{user}/reinvite", "licenses:admin", 404),
    ],
)
async def test_strangers_are_kept_out_and_unknown_people_not_found(
    call: Call, method: str, path: str, scope: str | None, status: int
) -> None:
    said = {"json": {"library_id": "lib"}} if method == "POST" else {}
    answer = await call(method, "/v1/apple-users" + path.format(user=new_id()), scope=scope, **said)
    assert answer.status_code == status


async def test_nothing_of_a_person_leaves_but_their_id(
    school: Office, crowd: Crowd, call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    """Promise 8: in no answer, no broadcast event, no log line, no work row, and in no column in the clear."""
    caplog.set_level(logging.DEBUG)
    zoe = new_id()
    await crowd.tell(zoe, mail_address="zoe.secret@school.example", managed_apple_id="zoe@elsewhere.example")
    await school.request(wish(zoe))
    await school.settle_all()
    code = (await crowd.at_apple())[str(zoe)][0]["inviteCode"]
    kept = [
        *await school.rows("SELECT * FROM person"),
        *await school.rows("SELECT * FROM apple_user"),
        *await school.rows("SELECT * FROM apple_user_record"),
        *await school.rows("SELECT key, headers, value FROM outbox"),
    ]
    await crowd.accept(zoe)
    await crowd.read()
    answer = await call("GET", f"/v1/apple-users/{zoe}")
    seen = " ".join([answer.text, caplog.text, json.dumps([list(map(str, row)) for row in kept])])
    id_hash = (await crowd.at_apple())[str(zoe)][0]["idHash"]
    for secret in ("zoe.secret", "elsewhere.example", code):
        assert secret not in seen
    assert id_hash not in answer.text
