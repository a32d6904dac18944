"""One exchange with Apple: what goes out, and what an answer means whatever its status says."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest

from licensing.apple.wire import Moved, SlowDown, failure_of, retry_after
from licensing.model import AppleFailure, AppleRefused, OutcomeUnknown, TokenRefused
from shared.errors import Unavailable
from tests.licensing.office import APP
from tests.licensing.scripted import ACCESS, Scripted, answering, raising


async def test_the_token_goes_out_byte_for_byte_and_service_config_without_it() -> None:
    scripted = Scripted(answering(eventId="e"))
    assert await scripted.write() == "e"
    config, write = scripted.requests
    assert "authorization" not in config.headers
    assert write.headers["authorization"] == "Bearer dG9rZW4="
    assert write.headers["content-type"] == "application/json"
    assert json.loads(write.content) == {
        "assets": [{"adamId": APP, "pricingParam": "STDQ"}],
        "serialNumbers": ["S"],
    }


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx2.ConnectError("refused"), Unavailable),
        (httpx2.ConnectTimeout("slow"), Unavailable),
        (httpx2.ReadTimeout("slow"), OutcomeUnknown),
        (httpx2.ReadError("reset"), OutcomeUnknown),
        (httpx2.RemoteProtocolError("half"), OutcomeUnknown),
    ],
)
async def test_only_a_write_that_left_us_has_an_unknown_outcome(
    error: Exception, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        await Scripted(raising(error)).write()
    with pytest.raises(Unavailable):
        await Scripted(raising(error)).apple.status(ACCESS, "e")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unavailable),
        (404, Unavailable),
        (429, SlowDown),
        (503, Unavailable),
        (500, OutcomeUnknown),
        (502, OutcomeUnknown),
        (200, OutcomeUnknown),
    ],
)
async def test_without_apples_error_body_only_the_status_speaks(status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await Scripted(lambda _: httpx2.Response(status, content=b"<html>")).write()


async def test_a_2xx_without_an_event_id_leaves_the_outcome_unknown() -> None:
    with pytest.raises(OutcomeUnknown):
        await Scripted(answering(eventId=None)).write()


async def test_who_is_told_to_slow_down_slows_the_whole_library() -> None:
    slow = Scripted(answering(429, errorNumber=9646, headers={"retry-after": "11"}))
    with pytest.raises(SlowDown):
        await slow.write()
    assert (slow.budget.pauses, slow.budget.slowed) == ([11.0], 1)
    silent = Scripted(lambda _: httpx2.Response(429))
    with pytest.raises(SlowDown):
        await silent.write()
    assert (silent.budget.pauses, silent.budget.slowed) == ([None], 1)


@pytest.mark.parametrize(
    ("status", "number", "kind"), [(429, 9646, SlowDown), (503, 9729, Moved), (400, 9602, AppleRefused)]
)
async def test_apples_answer_outlasts_a_budget_that_cannot_be_lowered(
    status: int, number: int, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that nothing was queued: what comes in its place would let us wait for a proof."""

    async def away(*_: object) -> None:
        raise ConnectionError("no database")

    scripted = Scripted(answering(status, errorNumber=number, headers={"retry-after": "40"}))
    for lower in ("pause", "slow_down"):
        monkeypatch.setattr(scripted.budget, lower, away)
    with pytest.raises(kind):
        await scripted.write()


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (429, b"", SlowDown),
        (429, b'{"errorNumber": 9646}', SlowDown),
        (503, b"<html>", Unavailable),
        (503, b'{"errorNumber": 9729}', Moved),
        (302, b"", Moved),
        (500, b'{"errorNumber": 9603}', Unavailable),
        (500, b"<html>", OutcomeUnknown),
        (200, b'{"errorNumber": 9603}', Unavailable),
        (200, b'{"errorNumber": 9709}', AppleRefused),
        (200, b'{"errorNumber": 9622}', TokenRefused),
        (400, b'{"errorNumber": 9602}', AppleRefused),
    ],
)
@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_apple_is_left_alone_for_as_long_as_it_asks_on_any_status(
    status: int, content: bytes, kind: type[Exception], form: str
) -> None:
    def answer(_: httpx2.Request) -> httpx2.Response:
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
        said = "40" if form == "seconds" else until
        return httpx2.Response(status, content=content, headers={"retry-after": said})

    scripted = Scripted(answer)
    with pytest.raises(kind) as caught:
        await scripted.write()
    assert type(caught.value) is kind
    (pause,) = scripted.budget.pauses
    assert pause is not None
    assert 38 <= pause <= 40
    if isinstance(caught.value, Unavailable):
        assert caught.value.retry_after_seconds == pause


async def test_nobody_waits_where_apple_does_not_ask_for_it() -> None:
    for status, number in ((503, 9729), (500, 9603), (400, 9602)):
        scripted = Scripted(answering(status, errorNumber=number))
        with pytest.raises((Unavailable, AppleRefused)):
            await scripted.write()
        assert scripted.budget.pauses == []


def test_retry_after_is_read_in_both_forms() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def said(text: str) -> float | None:
        return retry_after(httpx2.Response(503, headers={"retry-after": text}), now)

    assert said("7") == 7
    assert said(format_datetime(now + timedelta(seconds=90), usegmt=True)) == 90
    assert said(format_datetime(now - timedelta(seconds=90), usegmt=True)) == 0
    assert said("999999") == 3600
    for text in (
        "soon",
        "Mon, 01 Jan 2024 00:00:00 +" + "9" * 20,
        "Mon, 01 Jan " + "9" * 20 + " 00:00:00 GMT",
    ):
        assert said(text) is None
    assert retry_after(httpx2.Response(503), now) is None


@pytest.mark.parametrize("number", [None, 0, True, "9602", 9602.5])
def test_an_error_number_is_a_number(number: object) -> None:
    assert failure_of({"errorNumber": number}) is None


def test_a_failure_names_devices_and_people() -> None:
    told = {"serialNumbers": ["A", 5], "clientUserIds": ["u", None], "assets": []}
    failure = failure_of({"errorNumber": 9705, "errorInfo": told})
    assert failure == AppleFailure(9705, frozenset({"A"}), frozenset({"u"}))
    malformed: tuple[object, ...] = (None, [], {"serialNumbers": "A"})
    for nothing in malformed:
        assert failure_of({"errorNumber": 9705, "errorInfo": nothing}) == AppleFailure(9705)
