import asyncio
import json
import ssl
import time
from dataclasses import replace
from pathlib import Path

import aioapns
import pytest
from aioapns.connection import APNsProductionClientProtocol

from local.simulators.apns import ApnsSettings, ApnsSimulator, Push
from local.simulators.authority import Identity
from tests.local.apns.h2_sender import Headers, Sender
from tests.local.apns.parts import NOW, TOKEN, TOPIC, Clock


async def test_a_good_push_is_answered_200_and_reaches_its_device(sender: Sender, heard: list[Push]) -> None:
    apns_id = "A3F0C1D2-0000-4000-8000-00000000000F"
    reply = await sender.post(TOKEN, headers={"apns-id": apns_id, "apns-priority": "5"})
    assert reply.status == 200
    assert reply.pieces == []
    assert reply.headers["apns-id"] == apns_id.lower()
    [push] = heard
    assert (push.token, push.topic, push.magic, push.priority) == (TOKEN, TOPIC, "magic", 5)


async def test_a_push_without_an_id_is_given_one(sender: Sender) -> None:
    reply = await sender.post(TOKEN, headers={"apns-id": None})
    assert len(reply.headers["apns-id"]) == 36


BAD_HEADERS: list[tuple[Headers, str]] = [
    ({"apns-topic": "com.apple.mgmt.External.other"}, "TopicDisallowed"),
    ({"apns-topic": ""}, "BadTopic"),
    ({"apns-topic": None}, "MissingTopic"),
    ({"apns-push-type": "alert"}, "InvalidPushType"),
    ({"apns-push-type": None}, "InvalidPushType"),
    ({"apns-priority": "7"}, "BadPriority"),
    ({"apns-id": "not-a-uuid"}, "BadMessageId"),
    ({"apns-expiration": "tomorrow"}, "BadExpirationDate"),
    ({"apns-expiration": "-1"}, "BadExpirationDate"),
    ({"apns-collapse-id": "c" * 65}, "BadCollapseId"),
]


@pytest.mark.parametrize(("headers", "reason"), BAD_HEADERS)
async def test_a_header_apple_refuses_is_refused(
    sender: Sender, heard: list[Push], headers: Headers, reason: str
) -> None:
    reply = await sender.post(TOKEN, headers=headers)
    assert (reply.status, reply.reason) == (400, reason)
    assert not heard


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "PayloadEmpty"),
        (b'{"mdm":"' + b"m" * 4096 + b'"}', 413, "PayloadTooLarge"),
        (b'{"mdm":"' + b"m" * 60_000 + b'"}', 413, "PayloadTooLarge"),
        (b'{"mdm":"magic","aps":{}}', 400, "BadPayload"),
        (b'{"mdm":1}', 400, "BadPayload"),
        (b'["mdm"]', 400, "BadPayload"),
        (b"[" * 4000, 400, "BadPayload"),
        (b"\xff\xfe", 400, "BadPayload"),
    ],
)
async def test_a_payload_that_is_no_mdm_push_is_refused(
    sender: Sender, body: bytes, status: int, reason: str
) -> None:
    reply = await sender.post(TOKEN, body=body)
    assert (reply.status, reply.reason) == (status, reason)


async def test_other_paths_methods_and_tokens_are_refused(sender: Sender) -> None:
    replies = [
        await sender.post_path("/4/device/" + TOKEN),
        await sender.post(TOKEN, method="GET"),
        await sender.post_path("/3/device/"),
        await sender.post("not-hex"),
        await sender.post("cd" * 32),
    ]
    assert [(reply.status, reply.reason) for reply in replies] == [
        (404, "BadPath"),
        (405, "MethodNotAllowed"),
        (400, "MissingDeviceToken"),
        (400, "BadDeviceToken"),
        (400, "BadDeviceToken"),
    ]


async def test_a_header_sent_twice_is_refused(sender: Sender) -> None:
    headers = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "x"),
        (":path", f"/3/device/{TOKEN}"),
    ]
    twice = [("apns-priority", "10"), ("apns-priority", "5")]
    reply = await sender.post_raw(headers + twice, b"{}")
    assert reply.reason == "DuplicateHeaders"


async def test_an_unregistered_token_is_gone_since_a_time_in_milliseconds(
    sender: Sender, simulator: ApnsSimulator
) -> None:
    simulator.registry.unregister([TOKEN], at=NOW - 60)
    reply = await sender.post(TOKEN)
    assert (reply.status, reply.body) == (
        410,
        {"reason": "Unregistered", "timestamp": int((NOW - 60) * 1000)},
    )
    simulator.registry.register([TOKEN], topic=TOPIC)
    assert (await sender.post(TOKEN)).status == 200


async def test_the_token_of_another_topic_is_refused(sender: Sender, simulator: ApnsSimulator) -> None:
    simulator.registry.register(["ef" * 32], topic="com.apple.mgmt.External.other")
    assert (await sender.post("ef" * 32)).reason == "DeviceTokenNotForTopic"


async def test_a_sender_without_a_certificate_gets_no_connection(
    simulator: ApnsSimulator, settings: ApnsSettings
) -> None:
    context = ssl.create_default_context(cafile=settings.client_ca_file)
    context.set_alpn_protocols(["h2"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # in 1.3 a client learns of it only after the handshake
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", simulator.port, ssl=context)
    assert not simulator.connections


async def test_a_sender_may_leave_out_what_the_settings_do_not_require(
    settings: ApnsSettings, context: ssl.SSLContext
) -> None:
    async with ApnsSimulator(replace(settings, required_headers=frozenset())) as simulator:
        simulator.registry.register([TOKEN], topic=TOPIC)
        sender = await Sender(TOPIC).connect(simulator.port, context)
        left_out = dict.fromkeys(["apns-topic", "apns-push-type", "apns-priority"])
        reply = await sender.post(TOKEN, headers=left_out)
        assert reply.status == 200
        await sender.close()


async def test_a_device_that_was_away_hears_only_the_newest_push(
    sender: Sender, simulator: ApnsSimulator, heard: list[Push]
) -> None:
    simulator.registry.go_offline([TOKEN])
    for magic in ("first", "second"):
        body = json.dumps({"mdm": magic}).encode()
        assert (
            await sender.post(TOKEN, body=body, headers={"apns-expiration": str(int(NOW + 60))})
        ).status == 200
    assert not heard
    simulator.registry.go_online([TOKEN])
    assert [push.magic for push in heard] == ["second"]
    assert simulator.registry.counts == {"stored": 1, "coalesced": 1, "delivered": 1}


async def test_a_stored_push_expires(
    sender: Sender, simulator: ApnsSimulator, heard: list[Push], clock: Clock
) -> None:
    simulator.registry.go_offline([TOKEN])
    await sender.post(TOKEN, headers={"apns-expiration": str(int(NOW + 60))})
    clock.now += 61
    simulator.registry.go_online([TOKEN])
    assert not heard
    assert simulator.registry.counts == {"stored": 1, "expired": 1}


async def test_an_expiration_of_zero_means_now_or_never(
    sender: Sender, simulator: ApnsSimulator, heard: list[Push]
) -> None:
    simulator.registry.go_offline([TOKEN])
    await sender.post(TOKEN, headers={"apns-expiration": "0"})
    simulator.registry.go_online([TOKEN])
    assert not heard
    await sender.post(TOKEN, headers={"apns-expiration": "0"})
    assert len(heard) == 1


async def test_a_courier_that_comes_late_hears_what_was_stored(
    sender: Sender, simulator: ApnsSimulator
) -> None:
    await sender.post(TOKEN)
    late: list[Push] = []
    simulator.registry.attach("here", late.append)
    assert [push.token for push in late] == [TOKEN]


async def test_aioapns_itself_is_content(
    simulator: ApnsSimulator,
    heard: list[Push],
    context: ssl.SSLContext,
    push_identity: Identity,
    tmp_path: Path,
) -> None:
    class Protocol(APNsProductionClientProtocol):
        APNS_SERVER = "localhost"
        APNS_PORT = simulator.port

    pem = tmp_path / "both.pem"
    pem.write_bytes(push_identity.certificate_pem + push_identity.private_key_pem)
    client = aioapns.APNs(client_cert=str(pem), topic=TOPIC, ssl_context=context)
    client.pool.protocol_class = Protocol
    requests = [
        aioapns.NotificationRequest(token, {"mdm": "magic"}, push_type=aioapns.PushType.MDM, time_to_live=60)
        for token in (TOKEN, "cd" * 32)
    ]
    results = [await client.send_notification(request) for request in requests]
    client.pool.close()
    assert [(result.status, result.description) for result in results] == [
        ("200", None),
        ("400", "BadDeviceToken"),
    ]
    assert [push.expires_at > time.time() for push in heard] == [True]
