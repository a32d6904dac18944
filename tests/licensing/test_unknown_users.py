"""A user whom Apple does not know (9609), though its list showed that they had joined."""

import pytest

from shared.events.licensing import LicenseReserved
from shared.ids import new_id
from tests.licensing.crowd import Crowd
from tests.licensing.office import AppleAdmin, Office
from tests.licensing.situation import wish


@pytest.fixture
def crowd(school: Office, admin: AppleAdmin) -> Crowd:
    return Crowd(school, admin)


async def test_a_licence_of_a_user_whom_apple_forgot_for_a_moment_comes_back_all_the_same(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    ann, zoe = new_id(), new_id()
    await crowd.joined(ann, zoe)
    targets = wish(ann), wish(zoe)
    await school.request(*targets)
    await school.settle_all()
    await admin.fault("assets/disassociate", "error", status=400, error_number=9609, times=2)
    await school.revoke(*targets)
    await school.settle_all()
    assert [await school.state(target) for target in targets] == ["released", "released"]
    assert (await school.pool())["held"] == 0
    await school.check()


async def test_who_joined_and_is_not_known_is_asked_for_again_more_and_more_slowly(
    school: Office, crowd: Crowd, admin: AppleAdmin
) -> None:
    ann = new_id()
    await crowd.joined(ann)
    await admin.fault("assets/associate", "error", status=400, error_number=9609, times=4)
    before = admin.requests("POST assets/associate")
    await school.told()
    await school.request(wish(ann))
    asked = []
    for _ in range(4):
        await school.work()
        asked.append(admin.requests("POST assets/associate") - before)
        school.clock.turn(1)
    assert asked[0] == 1, "no second try at once"
    assert asked[-1] <= 3
    told = [event for _, event in await school.told() if isinstance(event, LicenseReserved)]
    assert len(told) == 1
    await school.settle_all()
    assert await school.states() == {"assigned": 1}
