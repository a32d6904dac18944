"""What a simulator remembers of the requests it was asked, and the page that shows them."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI

from local.simulators.page import add_page
from local.simulators.serving import HangUp, Serving
from local.simulators.watch import Watch


@pytest.fixture
def watch() -> Watch:
    return Watch(kept=3)


@pytest.fixture
async def door(watch: Watch) -> AsyncIterator[httpx2.AsyncClient]:
    app = FastAPI(title="Something simulated")
    app.add_api_route("/licenses", _none)
    app.add_api_route("/cut", HangUp)
    add_page(app, watch)
    serving = await Serving.start(watch.over(app))
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{serving.port}") as client:
        yield client
    await serving.stop()


async def test_a_request_is_remembered_with_its_query_and_its_answer(
    door: httpx2.AsyncClient, watch: Watch
) -> None:
    await door.get("/licenses", params={"adam_id": "361309726"})
    await door.post("/licenses")
    first, second = watch.after(0)
    assert (first.number, first.method, first.path) == (1, "GET", "/licenses?adam_id=361309726")
    assert [first.status, second.status] == [200, 405]
    assert watch.after(1) == [second]


async def test_a_connection_that_was_cut_is_remembered_without_a_status(
    door: httpx2.AsyncClient, watch: Watch
) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        await door.get("/cut")
    [exchange] = watch.after(0)
    assert (exchange.path, exchange.status) == ("/cut", 0)


async def test_the_oldest_requests_are_forgotten(door: httpx2.AsyncClient, watch: Watch) -> None:
    for _ in range(5):
        await door.get("/licenses")
    assert [exchange.number for exchange in watch.after(0)] == [3, 4, 5]


async def test_neither_headers_nor_bodies_are_remembered(door: httpx2.AsyncClient, watch: Watch) -> None:
    await door.post("/licenses", headers={"authorization": "Bearer hush"}, content=b"hush")
    assert "hush" not in str(watch.after(0))


async def test_the_page_stands_at_the_root_and_loads_nothing_from_elsewhere(door: httpx2.AsyncClient) -> None:
    page = await door.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "://" not in page.text


async def test_the_requests_are_shown_to_whoever_looks_at_the_page(door: httpx2.AsyncClient) -> None:
    await door.get("/licenses")
    [shown] = (await door.get("/requests", params={"after": 0})).json()
    assert (shown["method"], shown["path"], shown["status"]) == ("GET", "/licenses", 200)
    assert (await door.get("/requests", params={"after": 1})).json()[0]["path"] == "/requests?after=0"


async def _none() -> list[str]:
    return []
