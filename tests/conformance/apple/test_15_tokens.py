"""The life of a token, by a clock that can be turned. Apple: "Manage content tokens"."""

from collections.abc import Iterator

import pytest

from tests.conformance.apple.api import APP, Admin, Api


@pytest.fixture
def clock(admin: Admin) -> Iterator[Admin]:
    """A service whose state, and with it the clock, is put back."""
    before = admin.tell("GET", "/dump")
    yield admin
    admin.tell("PUT", "/dump", before)


def number(api: Api) -> int | None:
    found = api.get("assets").get("errorNumber")
    return None if found is None else int(found)


def test_a_token_lives_for_a_year(clock: Admin) -> None:
    """Section 15: then 9621 with 401."""
    api = clock.library()
    clock.tell("POST", "/clock", {"days": 364})
    assert number(api) is None
    clock.tell("POST", "/clock", {"days": 2})
    answer = api.ask("GET", "assets")
    assert (answer.status_code, answer.json()["errorNumber"]) == (401, 9621)


def test_tokens_die_with_the_password_of_who_downloaded_them(admin: Admin) -> None:
    """Section 15: 9625; those of others live on."""
    api = admin.library(account="anna@example.com")
    other = admin.token(api, account="ben@example.com")
    admin.tell("POST", "/passwords", {"account": "anna@example.com"})
    assert (number(api), number(other)) == (9625, None)


def test_expired_and_revoked_tokens_are_told_apart_and_a_new_one_works(admin: Admin) -> None:
    """Section 12: 9621 and 9625."""
    api = admin.library()
    admin.tell("POST", f"/libraries/{api.uid}/tokens/expire")
    assert number(api) == 9621
    admin.tell("DELETE", f"/libraries/{api.uid}/tokens")
    assert number(api) == 9625
    assert number(admin.token(api)) is None


def test_a_token_may_die_in_the_middle_of_a_run(admin: Admin) -> None:
    """Section 23: after so many requests."""
    api = admin.library()
    admin.fault("*", answer="error", status=401, error_number=9625, uid=api.uid, skip=2, times=9)
    assert [number(api) for _ in range(4)] == [None, None, 9625, 9625]


@pytest.mark.parametrize(("revokes", "found"), [(False, None), (True, 9625)])
def test_whether_a_download_ends_the_former_token_is_open(
    admin: Admin, *, revokes: bool, found: int | None
) -> None:
    """Section 26: both answers."""
    admin.turn(new_token_revokes_old=revokes)
    api = admin.library()
    second = admin.token(api)
    assert (number(api), number(second)) == (found, None)


@pytest.mark.parametrize(("days", "told"), [(None, [True, True]), (15, [False, True])])
def test_the_end_of_a_token_is_told_in_time_or_always(
    clock: Admin, days: float | None, told: list[bool]
) -> None:
    """Section 2: documented for the last 15 days; it has been seen earlier."""
    clock.turn(expiry_told_days=days)
    api = clock.library()
    found = []
    for turn in (345, 10):
        clock.tell("POST", "/clock", {"days": turn})
        found.append("tokenExpirationDate" in api.get("client/config"))
    assert found == told


def test_an_app_outlives_its_license_by_30_days(clock: Admin) -> None:
    """Section 13: rule 11."""
    api = clock.library()
    api.associate(["OUTLIVES"])
    app = {"adam_id": APP["adamId"], "serial_number": "OUTLIVES"}
    assert clock.tell("GET", "/apps", **app) == {"usable": True, "until": None}
    api.disassociate(["OUTLIVES"])
    clock.tell("POST", "/clock", {"days": 29, "frozen": True})
    assert clock.tell("GET", "/apps", **app)["usable"]
    clock.tell("POST", "/clock", {"days": 2})
    assert not clock.tell("GET", "/apps", **app)["usable"]


def test_delays_pass_with_the_clock(clock: Admin) -> None:
    """Section 23: an hour is over at once."""
    api = clock.library()
    clock.turn(event_delay_seconds=3600)
    event = api.post("assets/associate", {"assets": [APP], "serialNumbers": ["A"]})
    assert api.get("status", eventId=event["eventId"])["eventStatus"] == "PENDING"
    clock.tell("POST", "/clock", {"seconds": 3601})
    assert api.outcome(event)["eventStatus"] == "COMPLETE"
