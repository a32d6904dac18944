"""The page that stands at every admin door."""

from pathlib import Path

import httpx2
import pytest

from local.simulators.box import DOORS, Box, BoxSettings


@pytest.mark.parametrize("name", sorted(DOORS))
async def test_a_page_stands_at_every_admin_door_and_loads_nothing_from_elsewhere(
    name: str, tmp_path: Path
) -> None:
    settings = BoxSettings(names=frozenset({name}), directory=tmp_path)
    async with Box(settings) as box, httpx2.AsyncClient(base_url=box.cards[name]["admin_url"]) as door:
        page = await door.get("/")
        described = (await door.get("/openapi.json")).json()
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "://" not in page.text
    assert "/" not in described["paths"]
