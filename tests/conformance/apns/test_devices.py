"""What becomes of a push: "Handling notification responses from APNs", and what is kept for whom is away."""

import asyncio
import json
import time
from collections.abc import Iterator

from tests.conformance.apns.h2_sender import Reply, Sender
from tests.conformance.apns.look_alike import Devices

AWAY_SECONDS = 0.2  # long enough for what must not come


def later(seconds: float) -> str:
    return str(int(time.time() + seconds))


async def push(sender: Sender, token: str, magic: str, *, expiration: str) -> Reply:
    body = json.dumps({"mdm": magic}).encode()
    return await sender.post(token, body=body, headers={"apns-expiration": expiration})


async def test_a_token_nobody_holds_is_a_bad_one(
    sender: Sender, fresh_tokens: Iterator[str], devices: Devices
) -> None:
    reply = await sender.post(next(fresh_tokens))
    assert (reply.status, reply.reason) == (400, "BadDeviceToken")


async def test_the_token_of_another_topic_is_refused(
    sender: Sender, devices: Devices, fresh_tokens: Iterator[str]
) -> None:
    token = next(fresh_tokens)
    await devices.register([token], topic="com.apple.mgmt.External.other")
    reply = await sender.post(token)
    assert (reply.status, reply.reason) == (400, "DeviceTokenNotForTopic")


async def test_a_token_is_hex_in_either_case(sender: Sender, devices: Devices) -> None:
    await devices.register(["ab" * 32])
    assert (await sender.post("AB" * 32)).status == 200


async def test_an_unregistered_token_is_gone_since_a_time_in_milliseconds(
    sender: Sender, devices: Devices, token: str
) -> None:
    await devices.unregister([token], at=1_700_000_000.25)
    reply = await sender.post(token)
    assert (reply.status, reply.body) == (410, {"reason": "Unregistered", "timestamp": 1_700_000_000_250})
    await devices.register([token])
    assert (await sender.post(token)).status == 200


async def test_a_device_on_the_network_hears_each_push(sender: Sender, devices: Devices, token: str) -> None:
    async with devices.heard_by(token) as heard:
        for magic in ("first", "second"):
            await push(sender, token, magic, expiration="0")
        assert [await anext(heard) for _ in range(2)] == ["first", "second"]


async def test_a_device_that_was_away_hears_only_the_newest_push(
    sender: Sender, devices: Devices, token: str
) -> None:
    async with devices.heard_by(token) as heard:
        await devices.go_offline([token])
        for magic in ("first", "second"):
            assert (await push(sender, token, magic, expiration=later(60))).status == 200
        await devices.go_online([token])
        await push(sender, token, "third", expiration="0")
        assert [await anext(heard) for _ in range(2)] == ["second", "third"]


async def test_a_stored_push_expires(sender: Sender, devices: Devices, token: str) -> None:
    async with devices.heard_by(token) as heard:
        await devices.go_offline([token])
        await push(sender, token, "too late", expiration=later(1))
        await asyncio.sleep(1 + AWAY_SECONDS)
        await devices.go_online([token])
        await push(sender, token, "now", expiration="0")
        assert await anext(heard) == "now"


async def test_an_expiration_of_zero_means_now_or_never(sender: Sender, devices: Devices, token: str) -> None:
    async with devices.heard_by(token) as heard:
        await devices.go_offline([token])
        assert (await push(sender, token, "never", expiration="0")).status == 200
        await devices.go_online([token])
        await push(sender, token, "now", expiration="0")
        assert await anext(heard) == "now"
