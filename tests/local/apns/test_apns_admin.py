import asyncio
import json

import httpx2
import pytest

from local.simulators.apns import ApnsSettings, ApnsSimulator
from tests.local.apns.h2_sender import Sender
from tests.local.apns.parts import TOKEN, TOPIC


async def test_a_device_elsewhere_hears_its_pushes_on_the_courier_line(
    sender: Sender, simulator: ApnsSimulator
) -> None:
    token = "0f" * 32
    async with httpx2.AsyncClient(base_url=simulator.admin_url) as admin:
        body = {"tokens": [token], "topic": TOPIC, "courier": "elsewhere"}
        (await admin.post("/tokens", json=body)).raise_for_status()
        async with admin.stream("GET", "/couriers/elsewhere") as line:
            lines = line.aiter_lines()
            assert await anext(lines) == ""
            await sender.post(token)
            assert json.loads(await anext(lines))["magic"] == "magic"
            (await admin.post("/tokens/offline", json={"tokens": [token]})).raise_for_status()
            await sender.post(token)
            (await admin.post("/tokens/online", json={"tokens": [token]})).raise_for_status()
            assert json.loads(await anext(lines))["token"] == token
        (await admin.post("/tokens/unregister", json={"tokens": [token], "at": 5.5})).raise_for_status()
        assert (await sender.post(token)).body["timestamp"] == 5500


async def test_the_courier_line_ends_when_the_service_stops(settings: ApnsSettings) -> None:
    simulator = ApnsSimulator(settings)
    await simulator.start()
    async with (
        httpx2.AsyncClient(base_url=simulator.admin_url) as admin,
        admin.stream("GET", "/couriers/elsewhere") as line,
    ):
        lines = line.aiter_lines()
        assert await anext(lines) == ""
        await simulator.stop()
        assert [rest async for rest in lines] == []


SCRIPTED = [
    ({"kind": "answer", "status": 429, "reason": "TooManyRequests", "times": 1}, "429 TooManyRequests"),
    ({"kind": "reset", "times": 1}, "Reset"),
    ({"kind": "silence", "times": 1}, "Silence"),
    ({"kind": "goaway", "times": 1}, "GoAway"),
    ({"kind": "limit_streams", "max_concurrent_streams": 9, "times": 1}, "200"),
]


@pytest.mark.parametrize(("rule", "counted"), SCRIPTED)
async def test_the_admin_door_writes_the_script(
    sender: Sender, simulator: ApnsSimulator, rule: dict[str, object], counted: str
) -> None:
    async with httpx2.AsyncClient(base_url=simulator.admin_url) as admin:
        (await admin.post("/script", json=rule)).raise_for_status()
        await asyncio.wait([sender.post(TOKEN)], timeout=0.1)
        counts = (await admin.get("/counts")).json()
        assert counts["answers"] == {counted: 1}
        [seen] = (await admin.get("/pushes", params={"token": TOKEN})).json()
        assert (seen["magic"], seen["topic"]) == ("magic", TOPIC)
        (await admin.post("/reset")).raise_for_status()
        assert (await admin.get("/pushes")).json() == []


async def test_the_admin_door_speaks_to_the_connections(sender: Sender, simulator: ApnsSimulator) -> None:
    async with httpx2.AsyncClient(base_url=simulator.admin_url) as admin:
        (await admin.post("/script", json={"kind": "silence"})).raise_for_status()
        (await admin.delete("/script")).raise_for_status()
        limit = {"max_concurrent_streams": 7}
        (await admin.post("/connections/limit", json=limit)).raise_for_status()
        await sender.post(TOKEN)
        assert sender.stream_limit == 7
        (await admin.post("/connections/goaway")).raise_for_status()
        await sender.closed.wait()
        assert sender.goaway is not None
