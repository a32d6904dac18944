"""The client of Apple's API: what goes out, what each answer means, and at which pace."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2
import pytest

from licensing.apple import Apple, Wire
from licensing.apple.answers import read_assets, read_assignments, read_client_config, read_event_state
from licensing.apple.service import read_service_config
from licensing.apple.wire import Moved, SlowDown, failure_of, retry_after
from licensing.model import (
    Access,
    AppleRefused,
    AssetKey,
    EventStatus,
    IntentKind,
    MdmIdentity,
    OutcomeUnknown,
    TokenRefused,
)
from licensing.store.budget import RequestBudget
from local.simulators.apple.reads import list_assets
from shared.clock import TurnedClock
from shared.database import Database
from shared.errors import Unavailable
from shared.vault import Secret
from tests.licensing.office import APP, AppleAdmin
from tests.licensing.situation import NOON, Situation

BASE = "https://apple.test/mdm/v2"
KEY = AssetKey(APP, "STDQ")
TOKEN = Secret(b"dG9rZW4=")
ACCESS = Access("lib", TOKEN)

Answers = Callable[[httpx2.Request], httpx2.Response]


class FreeBudget:
    """Turns without end; notes who was asked to slow down."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def take(self, _library_id: str, *, per_second: float) -> float:
        return 0.0 * per_second

    async def pause(self, _library_id: str, seconds: float) -> None:
        self.pauses.append(seconds)


class Scripted:
    """A client whose requests are answered by a function, and remembered."""

    def __init__(self, answer: Answers, *, base_url: str | None = BASE) -> None:
        self.requests: list[httpx2.Request] = []
        self.budget = FreeBudget()
        self.clock = TurnedClock(NOON)
        self._answer = answer
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._serve), follow_redirects=False)
        self.apple = Apple(
            Wire(http, deadline_seconds=0.2), base_url=base_url, budget=self.budget, clock=self.clock
        )

    def paths(self) -> list[str]:
        return [request.url.path.removeprefix("/mdm/v2/") for request in self.requests]

    async def write(self) -> str:
        return await self.apple.write(ACCESS, IntentKind.ASSOCIATE, KEY, ["S"])

    def _serve(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if request.url.path.endswith("service/config"):
            return httpx2.Response(200, json={"limits": {}, "urls": {}})
        return self._answer(request)


def answering(status: int = 200, *, headers: Mapping[str, str] | None = None, **body: Any) -> Answers:
    return lambda _: httpx2.Response(status, json=body, headers=headers)


def raising(error: Exception) -> Answers:
    def answer(_: httpx2.Request) -> httpx2.Response:
        raise error

    return answer


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


async def test_service_config_is_read_again_after_five_minutes() -> None:
    scripted = Scripted(answering(eventId="e"))
    for turned, reads in ((0, 1), (299, 1), (1, 2)):
        scripted.clock.turn(turned)
        await scripted.write()
        assert scripted.paths().count("service/config") == reads
    scripted.apple.forget_limits()
    await scripted.write()
    assert scripted.paths().count("service/config") == 3


async def test_an_old_service_config_serves_while_a_new_one_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scripted = Scripted(answering(eventId="e"))
    await scripted.write()
    scripted.clock.turn(301)
    honest = scripted._serve
    monkeypatch.setattr(
        scripted.apple._wire._http._transport,
        "handler",
        lambda request: httpx2.Response(503) if "service" in request.url.path else honest(request),
    )
    assert await scripted.write() == "e"


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


@pytest.mark.parametrize("number", [9601, 9621, 9622, 9625, 9637, 9647, 9722])
@pytest.mark.parametrize("status", [200, 401])
async def test_the_body_says_that_the_token_is_refused_whatever_the_status(number: int, status: int) -> None:
    with pytest.raises(TokenRefused) as caught:
        await Scripted(answering(status, errorNumber=number, errorMessage="no")).write()
    assert caught.value.failure.number == number


@pytest.mark.parametrize(
    ("status", "number", "kind"),
    [
        (400, 9602, AppleRefused),
        (200, 9709, AppleRefused),
        (400, 9999, AppleRefused),
        (500, 9999, Unavailable),
        (500, 9603, Unavailable),
        (200, 9644, Unavailable),
        (429, 9646, SlowDown),
        (503, 9729, Moved),
        (410, 9634, Moved),
    ],
)
async def test_each_number_has_its_consequence(status: int, number: int, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await Scripted(answering(status, errorNumber=number)).write()


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


async def test_a_redirect_is_never_followed() -> None:
    scripted = Scripted(lambda _: httpx2.Response(302, headers={"location": "https://elsewhere.test/"}))
    with pytest.raises(Moved):
        await scripted.write()
    assert {request.url.host for request in scripted.requests} == {"apple.test"}


async def test_moved_asks_for_new_addresses_and_slow_down_pauses_the_library() -> None:
    scripted = Scripted(answering(503, errorNumber=9729))
    for _ in range(2):
        with pytest.raises(Moved):
            await scripted.write()
    assert scripted.paths().count("service/config") == 2
    slow = Scripted(answering(429, errorNumber=9646, headers={"retry-after": "11"}))
    with pytest.raises(SlowDown):
        await slow.write()
    assert slow.budget.pauses == [11.0]


def test_retry_after_is_read_in_both_forms() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def said(text: str) -> float | None:
        return retry_after(httpx2.Response(503, headers={"retry-after": text}), now)

    assert said("7") == 7
    assert said(format_datetime(now + timedelta(seconds=90), usegmt=True)) == 90
    assert said(format_datetime(now - timedelta(seconds=90), usegmt=True)) == 0
    assert said("999999") == 3600
    assert said("soon") is None
    assert retry_after(httpx2.Response(503), now) is None


@pytest.mark.parametrize("number", [None, 0, True, "9602", 9602.5])
def test_an_error_number_is_a_number(number: object) -> None:
    assert failure_of({"errorNumber": number}) is None


def test_a_failure_names_its_serial_numbers() -> None:
    failure = failure_of({"errorNumber": 9705, "errorInfo": {"serialNumbers": ["A", 5], "assets": []}})
    assert failure is not None
    assert failure.serial_numbers == {"A"}


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://vpp.itunes.apple.com/mdm/v3/status", True),
        ("https://other.apple.com/status", True),
        ("http://vpp.itunes.apple.com/status", False),
        ("https://apple.com.evil.test/status", False),
        ("https://evil.test/vpp.itunes.apple.com", False),
        ("https://notapple.com/status", False),
        ("https://user@evil.test#.apple.com", False),
        ("https://vpp.itunes.apple.com:8443/status", False),
        ("https://[broken", False),
        ("https://vpp.itunes.apple.com:port/status", False),
        (None, False),
    ],
)
def test_only_apples_hosts_are_called(url: str | None, kept: bool) -> None:  # noqa: FBT001 - a table's column
    config = read_service_config({"urls": {"eventStatus": url}}, BASE, overridden=False)
    assert config.urls["eventStatus"] == (url if kept else f"{BASE}/status")


def test_an_override_names_the_one_host_that_is_called() -> None:
    urls = {
        "eventStatus": "https://apple.test/new/status",
        "getAssets": "https://vpp.itunes.apple.com/assets",
    }
    config = read_service_config({"urls": urls}, BASE, overridden=True)
    assert config.urls["eventStatus"] == "https://apple.test/new/status"
    assert config.urls["getAssets"] == f"{BASE}/assets"


@pytest.mark.parametrize("limits", [None, [], {}, {"maxSerialNumbers": "many"}, {"maxSerialNumbers": 0}])
def test_missing_limits_have_apples_samples(limits: object) -> None:
    config = read_service_config({"limits": limits}, BASE, overridden=False)
    assert (config.most_serial_numbers, config.requests_per_second) == (1000, 15)


def test_an_unlimited_asset_is_a_flag_and_never_a_number() -> None:
    row = {"adamId": "1", "pricingParam": "STDQ", "productType": "App", "totalCount": 2147483647}
    free = {"adamId": "2", "pricingParam": "STDQ", "productType": "App", "assignedCount": 3}
    first, second = read_assets(
        {"assets": [{**row, "availableCount": 2147483640, "retiredCount": 0}], "unlimitedAssets": [free]}
    )
    assert (first.reading.unlimited, first.reading.total) == (True, 0)
    assert (second.reading.unlimited, second.reading.assigned) == (True, 3)


def test_unknown_platforms_are_left_out_and_half_a_row_is_no_list() -> None:
    row = {"adamId": "1", "productType": "App", "totalCount": 5, "availableCount": 5}
    (asset,) = read_assets({"assets": [{**row, "supportedPlatforms": ["iOS", "carOS"]}]})
    assert asset.facts.platforms == ("iOS",)
    with pytest.raises(Unavailable):
        read_assets({"assets": [{"adamId": "1"}]})


def test_the_other_quality_of_an_adam_id_is_another_asset() -> None:
    rows = [
        {"adamId": "1", "pricingParam": "STDQ", "serialNumber": "A"},
        {"adamId": "1", "pricingParam": "PLUS", "serialNumber": "B"},
        {"adamId": "1", "serialNumber": "C"},
        {"adamId": "1", "pricingParam": "STDQ", "clientUserId": "person"},
    ]
    page = read_assignments({"assignments": rows, "versionId": "v"}, AssetKey("1", "STDQ"))
    assert (page.serial_numbers, page.people) == (["A", "C"], 1)
    with pytest.raises(Unavailable):
        read_assignments({}, KEY)


def test_a_status_that_apple_never_says_is_not_believed() -> None:
    with pytest.raises(Unavailable):
        read_event_state({"eventStatus": "COMPLETED"})
    assert read_event_state({"eventStatus": "FAILED", "failures": [{}, 5]}).failures == ()


def test_a_client_config_needs_the_librarys_id_and_little_else() -> None:
    config = read_client_config({"uId": "u", "tokenExpirationDate": "never", "mdmInfo": None})
    assert (config.library_id, config.mdm_info, config.token_expires_at) == ("u", None, None)
    with pytest.raises(Unavailable):
        read_client_config({})


@pytest.fixture
async def access(admin: AppleAdmin, situation: Situation) -> Access:
    uid, text = await admin.open_library(50)
    await situation.store_library(uid)
    return Access(uid, Secret(text.encode()))


async def test_pages_are_walked_to_the_last(apple: Apple, admin: AppleAdmin, access: Access) -> None:
    await admin.knobs(page_size=7)
    await admin.give(APP, *(f"S{number}" for number in range(30)))
    pages = [page async for page in apple.assignments(access, KEY)]
    assert [len(page.serial_numbers) for page in pages] == [7, 7, 7, 7, 2]
    assert len({page.version_id for page in pages}) == 1
    await admin.knobs(page_size=1)
    listed = await apple.assets(access)
    assert listed.exact
    assert len(listed.assets) == 2


async def test_a_list_that_changes_while_it_is_read_is_read_anew_and_at_last_taken_as_inexact(
    apple: Apple, admin: AppleAdmin, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    await admin.knobs(page_size=1)
    honest = "local.simulators.apple.wire.list_assets"
    monkeypatch.setattr(honest, _moving(admin))
    listed = await apple.assets(access)
    assert not listed.exact
    assert admin.requests("GET assets") == 10


async def test_the_claim_is_compared_by_id_and_the_secret_never_comes_back(
    apple: Apple, access: Access
) -> None:
    config = await apple.claim(access, MdmIdentity("our-id", "Us", "here"), None)
    assert config.mdm_info == MdmIdentity("our-id", "Us", "here")
    assert config.library_id == access.library_id


async def test_a_real_event_is_followed_from_its_id(apple: Apple, admin: AppleAdmin, access: Access) -> None:
    assert await apple.turn(access) == 1000
    event_id = await apple.write(access, IntentKind.ASSOCIATE, KEY, ["S"])
    await admin.settled()
    assert (await apple.status(access, event_id)).status is EventStatus.COMPLETE
    with pytest.raises(AppleRefused) as caught:
        await apple.status(access, "unknown")
    assert caught.value.failure.number == 9708
    asset = await apple.asset(access, KEY)
    assert asset is not None
    assert (asset.reading.assigned, asset.reading.available) == (1, 49)


@pytest.fixture
async def budget(situation: Situation) -> RequestBudget:
    await situation.store_library("lib-1")
    return RequestBudget(situation.database)


async def test_all_replicas_together_stay_below_apples_limit(
    budget: RequestBudget, database: Database
) -> None:
    replicas = (budget, RequestBudget(database))
    began = time.monotonic()

    async def begins(number: int) -> float:
        wait = await replicas[number % 2].take("lib-1", per_second=50)
        return time.monotonic() + wait - began

    moments = sorted(await asyncio.gather(*map(begins, range(20))))
    assert moments[-1] >= 19 / 50


async def test_a_pause_holds_every_turn_back(budget: RequestBudget) -> None:
    await budget.pause("lib-1", 5)
    assert await budget.take("lib-1", per_second=10) == pytest.approx(5, abs=0.3)
    await budget.pause("lib-1", 60)
    with pytest.raises(Unavailable):
        await budget.take("lib-1", per_second=10)


async def test_the_simulated_apple_never_sees_more_than_its_limit(
    apple: Apple, admin: AppleAdmin, access: Access
) -> None:
    await admin.knobs(limits={"maxRequestPerSecond": 15})
    began = time.monotonic()
    await asyncio.gather(*(apple.asset(access, KEY) for _ in range(30)))
    assert time.monotonic() - began > 29 / 15


def _moving(admin: AppleAdmin) -> Callable[..., Any]:
    def moving(library: Any, query: Any, **said: Any) -> Any:
        admin.simulator.world.touch(library)
        return list_assets(library, query, **said)

    return moving
