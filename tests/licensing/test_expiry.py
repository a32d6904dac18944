"""The ladder of warnings before a content token ends: 60, 30, 15, 7 and 1 days, each once."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licensing.decide import next_rung
from licensing.model import Access, ClientConfig
from shared.events.licensing import ContentTokenExpiring
from tests.licensing.conftest import Call
from tests.licensing.office import AppleAdmin, Office

END = datetime(2027, 11, 22, tzinfo=UTC)
DAY = 86_400


async def ends_in(office: Office, **left: float) -> None:
    """Let the content token in use end so much later than the turned time."""
    async with office.database.transaction() as tx:
        await tx.raw.execute(
            "UPDATE content_token SET expires_at = $1 WHERE replaced_at IS NULL", tx.now + timedelta(**left)
        )


async def told_days(office: Office) -> list[int]:
    """Run the job of the clock and return the days that it told."""
    await office.clockwork.tell_expiring()
    return [event.days_left for _, event in await office.told() if isinstance(event, ContentTokenExpiring)]


async def test_each_rung_is_told_once(school: Office) -> None:
    await ends_in(school, days=62)
    told: list[tuple[int, int]] = []
    for day in range(65):
        for _ in range(3):
            told += [(62 - day, days_left) for days_left in await told_days(school)]
        school.clock.turn(DAY)
    assert told == [(60, 60), (30, 30), (15, 15), (7, 7), (1, 1)]


async def test_a_token_that_comes_in_late_has_its_lowest_rung_told_only(school: Office) -> None:
    await ends_in(school, days=12)
    assert await told_days(school) == [15]
    assert await told_days(school) == []
    school.clock.turn(5 * DAY)
    assert await told_days(school) == [7]


async def test_a_worker_that_slept_tells_the_rung_of_today_only(school: Office) -> None:
    await ends_in(school, days=59)
    assert await told_days(school) == [60]
    school.clock.turn(58.5 * DAY)
    assert await told_days(school) == [1]


async def test_a_renewal_begins_the_ladder_anew(school: Office, admin: AppleAdmin, call: Call) -> None:
    await ends_in(school, days=1)
    assert await told_days(school) == [1]
    text = (await admin.post(f"/libraries/{await school.library()}/tokens", {}))["token"]
    await call("POST", "/v1/content-tokens", json={"content_token": text})
    await school.settle_all()
    assert await told_days(school) == []
    await ends_in(school, days=29)
    assert await told_days(school) == [30]


async def test_a_warning_names_the_library_and_the_end(school: Office) -> None:
    await ends_in(school, days=6)
    await school.clockwork.tell_expiring()
    ((_, event),) = await school.told()
    assert isinstance(event, ContentTokenExpiring)
    assert event.library_id == await school.library()
    assert event.expires_at == school.clock.now() + timedelta(days=6)


async def test_the_end_that_apple_names_corrects_the_one_in_the_file(
    school: Office, admin: AppleAdmin, call: Call
) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=200)
    (token,) = admin.simulator.world.tokens.values()
    token.expires_at = end
    await school.clockwork.check_libraries()
    await school.work()
    (library,) = (await call("GET", "/v1/libraries")).json()["items"]
    assert datetime.fromisoformat(library["expires_at"]) == end


async def test_the_end_of_a_replaced_token_is_not_taken_for_that_of_its_renewal(
    school: Office, admin: AppleAdmin, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    (token,) = admin.simulator.world.tokens.values()
    token.expires_at = datetime.now(UTC) + timedelta(days=1)
    honest = school.apple.client_config

    async def renewed_meanwhile(access: Access) -> ClientConfig:
        config = await honest(access)
        text = (await admin.post(f"/libraries/{access.library_id}/tokens", {}))["token"]
        assert (await call("POST", "/v1/content-tokens", json={"content_token": text})).status_code == 201
        return config

    monkeypatch.setattr(school.apple, "client_config", renewed_meanwhile)
    await school.clockwork.check_libraries()
    await school.work("check_library")
    (library,) = (await call("GET", "/v1/libraries")).json()["items"]
    assert datetime.fromisoformat(library["expires_at"]) > datetime.now(UTC) + timedelta(days=2)


@given(looks=st.lists(st.floats(min_value=0, max_value=100), max_size=40))
def test_no_rung_is_told_twice_and_none_upwards(looks: list[float]) -> None:
    told: int | None = None
    history: list[int] = []
    for days_left in sorted(looks, reverse=True):
        rung = next_rung(END, END - timedelta(days=days_left), told=told)
        if rung is not None:
            told = rung.days
            history.append(told)
            assert days_left <= told
    assert history == sorted(set(history), reverse=True)


def test_whoever_looks_often_enough_hears_every_rung() -> None:
    told: int | None = None
    history = []
    for hours_left in range(100 * 24, -24, -1):
        if rung := next_rung(END, END - timedelta(hours=hours_left), told=told):
            told = rung.days
            history.append((hours_left / 24, told))
    assert history == [(60, 60), (30, 30), (15, 15), (7, 7), (1, 1)]
