"""What the simulator decides beside Apple's published rules; those are the conformance suite's."""

import asyncio
import json
import ssl
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.simulators.apns import Answer, ApnsSettings, ApnsSimulator, Push, Rule, Silence
from local.simulators.authority import Authority
from tests.conformance.apns.h2_sender import Sender
from tests.local.apns.parts import APP_TOPIC, NOW, TOKEN, TOPIC, Clock, Connect, at_both_doors

pytestmark = at_both_doors


async def test_a_push_is_delivered_as_it_was_sent(
    sender: Sender, simulator: ApnsSimulator, heard: list[Push]
) -> None:
    apns_id = str(uuid.uuid4())
    given = {"apns-id": apns_id, "apns-priority": "5", "apns-collapse-id": "one", "apns-expiration": "0"}
    await sender.post(TOKEN, headers=given)
    assert heard == [Push(TOKEN, TOPIC, "magic", apns_id, 5, 0.0, NOW, "one")]
    assert simulator.answers == {"200": 1}


@pytest.mark.parametrize("body", [b'["mdm"]', b"null", b"[" * 4000, b"\xff\xfe"])
async def test_a_payload_that_is_no_json_object_is_refused(
    sender: Sender, heard: list[Push], body: bytes
) -> None:
    reply = await sender.post(TOKEN, body=body)
    assert (reply.status, reply.reason, heard) == (400, "BadPayload", [])


@pytest.mark.parametrize(
    ("body", "magic"),
    [(b'{"mdm":"magic","aps":{}}', "magic"), (b'{"mdm":1}', ""), (b'{"aps":{"alert":"Hello"}}', "")],
)
@pytest.mark.parametrize("push_type", ["mdm", "background", "alert"])
async def test_what_apple_takes_though_its_page_warns_of_it_is_taken(
    sender: Sender, heard: list[Push], body: bytes, magic: str, push_type: str
) -> None:
    """Published clients choose the type by the payload, and add an empty `aps`."""
    reply = await sender.post(TOKEN, body=body, headers={"apns-push-type": push_type})
    assert (reply.status, [push.magic for push in heard]) == (200, [magic])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"body": b'{"mdm":"magic","aps":{}}'}, "BadPayload"),
        ({"body": b'{"mdm":""}'}, "BadPayload"),
        ({"headers": {"apns-push-type": "alert"}}, "InvalidPushType"),
    ],
)
async def test_a_strict_box_takes_mdm_pushes_to_the_letter_alone(
    settings: ApnsSettings, context: ssl.SSLContext, given: dict[str, Any], reason: str
) -> None:
    async with ApnsSimulator(replace(settings, strict_mdm=True)) as simulator:
        simulator.registry.register([TOKEN], topic=TOPIC)
        async with Sender(TOPIC).connected(simulator.port, context) as sender:
            assert (await sender.post(TOKEN)).status == 200
            reply = await sender.post(TOKEN, **given)
    assert (reply.status, reply.reason) == (400, reason)


async def test_an_apps_certificate_speaks_for_the_apps_parts_and_for_no_other_app(
    simulator: ApnsSimulator, authority: Authority, settings: ApnsSettings, connect: Connect, tmp_path: Path
) -> None:
    context = ssl.create_default_context(cafile=settings.client_ca_file)
    context.load_cert_chain(*authority.issue_push(topic=APP_TOPIC).write(tmp_path, "app"))
    context.set_alpn_protocols(["h2"])
    simulator.registry.register([TOKEN], topic=f"{APP_TOPIC}.voip")
    sender = await connect(context, topic=f"{APP_TOPIC}.voip")
    assert (await sender.post(TOKEN, headers={"apns-push-type": "voip"})).status == 200
    for other in (f"{APP_TOPIC}.other", f"{APP_TOPIC}voip", TOPIC):
        assert (await sender.post(TOKEN, headers={"apns-topic": other})).reason == "TopicDisallowed"


REQUIRED = {
    "apns-topic": "MissingTopic",
    "apns-push-type": "InvalidPushType",
    "apns-priority": "BadPriority",
    "apns-expiration": "BadExpirationDate",
}


@pytest.mark.parametrize(("header", "reason"), REQUIRED.items())
async def test_a_sender_may_not_leave_out_what_the_settings_require(
    settings: ApnsSettings, context: ssl.SSLContext, header: str, reason: str
) -> None:
    async with ApnsSimulator(replace(settings, required_headers=frozenset({header}))) as simulator:
        simulator.registry.register([TOKEN], topic=TOPIC)
        async with Sender(TOPIC).connected(simulator.port, context) as sender:
            reply = await sender.post(TOKEN, headers={header: None})
    assert (reply.status, reply.reason) == (400, reason)


async def test_one_seed_and_one_order_of_pushes_give_the_same_ids(
    sender: Sender, simulator: ApnsSimulator
) -> None:
    runs = []
    for _ in range(2):
        simulator.reset()
        replies = [await sender.post(TOKEN, headers={"apns-id": None}) for _ in range(2)]
        runs.append([reply.headers["apns-id"] for reply in replies])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 2


async def test_the_newest_push_is_kept_whatever_its_collapse_id(
    sender: Sender, simulator: ApnsSimulator, heard: list[Push]
) -> None:
    simulator.registry.go_offline([TOKEN])
    for name in ("first", "second"):
        body = json.dumps({"mdm": name}).encode()
        await sender.post(TOKEN, body=body, headers={"apns-collapse-id": name})
    assert [push.magic for push in simulator.registry.stored()] == ["second"]
    simulator.registry.go_online([TOKEN])
    assert [push.magic for push in heard] == ["second"]
    assert simulator.registry.counts == {"stored": 1, "coalesced": 1, "delivered": 1}
    assert simulator.registry.stored() == []


@pytest.mark.parametrize(("expiration", "kept_seconds"), [(str(int(NOW + 60)), 60), (None, 30 * 86_400)])
async def test_a_stored_push_is_kept_until_it_expires(
    sender: Sender,
    simulator: ApnsSimulator,
    heard: list[Push],
    clock: Clock,
    expiration: str | None,
    kept_seconds: int,
) -> None:
    for late_seconds in (-1, 1):
        clock.now = NOW
        simulator.registry.go_offline([TOKEN])
        await sender.post(TOKEN, headers={"apns-expiration": expiration})
        clock.now += kept_seconds + late_seconds
        simulator.registry.go_online([TOKEN])
        assert len(heard) == 1
    assert simulator.registry.counts == {"stored": 2, "delivered": 1, "expired": 1}


async def test_a_courier_that_comes_late_hears_what_was_stored(
    sender: Sender, simulator: ApnsSimulator
) -> None:
    await sender.post(TOKEN)
    late: list[Push] = []
    simulator.registry.attach("here", late.append)
    assert [push.token for push in late] == [TOKEN]


async def test_a_scripted_answer_counts_down_and_delivers_nothing(
    sender: Sender, simulator: ApnsSimulator, heard: list[Push]
) -> None:
    busy = Answer(429, "TooManyRequests", retry_after_seconds=7)
    simulator.script.rules.append(Rule(busy, prefix="ab", times=1))
    reply = await sender.post(TOKEN)
    assert (reply.status, reply.reason, reply.headers["retry-after"], heard) == (
        429,
        "TooManyRequests",
        "7",
        [],
    )
    assert (await sender.post(TOKEN)).status == 200


async def test_an_answer_may_be_late_bodyless_or_name_its_push_otherwise(
    sender: Sender, simulator: ApnsSimulator
) -> None:
    for answer in (
        Answer(200, delay_seconds=0.1),
        Answer(503, "ServiceUnavailable", body_form="none"),
        Answer(200, echo="upper"),
        Answer(200, echo="none"),
    ):
        simulator.script.rules.append(Rule(answer, times=1))
    begun = asyncio.get_running_loop().time()
    await sender.post(TOKEN)
    assert asyncio.get_running_loop().time() - begun >= 0.1
    bodyless, upper, unnamed = [await sender.post(TOKEN, headers={"apns-id": None}) for _ in range(3)]
    assert (bodyless.status, b"".join(bodyless.pieces)) == (503, b"")
    assert upper.headers["apns-id"].isupper()
    assert "apns-id" not in unnamed.headers


async def test_a_push_may_never_be_answered_while_others_are(
    sender: Sender, simulator: ApnsSimulator
) -> None:
    simulator.script.rules.append(Rule(Silence(), prefix="ab"))
    unanswered = sender.post(TOKEN)
    assert (await sender.post("cd" * 32)).status == 400
    assert not unanswered.done()


@pytest.mark.parametrize(
    ("mark", "status", "reason"),
    [
        ("bad40001", 400, "BadDeviceToken"),
        ("bad40014", 400, "TopicDisallowed"),
        ("bad40301", 403, "BadCertificate"),
        ("bad40308", 403, "MissingProviderToken"),
        ("bad40401", 404, "BadPath"),
        ("bad40501", 405, "MethodNotAllowed"),
        ("bad41001", 410, "Unregistered"),
        ("bad41301", 413, "PayloadTooLarge"),
        ("bad42901", 429, "TooManyRequests"),
        ("bad50001", 500, "InternalServerError"),
        ("bad50301", 503, "ServiceUnavailable"),
    ],
)
async def test_a_token_may_carry_its_own_misfortune(
    sender: Sender, simulator: ApnsSimulator, mark: str, status: int, reason: str
) -> None:
    token = mark.ljust(64, "0")
    simulator.registry.register([token], topic=TOPIC)
    reply = await sender.post(token)
    assert (reply.status, reply.reason) == (status, reason)
    assert ("retry-after" in reply.headers) == (mark == "bad50301")
    assert ("timestamp" in reply.body) == (status == 410)
