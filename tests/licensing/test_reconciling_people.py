"""People are reconciled as devices are: by Apple's name for them, which is not their user id."""

from uuid import UUID

import pytest

from licensing import work
from licensing.model import NewAppleUser
from licensing.steps import Desk
from local.simulators.apple.assets import HolderKind
from shared.events.licensing import LicenseReleased
from shared.ids import new_id
from tests.licensing.audit import Audit
from tests.licensing.conftest import Call
from tests.licensing.office import APP, BOOK, PACE, AppleAdmin, Office
from tests.licensing.situation import Wish, wish

ANNA = "anna-at-apple"


@pytest.fixture
async def audit(school: Office, call: Call) -> Audit:
    return Audit(school, call)


@pytest.fixture
async def anna(school: Office, admin: AppleAdmin) -> Wish:
    """A person whose Apple user is associated."""
    access = await Desk(school.database, school.vault, PACE).access(await school.library())
    await school.apple.create_users(access, [NewAppleUser(ANNA)])
    await admin.notified()
    await school.settle_all()  # Apple's word on her is read by now
    anna = wish(new_id())
    async with school.database.transaction() as tx:
        await tx.raw.execute(
            "INSERT INTO person (user_id, version, state) VALUES ($1, 1, 'active')", anna.holder
        )
        await tx.raw.execute(
            "INSERT INTO apple_user (library_id, user_id, client_user_id, state, correlation_id, changed_at)"
            " VALUES ($1, $2, $3, 'associated', $2, $4)",
            access.library_id,
            anna.holder,
            ANNA,
            tx.now,
        )
    return anna


def holders(admin: AppleAdmin) -> set[str]:
    return set(admin._library().assets[admin._key(APP)].holders[HolderKind.USER])


def give(admin: AppleAdmin, *names: str) -> None:
    library = admin._library()
    library.assets[admin._key(APP)].associate(HolderKind.USER, names)
    admin.simulator.world.touch(library)


async def test_a_person_with_a_licence_is_no_difference(school: Office, audit: Audit, anna: Wish) -> None:
    await school.request(anna)
    await school.settle_all()
    assert await school.state(anna) == "assigned"
    assert await audit.states(await audit.run()) == {}


async def test_a_persons_licence_that_another_hand_took_is_lost(
    school: Office, audit: Audit, admin: AppleAdmin, anna: Wish
) -> None:
    await school.request(anna)
    await school.settle_all()
    await school.told()
    library = admin._library()
    library.assets[admin._key(APP)].disassociate(HolderKind.USER, [ANNA])
    admin.simulator.world.touch(library)
    its_id = await audit.run()
    [found] = await audit.found(its_id)
    assert (found["class"], found["client_user_id"], found["user_id"]) == ("taken", ANNA, str(anna.holder))
    assert found["serial_number"] is None
    await audit.apply(its_id)
    assert await school.state(anna) == "lost"
    [event] = [event for _, event in await school.told() if isinstance(event, LicenseReleased)]
    assert [(each.user_id, each.asked) for each in event.targets] == [(anna.holder, False)]


async def test_a_foreign_licence_of_a_person_we_know_is_reclaimed(
    school: Office, audit: Audit, admin: AppleAdmin, anna: Wish
) -> None:
    give(admin, ANNA, "stranger")
    await admin.give(APP, "X1")
    its_id = await audit.run()
    known = {each["client_user_id"]: each["user_id"] for each in await audit.found(its_id)}
    assert known == {ANNA: str(anna.holder), "stranger": None, None: None}
    await school.settle_all()
    await audit.apply(its_id)
    assert await audit.states(its_id) == {"foreign": {"applied": 2, "ignored": 1}}
    kinds = await school.rows("SELECT of_people, size FROM intent ORDER BY of_people")
    assert [tuple(row) for row in kinds] == [(False, 1), (True, 1)], "never mixed in one request"
    await school.settle_all()
    assert (holders(admin), await admin.holders()) == ({"stranger"}, set())
    assert (await school.pool())["held"] == 0
    [row] = await school.rows("SELECT user_id, correlation_id FROM license WHERE user_id IS NOT NULL")
    assert (row["user_id"], row["correlation_id"]) == (anna.holder, UUID(its_id))


async def test_a_person_who_asked_meanwhile_keeps_what_was_foreign(
    school: Office, audit: Audit, admin: AppleAdmin, anna: Wish
) -> None:
    give(admin, ANNA)
    its_id = await audit.run()
    await school.work(work.READ_LIST)
    await school.request(anna)
    await audit.apply(its_id)
    assert await audit.states(its_id) == {"foreign": {"gone": 1}}
    await school.settle_all()
    assert await school.state(anna) == "assigned"
    assert holders(admin) == {ANNA}


async def test_a_foreign_book_stays_with_whom_it_was_given_to(
    school: Office, audit: Audit, admin: AppleAdmin, anna: Wish
) -> None:
    library = admin._library()
    library.assets[admin._key(BOOK)].associate(HolderKind.USER, [ANNA])
    admin.simulator.world.touch(library)
    its_id = await audit.run()
    await audit.apply(its_id)
    assert await audit.states(its_id) == {"foreign": {"ignored": 1}}
    assert await school.states() == {}
