"""What APNs asks of one request: "Sending notification requests to APNs"."""

import pytest

from tests.conformance.apns.h2_sender import Headers, Sender

SOME = "ab" * 32  # no device: what is wrong with the rest of a request is said first


async def test_a_good_push_is_answered_200_without_a_body_and_its_id_comes_back_in_lower_case(
    sender: Sender, token: str
) -> None:
    apns_id = "A3F0C1D2-0000-4000-8000-00000000000F"
    reply = await sender.post(token, headers={"apns-id": apns_id, "apns-priority": "5"})
    assert (reply.status, b"".join(reply.pieces)) == (200, b"")
    assert reply.headers["apns-id"] == apns_id.lower()


async def test_a_push_without_an_id_is_given_one(sender: Sender, token: str) -> None:
    reply = await sender.post(token, headers={"apns-id": None})
    assert len(reply.headers["apns-id"]) == 36


BAD_HEADERS: list[tuple[Headers, str]] = [
    ({"apns-topic": "com.apple.mgmt.External.other"}, "TopicDisallowed"),
    ({"apns-topic": ""}, "BadTopic"),
    ({"apns-push-type": "postcard"}, "InvalidPushType"),
    ({"apns-priority": "7"}, "BadPriority"),
    ({"apns-id": "not-a-uuid"}, "BadMessageId"),
    ({"apns-expiration": "tomorrow"}, "BadExpirationDate"),
    ({"apns-expiration": "-1"}, "BadExpirationDate"),
    ({"apns-collapse-id": "c" * 65}, "BadCollapseId"),
]


@pytest.mark.parametrize(("headers", "reason"), BAD_HEADERS)
async def test_a_header_apple_refuses_is_refused(sender: Sender, headers: Headers, reason: str) -> None:
    reply = await sender.post(SOME, headers=headers)
    assert (reply.status, reply.reason) == (400, reason)


@pytest.mark.parametrize(
    "headers",
    [
        {"apns-collapse-id": "c" * 64},
        {"apns-expiration": "0"},
        {"apns-expiration": None},
        {"apns-priority": None},
        {"apns-priority": "1"},
        {"apns-topic": None},  # the certificate says it
        {"apns-push-type": None},
        {"apns-topic": None, "apns-push-type": None, "apns-priority": None},  # as NanoMDM sends
    ],
)
async def test_what_may_be_left_out_or_is_just_within_a_limit_is_taken(
    sender: Sender, token: str, headers: Headers
) -> None:
    assert (await sender.post(token, headers=headers)).status == 200


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "PayloadEmpty"),
        (b'{"mdm":"' + b"m" * 4096 + b'"}', 413, "PayloadTooLarge"),
        (b'{"mdm":"' + b"m" * 60_000 + b'"}', 413, "PayloadTooLarge"),
    ],
)
async def test_a_payload_apple_refuses_is_refused(
    sender: Sender, body: bytes, status: int, reason: str
) -> None:
    reply = await sender.post(SOME, body=body)
    assert (reply.status, reply.reason) == (status, reason)


async def test_a_payload_of_4096_bytes_is_taken(sender: Sender, token: str) -> None:
    frame = b'{"mdm":""}'
    body = frame[:-2] + b"m" * (4096 - len(frame)) + frame[-2:]
    assert (await sender.post(token, body=body)).status == 200


async def test_other_paths_methods_and_tokens_are_refused(sender: Sender) -> None:
    replies = [
        await sender.post_path("/4/device/" + SOME),
        await sender.post(SOME, method="GET"),
        await sender.post_path("/3/device/"),
        await sender.post("not-hex"),
    ]
    assert [(reply.status, reply.reason) for reply in replies] == [
        (404, "BadPath"),
        (405, "MethodNotAllowed"),
        (400, "MissingDeviceToken"),
        (400, "BadDeviceToken"),
    ]


async def test_a_header_sent_twice_is_refused(sender: Sender) -> None:
    pseudo = [(":method", "POST"), (":scheme", "https"), (":authority", "x"), (":path", f"/3/device/{SOME}")]
    twice = [("apns-priority", "10"), ("apns-priority", "5")]
    assert (await sender.post_raw(pseudo + twice, b"{}")).reason == "DuplicateHeaders"


async def test_a_sender_may_name_its_host_by_a_header(sender: Sender, token: str) -> None:
    """Some clients send `host` where HTTP/2 has `:authority`, and Apple serves them."""
    pseudo = [
        (":method", "POST"),
        (":scheme", "https"),
        (":path", f"/3/device/{token}"),
        ("host", "localhost"),
    ]
    named = [("apns-topic", sender.topic), ("apns-push-type", "mdm")]
    assert (await sender.post_raw(pseudo + named, b'{"mdm":"magic"}')).status == 200
