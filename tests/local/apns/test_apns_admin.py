import asyncio
import json
import ssl
from dataclasses import replace

import httpx2
import pytest
from joserfc.jwk import ECKey

from local.simulators.apns import ApnsSettings, ApnsSimulator, DoorKind
from tests.conformance.apns.h2_sender import Sender
from tests.local.apns.parts import NOW, TOKEN, TOPIC, Connect


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
    (
        {"kind": "answer", "status": 429, "reason": "TooManyRequests", "retry_after_seconds": 5, "times": 1},
        "429 TooManyRequests",
    ),
    ({"kind": "reset", "times": 1}, "Reset"),
    ({"kind": "silence", "times": 1}, "Silence"),
    ({"kind": "goaway", "times": 1}, "GoAway"),
    ({"kind": "goaway", "reason": None, "times": 1}, "GoAway"),
    ({"kind": "hang_up", "times": 1}, "HangUp"),
    ({"kind": "half_open", "times": 1}, "HalfOpen"),
    ({"kind": "limit_streams", "max_concurrent_streams": 9, "times": 1}, "200"),
]


@pytest.mark.parametrize(("rule", "counted"), SCRIPTED)
async def test_the_admin_door_writes_the_script(
    sender: Sender, admin: httpx2.AsyncClient, rule: dict[str, object], counted: str
) -> None:
    (await admin.post("/script", json=rule)).raise_for_status()
    [listed] = (await admin.get("/script")).json()
    assert listed.items() >= {name: value for name, value in rule.items() if name != "kind"}.items()
    await asyncio.wait([sender.post(TOKEN)], timeout=0.1)
    counts = (await admin.get("/counts")).json()
    assert counts["answers"] == {counted: 1}
    [seen] = (await admin.get("/pushes", params={"token": TOKEN})).json()
    assert (seen["magic"], seen["topic"]) == ("magic", TOPIC)
    assert (await admin.get("/script")).json() == []
    (await admin.post("/reset")).raise_for_status()
    assert (await admin.get("/pushes")).json() == []


async def test_requests_can_be_watched_as_they_come_without_their_secrets(
    sender: Sender, admin: httpx2.AsyncClient
) -> None:
    await sender.post(TOKEN)
    seen = (await admin.get("/requests")).json()
    await sender.post("cd" * 32)
    await sender.post(TOKEN, body=b"[]")
    watched = await admin.get("/requests", params={"after": seen["last"]})
    assert [
        (row["token"], row["topic"], row["status"], row["reason"]) for row in watched.json()["requests"]
    ] == [
        ("cdcdcdcd", TOPIC, 400, "BadDeviceToken"),
        ("abababab", TOPIC, 400, "BadPayload"),
    ]
    assert "magic" not in watched.text
    assert (await admin.get("/requests", params={"after": watched.json()["last"]})).json()["requests"] == []
    assert [row["at"] for row in seen["requests"]] == [NOW]


async def test_the_admin_door_speaks_to_the_connections(sender: Sender, admin: httpx2.AsyncClient) -> None:
    (await admin.post("/script", json={"kind": "silence"})).raise_for_status()
    (await admin.delete("/script")).raise_for_status()
    (await admin.post("/connections/limit", json={"max_concurrent_streams": 7})).raise_for_status()
    await sender.post(TOKEN)
    assert sender.stream_limit == 7
    (await admin.post("/connections/goaway", json={"reason": "Moving", "error_code": 2})).raise_for_status()
    await sender.closed.wait()
    assert sender.goaway is not None
    assert (sender.goaway.error_code, sender.goaway.additional_data) == (2, b'{"reason": "Moving"}')


async def test_the_admin_door_turns_connections_away(connect: Connect, admin: httpx2.AsyncClient) -> None:
    (await admin.post("/connections/turn-away", json={"times": 1})).raise_for_status()
    await (await connect()).closed.wait()
    counts = (await admin.get("/counts")).json()
    assert (counts["connections"], counts["connections_accepted"]) == (0, 1)


async def test_the_admin_door_shows_what_is_kept(sender: Sender, admin: httpx2.AsyncClient) -> None:
    await sender.post(TOKEN)
    [kept] = (await admin.get("/stored")).json()
    assert (kept["token"], kept["magic"]) == (TOKEN, "magic")


async def test_the_admin_door_takes_only_keys(admin: httpx2.AsyncClient) -> None:
    body = {"key_id": "KEY", "team_id": "TEAM", "public_key_pem": "no key"}
    assert (await admin.post("/provider-keys", json=body)).status_code == 422
    body["public_key_pem"] = ECKey.generate_key("P-256").as_pem(private=False).decode()
    assert (await admin.post("/provider-keys", json=body)).status_code == 204


async def test_the_fast_door_says_what_it_cannot_do(settings: ApnsSettings, context: ssl.SSLContext) -> None:
    async with (
        ApnsSimulator(replace(settings, door="fast")) as simulator,
        httpx2.AsyncClient(base_url=simulator.admin_url, trust_env=False) as admin,
        Sender(TOPIC).connected(simulator.port, context) as sender,
    ):
        split = {"kind": "answer", "status": 503, "reason": "ServiceUnavailable", "body_form": "split"}
        for rule in ({"kind": "reset"}, {"kind": "goaway"}, split):
            assert (await admin.post("/script", json=rule)).status_code == 409
        assert (await admin.post("/connections/goaway", json={})).status_code == 409
        reply = await sender.post("bad00005".ljust(64, "0"))
        assert (reply.status, reply.reason) == (501, "OnlyAtTheScriptedDoor")


@pytest.mark.parametrize("door_kind", ["scripted", "fast"])
async def test_a_port_that_is_taken_is_said_so(settings: ApnsSettings, door_kind: DoorKind) -> None:
    async with ApnsSimulator(settings) as simulator:
        second = ApnsSimulator(replace(settings, door=door_kind, port=simulator.port))
        with pytest.raises(OSError, match="in use"):
            await second.start()
