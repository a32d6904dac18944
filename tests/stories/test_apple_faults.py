"""Apple answers late, wrongly or not at all: no licence is lost, none is given twice, everything comes to its end."""

from functools import partial
from typing import Any

import pytest

from tests.stories.stage import Stage, group

FAULTS: dict[str, dict[str, Any]] = {
    "500 with an error body": {"answer": "error", "status": 500, "times": 2},
    "503 with Retry-After": {"answer": "garbage", "status": 503, "retry_after_seconds": 1, "times": 2},
    "429 with Retry-After": {
        "answer": "error",
        "status": 429,
        "error_number": 9646,
        "retry_after_seconds": 1,
        "times": 2,
    },
    "200 with an error body": {"answer": "error", "status": 200, "error_number": 9603},
    "200 with garbage": {"answer": "garbage", "status": 200},
    "200 cut short, the work done": {"answer": "truncated", "status": 200, "accepted": True},
    "502 with garbage, the work done": {"answer": "garbage", "status": 502, "accepted": True},
    "no answer": {"answer": "nothing"},
    "no answer, the work done": {"answer": "nothing", "accepted": True},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_write_that_apple_spoils_is_brought_to_its_end(stage: Stage, fault: dict[str, Any]) -> None:
    coming, going = await stage.title(5), await stage.title(5)
    ipads = await stage.ipads(3)
    school = await stage.group(ipads)
    ending = await stage.assign(going, group(school))
    await stage.settles(ending, installed=3)
    await stage.script_apple(
        {"path": "assets/associate", **fault},
        {"path": "assets/disassociate", **fault},
    )
    await stage.revoke(ending)
    beginning = await stage.assign(coming, group(school))
    await stage.settles(beginning, installed=3)
    await stage.agrees(coming, held=3, free=2)
    assert await stage.have_it(ipads, coming) == 3
    await stage.settles(ending, revoked=3)
    await stage.agrees(going, held=0, free=5)
    await stage.sees(partial(stage.have_it, ipads, going), 0)


@pytest.mark.parametrize(
    "fault",
    [FAULTS["500 with an error body"], FAULTS["200 with garbage"], FAULTS["no answer"]],
    ids=["500", "garbage", "no answer"],
)
async def test_a_status_that_apple_spoils_is_asked_again(stage: Stage, fault: dict[str, Any]) -> None:
    app = await stage.title(5)
    ipads = await stage.ipads(2)
    await stage.script_apple({"path": "status", **fault})
    assignment = await stage.assign(app, group(await stage.group(ipads)))
    await stage.settles(assignment, installed=2)
    await stage.agrees(app, held=2, free=3)


async def test_purchases_appear_though_the_first_reading_was_spoiled(stage: Stage) -> None:
    await stage.script_apple(
        {"path": "assets", **FAULTS["500 with an error body"]},
        {"path": "assets", **FAULTS["200 with garbage"]},
    )
    app = await stage.title(4)
    assert (await stage.sights.pool(app.asset_id))["available"] == 4


async def test_what_apple_refuses_for_good_is_refused_with_its_number(stage: Stage) -> None:
    app = await stage.title(5)
    [ipad] = await stage.ipads(1)
    await stage.script_apple(
        {"path": "assets/associate", "answer": "error", "status": 400, "error_number": 9602, "times": 5}
    )
    assignment = await stage.assign(app, group(await stage.group([ipad])))
    await stage.settles(assignment, refused=1)
    assert (await stage.entitlement(ipad, app))["cause"] == "apple_refused"
    [license_] = await stage.doors.licensing.every("/v1/licenses", asset_id=app.asset_id)
    assert license_["error_number"] == 9602
    await stage.agrees(app, held=0, free=5)
