"""HTTP: from which library an asset is taken first."""

from typing import Any

import pytest

from shared.ids import new_id
from tests.licensing.conftest import Call
from tests.licensing.office import APP, AppleAdmin, Office
from tests.licensing.situation import wish


async def pools(call: Call) -> dict[str, dict[str, Any]]:
    """Return the pools of the app by their libraries."""
    return {
        each["library_id"]: each for each in (await call("GET", f"/v1/pools?adam_id={APP}")).json()["items"]
    }


async def make_default(call: Call, pool: dict[str, Any]) -> None:
    response = await call("PUT", f"/v1/pools/{pool['pool_id']}/default")
    assert (response.status_code, response.content) == (204, b"")


@pytest.fixture
async def libraries(school: Office, admin: AppleAdmin, call: Call) -> tuple[str, str]:
    """Two libraries that hold the app; return their ids."""
    first = await school.library()
    second, text = await admin.open_library(50)
    assert (await call("POST", "/v1/content-tokens", json={"content_token": text})).status_code == 201
    await school.settle_all()
    return first, second


async def test_an_asset_is_taken_from_its_default_library_first(
    school: Office, call: Call, libraries: tuple[str, str]
) -> None:
    one, other, third = wish("A"), wish("B"), wish("C")
    assert [each["default"] for each in (await pools(call)).values()] == [False, False]
    for library_id, target in zip(libraries, (one, other), strict=True):
        await make_default(call, (await pools(call))[library_id])
        await school.request(target)
        shown = await pools(call)
        assert {each: shown[each]["default"] for each in libraries} == {
            each: each == library_id for each in libraries
        }, "one default of each asset"
        assert shown[library_id]["held"] == 1
    assert [(await pools(call))[each]["held"] for each in libraries] == [1, 1], (
        "what is held stays where it is"
    )
    await make_default(call, (await pools(call))[libraries[1]])  # once more: no change
    await school.request(third)
    assert [(await pools(call))[each]["held"] for each in libraries] == [1, 2]


async def test_a_default_is_of_one_asset_alone(
    school: Office, call: Call, libraries: tuple[str, str]
) -> None:
    await make_default(call, (await pools(call))[libraries[1]])
    shown = (await call("GET", "/v1/pools")).json()["items"]
    assert [each["adam_id"] for each in shown if each["default"]] == [APP]


async def test_only_an_administrator_chooses_the_default_of_a_pool_that_there_is(
    school: Office, call: Call
) -> None:
    [pool] = (await pools(call)).values()
    path = f"/v1/pools/{pool['pool_id']}/default"
    assert (await call("PUT", path, scope="licenses:read")).status_code == 403
    assert (await call("PUT", path, scope=None)).status_code == 401
    missing = await call("PUT", f"/v1/pools/{new_id()}/default")
    assert (missing.status_code, missing.json()["type"]) == (404, "unknown_pool")
    assert (await call("GET", f"/v1/pools/{pool['pool_id']}")).json()["default"] is False
